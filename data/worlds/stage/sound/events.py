"""What makes a noise on the stage and when: impacts, and motion along the ground.

The sound of a frame is that of the time since the frame before, in which everything that the frame
shows has happened: sample `i` of frame `f` is what happened `i / RATE` seconds after frame `f - 1`.
So a picture and its sound say the same, and a longer clip begins as a shorter one.

Shapes: B clips, F frames, N object slots, K impacts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..scene import SHAPES, Scenes

RATE = 24_000  # samples per second
FPS = 12
SAMPLES = RATE // FPS  # per frame
FAINTEST = 0.12  # m/s; a slower impact makes no noise
SLOWEST = 0.06  # m/s; what moves more slowly along the ground makes no noise
GROUND, WALL = -2, -1  # what an object hits besides other objects


@dataclass(frozen=True)
class Impacts:
    """K impacts, each as one object hears it: two objects that hit one another make two.

    clip, slot: who sounds. other: a slot, GROUND or WALL. sample: of the clip. speed: m/s.
    material, size: words of `scene` of the one that sounds; ground: that of its clip.
    """

    clip: Tensor
    slot: Tensor
    other: Tensor
    sample: Tensor
    speed: Tensor
    material: Tensor
    size: Tensor
    ground: Tensor

    def __len__(self) -> int:
        return len(self.clip)


def impacts(scenes: Scenes) -> Impacts:
    """All impacts that make a noise, ordered by clip and time."""
    N = scenes.shape.shape[1]
    loud = (scenes.impact > FAINTEST) & scenes.present[:, None, :, None]
    clip, frame, slot, other = loud.nonzero().unbind(1)
    moment = scenes.moment[clip, frame, slot, other].double()
    offset = (moment * RATE).round().long().clamp(0, SAMPLES - 1)
    sample = frame * SAMPLES + offset
    order = (clip * (scenes.frames * SAMPLES) + sample).argsort(stable=True)
    clip, frame, slot, other, sample = (x[order] for x in (clip, frame, slot, other, sample))
    return Impacts(
        clip,
        slot,
        torch.where(other >= N, other - N + GROUND, other),
        sample,
        scenes.impact[clip, frame, slot, other],
        scenes.material[clip, slot],
        scenes.size[clip, slot],
        scenes.ground[clip],
    )


@dataclass(frozen=True)
class Contact:
    """Motion along the ground, [B, F, N] each: metres per second of what rolls and of what slides,
    0 for what does neither."""

    rolling: Tensor
    sliding: Tensor


def along_the_ground(scenes: Scenes) -> Contact:
    flat = scenes.velocity[..., [0, 2]].norm(dim=-1)
    touches = scenes.resting & scenes.present[:, None]
    speed = torch.where(touches, (flat - SLOWEST).clamp_min(0), 0.0)
    rolls = (scenes.lying | (scenes.shape == SHAPES.index("ball")))[:, None]
    return Contact(torch.where(rolls, speed, 0.0), torch.where(rolls, 0.0, speed))
