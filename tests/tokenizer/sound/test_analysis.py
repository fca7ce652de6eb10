"""The parts that a sound is made of, and that the decoder's synthesis plays them again."""

import math

import pytest
import torch
from kinetoscope.tokenizer.sound import SoundTokenizerConfig
from kinetoscope.tokenizer.sound.analysis import loudness_targets
from kinetoscope.tokenizer.sound.spectra import mel_distance
from kinetoscope.tokenizer.sound.synthesis import Synthesis, tone_frequencies
from kinetoscope.tokenizer.sound.training.losses import parts_loss

RATE, HOP, TONES, NOISES = 24_000, 125, 160, 24


def parts(wave: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    loud = loudness_targets(wave, RATE, HOP, TONES, NOISES)
    return loud[..., :TONES], loud[..., TONES:]


@pytest.mark.parametrize("hertz", [300.0, 1350.0, 6000.0])
def test_a_sine_is_the_nearest_tone_at_its_loudness(hertz: float) -> None:
    time = torch.arange(12_000) / RATE
    wave = 0.3 * (2 * math.pi * hertz * time).sin()[None]
    tones, noises = parts(wave)
    nearest = int((tone_frequencies(RATE, TONES) / hertz).log().abs().argmin())
    middle = tones[0, 30:60]
    assert abs(float(middle[:, nearest].mean()) - 0.3) < 0.045  # a Hann window between two bins
    middle[:, nearest] = 0
    assert float(middle.max()) == 0.0
    assert float(noises[0, 30:60].max()) < 0.1


def test_white_noise_is_noise_of_its_own_loudness() -> None:
    wave = 0.1 * torch.randn(1, 48_000, generator=torch.Generator().manual_seed(0))
    tones, noises = parts(wave)
    level = noises.square().mean(1).sum(1).sqrt()
    assert abs(float(level) - 0.1) < 0.015
    assert float((tones > 0).float().mean()) < 1e-3


def test_silence_has_no_parts_and_a_blow_none_before_it() -> None:
    wave = torch.zeros(1, 12_000)
    wave[0, 6_000:] = 0.3 * (2 * math.pi * 1000 * torch.arange(6_000) / RATE).sin()
    tones, _ = parts(wave)
    assert not tones[0, : 6_000 // HOP - 4].any()
    assert tones[0, 6_000 // HOP + 4].max() > 0.2
    for silent in parts(torch.zeros(1, 4_000)):
        assert silent.max() < 1e-6


def test_the_synthesis_of_the_parts_sounds_alike() -> None:
    time = torch.arange(16_000) / RATE
    ring = (-time * 8).exp() * (0.3 * (2 * math.pi * 640 * time).sin())
    noise = 0.02 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    wave = (ring + noise)[None]
    loud = loudness_targets(wave, RATE, HOP, TONES, NOISES)
    synthesis = Synthesis(RATE, 8_000, HOP, TONES, NOISES)
    played = synthesis(loud.clamp_min(1e-6).log(), {}, {})
    assert float(mel_distance(played, wave)) < 3.5
    assert float(mel_distance(torch.zeros_like(wave), wave)) > 20


def test_the_loss_of_parts_falls_as_the_mix_nears_the_target() -> None:
    time = torch.arange(8_000) / RATE
    wave = (0.2 * (2 * math.pi * 900 * time).sin())[None]
    wanted = loudness_targets(wave, RATE, HOP, TONES, NOISES).clamp_min(1e-8).log()
    config = SoundTokenizerConfig()
    losses = [float(parts_loss(wanted - lower, wave, config)) for lower in (0.0, 1.0, 3.0)]
    assert losses[0] == 0.0
    assert losses[0] < losses[1] < losses[2]
