"""Noise that follows from a seed and a place in time: what rolls and slides, rain and wind.

The noise of a sample is a hash of its number, so a clip may begin anywhere and a longer one begins
as a shorter one.

Shapes: B clips, F frames, N object slots, L samples.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..scene import MATERIALS, PLACES, RADII, WEATHERS, Scenes
from .events import FPS, RATE, SAMPLES, along_the_ground

# Strength of low, middle and high noise (of BANDS) of what rolls, by material, and of what slides,
# by ground; how loud rolling is on each ground.
BANDS = (500, 2600, 12_000)  # numbers per second of each noise
ROLLING = {
    "matte": (0.9, 0.28, 0.02),
    "shiny": (0.45, 0.42, 0.16),
    "striped": (0.7, 0.16, 0.01),
    "glowing": (0.25, 0.4, 0.22),
}
ROLLS_ON = (1.0, 0.35, 0.9, 0.4, 0.6)
SLIDING = (
    (0.25, 0.55, 0.25),
    (0.10, 0.30, 0.35),
    (0.40, 0.60, 0.12),
    (0.10, 0.35, 0.60),
    (0.05, 0.15, 0.35),
)
ROLLING_LOUDNESS, SLIDING_LOUDNESS = 0.085, 0.075  # at 1 m/s
DROPS = 400  # rain drops a second
DROP_LENGTH = 72  # samples
RAIN_LOUDNESS, DROP_LOUDNESS = 0.022, 0.10
WIND = {"rain": 0.035, "fog": 0.03}
GUSTS = 1.5  # changes of the wind's strength per second


def _hash(x: Tensor) -> Tensor:
    """Well-mixed 62 bits of int64 numbers (the finaliser of splitmix64)."""
    x = (x ^ (x >> 30 & 0x3FFFFFFFF)) * -4658895280553007687
    x = (x ^ (x >> 27 & 0x1FFFFFFFFF)) * -7723592293110705685
    return x ^ (x >> 31 & 0x1FFFFFFFF)


def _uniform(seed: Tensor, channel: Tensor | int, index: Tensor) -> Tensor:
    """Numbers in [-1, 1), one for each place in time `index` [..., L]; seed and channel [...]."""
    key = _hash(seed * 1_000_003 + channel)
    bits = _hash(key[..., None] + index * 0x1E3779B97F4A7C15)
    return ((bits >> 20) & 0xFFFFFF).float() / 0x800000 - 1


def white(seed: Tensor, channel: Tensor | int, begin: Tensor | int, count: int) -> Tensor:
    """White noise [..., count] in [-1, 1) from sample `begin` on; seed, channel and begin [...]."""
    begin = torch.as_tensor(begin).expand(seed.shape)
    return _uniform(seed, channel, begin[..., None] + torch.arange(count))


def smooth_noise(seed: Tensor, channel: int, per_second: float, count: int) -> Tensor:
    """Noise [B, count] with `per_second` random numbers a second and straight lines between them:
    nothing much above half as many Hz."""
    step = per_second / RATE
    place = torch.arange(count, dtype=torch.float64) * step
    last = int(place[-1]) + 2
    numbers = _uniform(seed, channel, torch.arange(last))
    left = place.long()
    part = (place - left).float()
    return numbers[:, left] * (1 - part) + numbers[:, left + 1] * part


def friction(scenes: Scenes, wave: Tensor) -> None:
    """Add what rolls and slides to a wave [B, L], in place."""
    contact = along_the_ground(scenes)
    rows = ((contact.rolling + contact.sliding) > 0).flatten(1).any(1).nonzero()[:, 0]
    if not len(rows):
        return
    scenes = scenes[rows]
    rolling, sliding = contact.rolling[rows], contact.sliding[rows]
    table = torch.tensor([ROLLING[name] for name in MATERIALS])
    radius = torch.tensor(RADII)[scenes.size]
    weight = radius / RADII[1]
    rolls = (
        table[scenes.material]
        * (torch.tensor(ROLLS_ON)[scenes.ground] * ROLLING_LOUDNESS)[:, None, None]
    )
    slides = torch.tensor(SLIDING)[scenes.ground][:, None] * SLIDING_LOUDNESS
    bumps = _bumps(rolling, radius)
    for band, per_second in enumerate(BANDS):
        # a fast motion has more of the high noise
        rise = 0.8 + 0.35 * band
        loud = (rolling**rise * (weight * rolls[..., band])[:, None] * (1 + 0.35 * bumps)).sum(2)
        loud = loud + (sliding**rise * (weight * slides[..., band])[:, None]).sum(2)
        noise = smooth_noise(scenes.seed, 31 + band, per_second, wave.shape[1])
        wave[rows] += noise * between_frames(loud)


def _bumps(rolling: Tensor, radius: Tensor) -> Tensor:
    """Once a turn what rolls is louder, [B, F, N] from -1 to 1."""
    turned = (rolling / radius[:, None] / FPS).cumsum(1)
    return turned.sin()


def between_frames(value: Tensor) -> Tensor:
    """[B, F] to [B, F * SAMPLES]: a straight line from the frame before to this one."""
    before = torch.cat([value[:, :1], value[:, :-1]], 1)
    part = (torch.arange(SAMPLES) + 1) / SAMPLES
    return (before[..., None] + (value - before)[..., None] * part).flatten(1)


def weather(scenes: Scenes, wave: Tensor) -> None:
    """Add rain and wind to a wave [B, L], in place; snow makes no noise, nor does a room."""
    outside = scenes.place == PLACES.index("open")
    for name, strength in WIND.items():
        rows = (outside & (scenes.weather == WEATHERS.index(name))).nonzero()[:, 0]
        if not len(rows):
            continue
        seed = scenes.seed[rows]
        gust = 0.6 + 0.4 * smooth_noise(seed, 41, GUSTS, wave.shape[1])
        low = smooth_noise(seed, 42, 700, wave.shape[1])
        low = low + 0.5 * smooth_noise(seed, 43, 1800, wave.shape[1]) * gust
        wave[rows] += strength * gust * low
        if name == "rain":
            wave[rows] += _rain(seed, wave.shape[1])


def _rain(seed: Tensor, count: int) -> Tensor:
    """A steady hiss and single drops, [B, count]."""
    hiss = white(seed, 51, 0, count) * RAIN_LOUDNESS
    chance = white(seed, 52, -DROP_LENGTH, count + DROP_LENGTH)
    size = white(seed, 53, -DROP_LENGTH, count + DROP_LENGTH)
    falls = (chance > 1 - 2 * DROPS / RATE).float() * size.abs() ** 2
    time = torch.arange(DROP_LENGTH) / RATE
    drop = (2 * torch.pi * 3100 * time).sin() * (-time / 0.0007).exp()
    ring = functional.conv1d(falls[:, None], drop.flip(0)[None, None])[:, 0, 1:]
    return hiss + DROP_LOUDNESS * ring
