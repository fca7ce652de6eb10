"""The synthesis is as loud as it is told, keeps tones together, and is silent where nothing is."""

import math

import pytest
import torch
from kinetoscope.tokenizer.sound.analysis import FLOOR, band_levels, band_weights
from kinetoscope.tokenizer.sound.spectra import mel_distance
from kinetoscope.tokenizer.sound.synthesis import Synthesis
from torch import Tensor
from torch.nn import functional

RATE, HOP, WINDOW, RISE, BANDS = 24_000, 250, 1_000, 250, 96


def levels(wave: Tensor) -> Tensor:
    padded = functional.pad(wave, (WINDOW - HOP, 0))
    return band_levels(padded, WINDOW, RISE, HOP, BANDS, RATE)


@pytest.fixture(scope="module")
def synthesis() -> Synthesis:
    return Synthesis(RATE, 8_000, HOP, WINDOW, BANDS)


def again(synthesis: Synthesis, wave: Tensor) -> Tensor:
    """Analysed and made again, in step: the analysis is late by a rise."""
    played = synthesis(levels(functional.pad(wave, (0, HOP))), {}, {})
    return played[:, RISE : RISE + wave.shape[1]]


def sine(hertz: float, samples: int = 24_000) -> Tensor:
    return 0.2 * torch.sin(2 * math.pi * hertz * torch.arange(samples) / RATE)[None]


def test_silence_is_exactly_silent(synthesis: Synthesis) -> None:
    assert not again(synthesis, torch.zeros(1, 16_000)).any()


@pytest.mark.parametrize("hertz", [330.0, 1_000.0, 4_000.0])
def test_a_tone_comes_back_at_its_pitch_and_level(synthesis: Synthesis, hertz: float) -> None:
    played = again(synthesis, sine(hertz))[:, 2_000:-2_000]
    spectrum = torch.fft.rfft(played[0]).abs()
    peak = float(spectrum.argmax()) * RATE / played.shape[1]
    assert abs(peak / hertz - 1) < 0.05
    ratio = float(played.square().mean() / sine(hertz).square().mean())
    assert 0.5 < ratio < 2


def test_noise_comes_back_as_loud_as_it_was(synthesis: Synthesis) -> None:
    noise = 0.05 * torch.randn(1, 48_000, generator=torch.Generator().manual_seed(0))
    played = again(synthesis, noise)
    ratio = played[:, 2_000:].square().mean() / noise.square().mean()
    assert 0.6 < float(ratio) < 1.6
    assert float(mel_distance(played, noise)) < 4.5
    assert float(mel_distance(torch.zeros_like(noise), noise)) > 20


def test_a_blow_is_heard_when_it_was(synthesis: Synthesis) -> None:
    wave = torch.zeros(1, 24_000)
    burst = torch.randn(2_400, generator=torch.Generator().manual_seed(1))
    wave[0, 12_000:14_400] = 0.2 * burst * torch.linspace(1, 0, 2_400)
    energy = again(synthesis, wave)[0].square()
    before = energy[: 12_000 - 480].sum()  # 20 ms
    assert float(before) < 0.02 * float(energy.sum())
    assert float(energy[12_000 - 240 : 12_000 + 720].sum()) > 0.2 * float(energy.sum())


def test_every_band_has_its_share_of_frequencies() -> None:
    weights = band_weights(WINDOW, BANDS, RATE)
    torch.testing.assert_close(weights.sum(1), torch.ones(WINDOW // 2 + 1))
    assert (weights.sum(0) > 0).all()


def test_a_full_sine_has_about_level_zero_and_silence_the_floor() -> None:
    loud = levels(5 * sine(1_000))[0, 20].amax()
    assert abs(float(loud)) < 0.7
    quiet = levels(torch.zeros(1, 4_000))
    torch.testing.assert_close(quiet, torch.full_like(quiet, math.log(FLOOR)))
