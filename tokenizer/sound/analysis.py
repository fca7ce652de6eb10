"""How loud each band of a sound is at every step: what the codes have to say.

A step sees the `window` samples that end with it. Their weights rise slowly and fall quickly at
the end, so that a blow is seen soon and a pitch is still told from its neighbours.

Legend: B batch, L samples, S steps, J frequencies, K bands.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from .spectra import BREAK

FLOOR = 1e-4  # amplitude of a band that counts as silence
GATE = 1.5 * FLOOR  # amplitudes below are not heard


def band_levels(wave_BL: Tensor, window: int, rise: int, hop: int, bands: int, rate: int) -> Tensor:
    """Natural logarithms `[B, S, K]` of the amplitudes of bands, not below that of FLOOR, of waves
    with `window - hop` samples of the past in front. A sine of amplitude 1 has about 0."""
    shape = one_sided_window(window, rise).to(wave_BL.device)
    pieces = wave_BL.float().unfold(1, window, hop)
    spectrum = torch.fft.rfft(pieces * shape).abs() * (2 / shape.sum())
    weights = band_weights(window, bands, rate).to(wave_BL.device)
    power = spectrum.square() @ (weights / weights.sum(0)).clamp_min(0)
    return 0.5 * (power + FLOOR**2).log()


@lru_cache(maxsize=16)
def one_sided_window(window: int, rise: int) -> Tensor:
    """Half a Hann window of `window - rise` samples upwards, and half one of `rise` downwards."""
    up = torch.hann_window(2 * (window - rise), periodic=False)[: window - rise]
    down = torch.hann_window(2 * rise, periodic=False)[rise:]
    return torch.cat([up, down])


@lru_cache(maxsize=16)
def band_weights(window: int, bands: int, rate: int) -> Tensor:
    """How much of each band a frequency is, `[J, K]`: straight lines between the middles of bands,
    which are evenly spaced on a scale of pitch, so each row has a sum of one.

    A band that lies between two frequencies of the spectrum gets the nearest one.
    """
    frequency = torch.linspace(0, rate / 2, window // 2 + 1)
    scale = math.log1p(rate / 2 / BREAK) / (bands - 1)
    place = torch.log1p(frequency / BREAK) / scale
    weights = (1 - (place[:, None] - torch.arange(bands)).abs()).clamp_min(0)
    empty = weights.sum(0) == 0
    nearest = (place[:, None] - torch.arange(bands)).abs().argmin(0)
    weights[nearest[empty], empty.nonzero()[:, 0]] = 1e-3
    return weights / weights.sum(1, keepdim=True)


def warped(levels: Tensor, exponent: float) -> Tensor:
    """Natural logarithms of amplitudes to a power of them, over the exponent."""
    return (exponent * levels).exp() / exponent


def unwarped(levels: Tensor, exponent: float) -> Tensor:
    """The inverse of `warped`, not below FLOOR."""
    return (exponent * levels).clamp_min(math.exp(exponent * math.log(FLOOR))).log() / exponent


def warped_amplitude(amplitude: float, exponent: float) -> float:
    """The warped level of one amplitude."""
    return amplitude**exponent / exponent
