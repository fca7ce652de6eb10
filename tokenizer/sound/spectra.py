"""Spectra on a scale of pitch, and two distances between sounds that need no trained network.

Legend: B batch, L samples, M bands, K frequencies, T moments.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

QUIETEST = 1e-4  # amplitude of a band below which differences do not count
BREAK = 700.0  # Hz; the scale is even below and logarithmic above (O'Shaughnessy 1987)


@lru_cache(maxsize=16)
def mel_filters(window: int, bands: int, rate: int) -> Tensor:
    """Triangular filters `[M, K]` from 0 Hz to half the rate, each with a sum of at most one."""
    frequency = torch.linspace(0, rate / 2, window // 2 + 1)
    edges = torch.linspace(0, math.log1p(rate / 2 / BREAK), bands + 2).expm1() * BREAK
    step = rate / window
    width = (edges[1:] - edges[:-1]).clamp_min(step)  # never narrower than a frequency
    rise = 1 - (edges[1:-1, None] - frequency) / width[:-1, None]
    fall = 1 - (frequency - edges[1:-1, None]) / width[1:, None]
    return torch.minimum(rise, fall).clamp_min(0)


def magnitudes(wave_BL: Tensor, window: int) -> Tensor:
    """Amplitudes `[B, K, T]` of a spectrum at every quarter of a window: a full-scale sine is
    about 1."""
    shape = torch.hann_window(window, device=wave_BL.device)
    spectrum = torch.stft(
        wave_BL, window, window // 4, window=shape, pad_mode="constant", return_complex=True
    )
    return (spectrum.real.square() + spectrum.imag.square() + 1e-14).sqrt() * (4 / window)


def log_mel(wave_BL: Tensor, window: int, bands: int, rate: int) -> Tensor:
    """Logarithms (base 10) of the amplitudes of bands `[B, M, T]`, not below that of QUIETEST."""
    filters = mel_filters(window, bands, rate).to(wave_BL.device)
    return (filters @ magnitudes(wave_BL, window)).clamp_min(QUIETEST).log10()


def mel_distance(wave_BL: Tensor, target_BL: Tensor, rate: int = 24_000) -> Tensor:
    """Mean difference `[B]` of log-amplitudes in dB over 80 bands, windows of 1,024 samples."""
    one, two = (log_mel(x, 1024, 80, rate) for x in (wave_BL, target_BL))
    return 20 * (one - two).abs().mean((1, 2))


def si_sdr(wave_BL: Tensor, target_BL: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio `[B]` in dB (Le Roux et al. 2019)."""
    wave = wave_BL - wave_BL.mean(1, keepdim=True)
    target = target_BL - target_BL.mean(1, keepdim=True)
    scale = (wave * target).sum(1, keepdim=True) / target.square().sum(1, keepdim=True).clamp_min(
        1e-8
    )
    wanted = scale * target
    noise = (wave - wanted).square().sum(1).clamp_min(1e-10)
    return 10 * (wanted.square().sum(1).clamp_min(1e-10) / noise).log10()
