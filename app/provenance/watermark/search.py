"""Find a pattern in a picture that may have been scaled, cropped, padded or mirrored.

A point v of the picture showed the point u = scale * v + offset of the pattern (both in roots from
the middle of their picture). Scaling the whole picture changes neither. Places are tried in three
tiers with a share of the permitted false alarms each, so that a video whose frame was left alone
does not pay for the many places of a cropped one.

Shapes: K waves along one axis (see `pattern`), N points of the pattern along one axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .evidence import ROOT
from .pattern import HIGH, LOW, PERIOD, axis_waves, distance

GRID = 256  # points of a period at which offsets are tried
STEP = (
    1 / 80
)  # between scales: at the edge of the picture the finest wave is out of step by a third
NEAR = 1 / 64  # roots; offsets that are always tried
FLOOR = 0.01  # of the mean power; waves weaker than this are not made stronger
NEIGHBOURS = 5.0  # waves; how local the power of a wave is
ENOUGH = 1e-12  # a chance of a false alarm that ends the search


@dataclass(frozen=True)
class Tier:
    """Scales that are tried together, and their share of the permitted false alarms."""

    scales: tuple[float, ...]
    share: float

    @property
    def places(self) -> int:
        """How many scales, offsets and mirrored forms there are."""
        return 2 * sum((2 * reach(scale) + 1) ** 2 for scale in self.scales)


def reach(scale: float) -> int:
    """Largest offset along one axis, in points, of a picture cut or padded to this scale, up to
    one and a half times as wide as high, even where one side alone was cut."""
    roots = 0.75 * abs(1 - scale**2) + NEAR
    return min(math.floor(roots * GRID / PERIOD), GRID // 2 - 1)


def _scales(low: float, high: float) -> tuple[float, ...]:
    steps = range(math.ceil(math.log(low) / STEP), math.floor(math.log(high) / STEP) + 1)
    return tuple(math.exp(step * STEP) for step in steps if step)


TIERS = (
    Tier((1.0,), 0.5),
    Tier(_scales(0.87, 1.02), 0.25),
    Tier(tuple(sorted(set(_scales(0.5, 1.2)) - set(_scales(0.87, 1.02)), reverse=True)), 0.25),
)


@dataclass(frozen=True)
class Place:
    """The best place of a pattern in a picture.

    `strength` is in standard deviations of keys that the picture was not made with; `false_alarm`
    bounds the chance that the best place of such a key is as good, over all places that were tried.
    """

    strength: float
    false_alarm: float
    scale: float
    offset: tuple[float, float]  # down and across, in roots of the whole marked picture
    mirrored: bool


def search(picture: Tensor, spectra: Sequence[Tensor], enough: float = ENOUGH) -> list[Place]:
    """The best place of each pattern in a picture of `Evidence`.

    For a key drawn at random a correlation is a sum of cosines of independent phases. Such a sum
    exceeds z standard deviations with a chance of at most exp(-z^2 / 2), whatever the picture
    shows; the chances of all places that are tried are added up.

    Args:
        spectra: of the keys (see `pattern.spectrum`).
        enough: the search ends when every key has a place that is better than this.
    """
    best = [Place(0.0, 1.0, 1.0, (0.0, 0.0), False) for _ in spectra]
    conjugates = torch.stack(list(spectra))
    for tier in TIERS:
        for scale in tier.scales:
            waves = whitened(picture, scale)
            for mirrored in (False, True):
                turned = waves.flip(1) if mirrored else waves
                maps = correlations(turned, conjugates, reach(scale))
                for index, found in enumerate(maps):
                    place = _best(found, tier, scale, mirrored)
                    if place.false_alarm < best[index].false_alarm:
                        best[index] = place
        if all(place.false_alarm < enough for place in best):
            break
    return best


def _best(map_NN: Tensor, tier: Tier, scale: float, mirrored: bool) -> Place:
    highest = int(map_NN.argmax())
    side = map_NN.shape[1]
    down, across = divmod(highest, side)
    strength = float(map_NN.flatten()[highest])
    chance = tier.places / tier.share * math.exp(-0.5 * max(strength, 0.0) ** 2)
    middle = side // 2
    offset = ((down - middle) * PERIOD / GRID, (across - middle) * PERIOD / GRID)
    return Place(strength, min(1.0, chance), scale, offset, mirrored)


def whitened(picture: Tensor, scale: float) -> Tensor:
    """The waves of the pattern in a picture at a scale, complex64 [K, K], brought to the strength
    of their neighbours and together to a power of 1."""
    height, width = picture.shape
    down = axis_waves((torch.arange(height) + 0.5 - height / 2) * (scale / ROOT))
    across = axis_waves((torch.arange(width) + 0.5 - width / 2) * (scale / ROOT))
    waves = down.conj().T @ picture.to(torch.complex64) @ across.conj()
    band = (distance() >= LOW) & (distance() <= HIGH)
    power = _local_mean(waves.abs().square())
    floor = FLOOR * power[band].mean()
    waves = waves * band / (power + floor).clamp_min(1e-30).sqrt()
    return waves / waves.abs().square().sum().sqrt().clamp_min(1e-30)


def correlations(waves_KK: Tensor, spectra_BKK: Tensor, most: int) -> Tensor:
    """Strength of each pattern at each offset up to `most` points: [B, 2 most + 1, 2 most + 1]."""
    middle = HIGH * PERIOD
    product = (spectra_BKK * waves_KK.conj())[..., middle:]  # real, so that half of it will do
    rows = torch.zeros(*product.shape[:-2], GRID, product.shape[-1], dtype=product.dtype)
    rows[..., : middle + 1, :] = product[..., middle:, :]
    rows[..., -middle:, :] = product[..., :middle, :]
    whole = torch.fft.irfft2(rows, s=(GRID, GRID), norm="forward")
    near = torch.arange(-most, most + 1) % GRID
    return whole[..., near, :][..., near]


def at_offsets(waves_KK: Tensor, spectrum_KK: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Strength of a pattern at offsets in roots, of one axis each: [len(down), len(across)]."""
    product = spectrum_KK * waves_KK.conj()
    return (axis_waves(down) @ product @ axis_waves(across).T).real


def _local_mean(power_KK: Tensor) -> Tensor:
    side = math.ceil(3 * NEIGHBOURS)
    taps = torch.exp(-0.5 * (torch.arange(-side, side + 1) / NEIGHBOURS) ** 2)
    taps /= taps.sum()
    wide = F.pad(power_KK[None, None], (side,) * 4, mode="reflect")
    down = F.conv2d(wide, taps.view(1, 1, -1, 1))
    return F.conv2d(down, taps.view(1, 1, 1, -1))[0, 0]
