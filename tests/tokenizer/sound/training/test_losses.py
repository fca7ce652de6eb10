"""The loss of sound: zero for the same, and each term for what it is there for."""

import math

import pytest
import torch
from kinetoscope.tokenizer.sound.training.losses import SoundLossWeights, sound_loss
from torch import Tensor

RATE = 24_000
WEIGHTS = SoundLossWeights()


def sine(hertz: float, level: float = 0.3) -> Tensor:
    return level * torch.sin(2 * math.pi * hertz * torch.arange(12_000) / RATE)[None]


def terms(wave: Tensor, target: Tensor) -> dict[str, float]:
    return {name: float(x) for name, x in sound_loss(wave, target, WEIGHTS, RATE)[1].items()}


def test_the_same_sound_costs_nothing() -> None:
    assert float(sound_loss(sine(500), sine(500), WEIGHTS, RATE)[0]) < 1e-6


def test_pitch_costs_more_than_phase() -> None:
    late = sine(500).roll(12, 1)
    assert terms(late, sine(500))["mel"] < 0.25 * terms(sine(700), sine(500))["mel"]
    assert terms(late, sine(500))["wave"] > 0.05


def test_noise_in_silence_costs() -> None:
    quiet = torch.zeros(1, 12_000)
    whisper = 0.003 * torch.randn(1, 12_000, generator=torch.Generator().manual_seed(0))
    assert terms(whisper, quiet)["silence"] > 1e-3
    assert terms(sine(500) + whisper, sine(500))["silence"] == 0


def test_gradients_reach_a_silent_guess() -> None:
    guess = torch.zeros(1, 12_000, requires_grad=True)
    loss, _ = sound_loss(guess + 1e-4 * sine(300), sine(500), WEIGHTS, RATE)
    loss.backward()
    assert guess.grad is not None and guess.grad.isfinite().all() and guess.grad.ne(0).any()


def test_windows_and_bands_go_together() -> None:
    with pytest.raises(ValueError, match="as many numbers; got 2 and 1"):
        SoundLossWeights(windows=(512, 256), bands=(40,))
