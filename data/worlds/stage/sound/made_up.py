"""Sounds of scenes that nobody simulated: impacts and rolling at random, hundreds of times faster.

They are for training what reads or writes sound: more happens in them than on the stage, in every
mixture of materials, sizes, speeds, grounds and weathers.

Shapes: B clips, F frames, N object slots.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..scene import GROUNDS, MATERIALS, PLACES, SHAPES, SIZES, Scenes, latent_of_frame
from .events import FPS

SLOTS = 3
BOUNCES = 5
_CLIP_DRAWS, _SLOT_DRAWS = 8, 24


def made_up_scenes(seeds: Sequence[int], frames: int, meetings: float = 0.3) -> Scenes:
    """Scenes whose sound is worth hearing; pictures of them would make no sense.

    Each slot either falls and bounces, is hit now and then, moves along the ground or does nothing;
    in a share `meetings` of the clips two things hit one another, at times twice.
    Raises ValueError for no seeds and for frames below 1.
    """
    if len(seeds) < 1 or frames < 1:
        raise ValueError(f"seeds and frames must be at least 1; got {len(seeds)} and {frames}")
    generator = torch.Generator()
    draws = [
        torch.rand(_CLIP_DRAWS + SLOTS * _SLOT_DRAWS, generator=generator.manual_seed(int(seed)))
        for seed in seeds
    ]
    u = torch.stack(draws)
    clip, slot = u[:, :_CLIP_DRAWS], u[:, _CLIP_DRAWS:].unflatten(1, (SLOTS, _SLOT_DRAWS))
    B, N, F = len(seeds), SLOTS, frames
    impact, moment = _impacts(slot, frames)
    _collisions(clip, meetings, impact, moment)
    weather = torch.tensor([0, 0, 0, 0, 1, 1, 2, 3])[(clip[:, 1] * 8).long()]
    state = _nothing(B, F, N)
    state["velocity"][..., 0] = _speeds(slot, frames)
    heard = {
        "count": 1 + (clip[:, 0].sqrt() * N).long().clamp(max=N - 1),
        "shape": (slot[..., 0] * len(SHAPES)).long(),
        "material": (slot[..., 1] * len(MATERIALS)).long(),
        "size": (slot[..., 2] * len(SIZES)).long(),
        "lying": slot[..., 3] < 0.3,
        "ground": (clip[:, 2] * len(GROUNDS)).long(),
        "weather": weather,
        "place": torch.where(clip[:, 3] < 0.7, PLACES.index("open"), PLACES.index("room")),
        "seed": torch.tensor([int(seed) for seed in seeds]),
        "impact": impact,
        "moment": moment,
    }
    return Scenes(**{**state, **heard})


def _nothing(B: int, F: int, N: int) -> dict[str, Tensor]:
    """Every field of scenes in which nothing is or moves; what is not heard stays so."""
    clip, thing = torch.zeros(B, dtype=torch.long), torch.zeros(B, N, dtype=torch.long)
    vector = torch.zeros(B, F, N, 3)
    state = {name: clip for name in ("time", "style", "camera", "camera_speed", "weather", "place")}
    state |= {name: clip - 1 for name in ("camera_target", "steered")}
    state |= {name: thing[..., None].expand(B, N, 2) for name in ("motion", "direction", "speed")}
    state |= {name: thing - 1 for name in ("then_frame", "target")}
    state |= {name: vector.clone() for name in ("position", "velocity", "turning")}
    return state | {
        "colour": thing,
        "rgb": torch.zeros(B, N, 3),
        "rotation": torch.eye(3).expand(B, F, N, 3, 3),
        "resting": torch.ones(B, F, N, dtype=torch.bool),
        "eye": torch.zeros(B, F, 3),
        "view": torch.zeros(B, F, 2),
        "lens": torch.ones(B, F),
        "action": torch.zeros(B, int(latent_of_frame(F - 1)) + 1, dtype=torch.long),
    }


def _impacts(u: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Falls with bounces, and single blows against ground or wall: [B, F, N, N + 2] each."""
    B, N = u.shape[:2]
    impact = torch.zeros(B, frames, N, N + 2)
    moment = torch.zeros_like(impact)
    seconds = frames / FPS
    falls = u[..., 4] < 0.45
    speed = 0.3 + 3.2 * u[..., 5] ** 1.5
    time = u[..., 6] * seconds
    keep = 0.25 + 0.6 * u[..., 7]
    for bounce in range(BOUNCES):
        other = torch.where(u[..., 8] < 0.85, N, N + 1)
        _put(impact, moment, time, other, torch.where(falls, speed, 0.0))
        time = time + 2 * keep * speed / 5.0
        speed = speed * keep * (speed * keep > 0.15)
        if bounce == 0:
            falls = falls & (u[..., 9] < 0.7)
    for blow in range(3):
        at = u[..., 10 + 3 * blow] * seconds
        strength = torch.where(u[..., 11 + 3 * blow] < 0.25, 0.2 + 3 * u[..., 12 + 3 * blow], 0.0)
        _put(impact, moment, at, torch.full_like(falls, N, dtype=torch.long), strength)
    return impact, moment


def _put(impact: Tensor, moment: Tensor, time: Tensor, other: Tensor, speed: Tensor) -> None:
    """Note impacts at `time` [B, N] in seconds, the harder of two in one frame, in place."""
    frame = (time * FPS).long()
    inside = (frame < impact.shape[1]) & (speed > 0)
    clip, slot = inside.nonzero().unbind(1)
    place: tuple[Tensor, ...] = (clip, frame[clip, slot], slot, other[clip, slot])
    harder = speed[clip, slot] > impact[place]
    place = tuple(index[harder] for index in place)
    impact[place] = speed[clip, slot][harder]
    moment[place] = (time * FPS % 1 / FPS)[clip, slot][harder]


def _collisions(u: Tensor, share: float, impact: Tensor, moment: Tensor) -> None:
    """In some clips the first two things meet, in place."""
    frames = impact.shape[1]
    for number in range(2):
        meets = (u[:, 4] < share / (1 + 2 * number)).nonzero()[:, 0]
        frame = ((u[meets, 5] + 0.41 * number) % 1 * frames).long()
        speed = 0.3 + 2.5 * ((u[meets, 6] + 0.37 * number) % 1)
        for one, two in ((0, 1), (1, 0)):
            impact[meets, frame, one, two] = speed
            moment[meets, frame, one, two] = u[meets, 7] / FPS


def _speeds(u: Tensor, frames: int) -> Tensor:
    """Metres per second along the ground, [B, F, N]: set in motion at once, then slower."""
    time = torch.arange(frames)[:, None] / FPS
    begin = (u[..., 19] * 1.6 - 0.6) * frames / FPS
    first = 0.3 + 2.5 * u[..., 20]
    slowing = 0.1 + 0.9 * u[..., 21]
    since = time - begin[:, None]
    speed = (first[:, None] - slowing[:, None] * since).clamp_min(0)
    wobble = 1 + 0.2 * (2 * math.pi * (1 + 2 * u[..., 22])[:, None] * time).sin()
    moves = (u[..., 23] < 0.4)[:, None] & (since >= 0)
    return torch.where(moves, speed * wobble, 0.0)
