"""Spectra and distances of sounds."""

import math

import torch
from kinetoscope.tokenizer.sound.spectra import (
    log_mel,
    magnitudes,
    mel_distance,
    mel_filters,
    si_sdr,
)
from torch import Tensor

RATE = 24_000


def sine(hertz: float, level: float = 1.0) -> Tensor:
    time = torch.arange(RATE) / RATE
    return level * torch.sin(2 * math.pi * hertz * time)[None]


def test_a_full_scale_sine_has_amplitude_one() -> None:
    middle = magnitudes(sine(1500), 1024)[0, :, 20:-20]
    assert abs(float(middle.amax()) - 1) < 0.05
    assert int(middle.mean(1).argmax()) == 1500 * 1024 // RATE


def test_bands_cover_all_frequencies_and_follow_pitch() -> None:
    for window, bands in ((2048, 128), (128, 16)):
        filters = mel_filters(window, bands, RATE)
        assert filters.shape == (bands, window // 2 + 1)
        assert (filters.amax(1) > 0).all() and (filters >= 0).all()
    places = [int(log_mel(sine(f), 1024, 80, RATE)[0].mean(1).argmax()) for f in (200, 800, 3200)]
    assert places[0] < places[1] < places[2]


def test_distance_is_in_decibels() -> None:
    loud, soft = sine(1000, 0.5), sine(1000, 0.05)
    assert float(mel_distance(loud, loud)) == 0
    band = log_mel(loud, 1024, 80, RATE).amax() - log_mel(soft, 1024, 80, RATE).amax()
    assert abs(20 * float(band) - 20) < 0.1
    assert 0 < float(mel_distance(soft, loud)) < 20


def test_si_sdr_ignores_loudness_and_counts_noise() -> None:
    wave = sine(440, 0.3)
    assert float(si_sdr(0.1 * wave, wave)) > 60
    noisy = wave + 0.03 * torch.randn(wave.shape, generator=torch.Generator().manual_seed(0))
    assert abs(float(si_sdr(noisy, wave)) - 20 * math.log10(0.3 / 2**0.5 / 0.03)) < 1
