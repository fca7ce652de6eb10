"""The keyed pattern: waves of one strength whose phases only the key knows.

Lengths are counted in `root`, the square root of the picture's area, so that a picture keeps its
pattern when it is scaled. The pattern repeats after `PERIOD` roots in both directions, and the
middle of the picture is its origin.

Shapes: K waves along one axis, from -HIGH to HIGH cycles a root in steps of 1 / PERIOD.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

import torch
from torch import Tensor

PERIOD = 2
LOW = 8  # cycles a root; lower waves are seen more easily and lie below stronger pictures
HIGH = 48  # higher waves do not survive a codec, nor scaling to a half
WAVES = torch.arange(-HIGH * PERIOD, HIGH * PERIOD + 1) / PERIOD  # [K], cycles a root
FINEST = 0.4  # cycles a pixel; small pictures show no higher waves


@lru_cache(maxsize=16)
def spectrum(key: bytes) -> Tensor:
    """The waves of a key, complex64 [K, K] (down, across): of size 1 between `LOW` and `HIGH`
    and 0 elsewhere. The pattern is real: opposite waves are conjugate.

    Phases are 16 bits each of SHAKE-256 of the key, so that they are the same everywhere.
    """
    K = len(WAVES)
    noise = bytearray(hashlib.shake_256(key).digest(2 * K * K))
    steps = torch.frombuffer(noise, dtype=torch.int16).view(K, K)
    phase = steps.float() * (math.pi / 2**15)
    half = torch.arange(K * K).view(K, K) < K * K // 2
    phase = torch.where(half, phase, -phase.flip(0, 1))
    return torch.polar((distance() <= HIGH).logical_and(distance() >= LOW).float(), phase)


def distance() -> Tensor:
    """Cycles a root of each wave in its own direction, [K, K]."""
    return torch.hypot(WAVES[:, None], WAVES[None])


def axis_waves(places: Tensor) -> Tensor:
    """Each wave along one axis at places in roots: complex64 [len(places), K]."""
    angle = 2 * math.pi * places.double()[:, None] * WAVES.double()
    return torch.polar(torch.ones_like(angle), angle).to(torch.complex64)


def draw(spectrum_KK: Tensor, height: int, width: int) -> Tensor:
    """The pattern of a spectrum at the pixels of a picture, float32 `[height, width]`, with a mean
    square of 1 over its whole period."""
    root = math.sqrt(height * width)
    shown = spectrum_KK * (distance() <= FINEST * root)
    power = shown.abs().square().sum().clamp_min(1e-9)
    down = axis_waves((torch.arange(height) + 0.5 - height / 2) / root)
    across = axis_waves((torch.arange(width) + 0.5 - width / 2) / root)
    return (down @ shown @ across.T).real / power.sqrt()
