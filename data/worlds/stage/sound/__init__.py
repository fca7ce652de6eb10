"""The sound of the stage: every impact by material, size and speed, what rolls and slides, rain and
wind, and nothing where nothing sounds."""

from __future__ import annotations

import torch
from torch import Tensor

from ..scene import Scenes
from .events import FPS, GROUND, RATE, SAMPLES, WALL, Impacts, impacts
from .modes import strike
from .noise import friction, weather

__all__ = ["FPS", "GROUND", "RATE", "SAMPLES", "WALL", "Impacts", "impacts", "sound"]

LINEAR = 0.7  # up to here a wave stays as it is


def sound(scenes: Scenes) -> Tensor:
    """float32 [B, F * SAMPLES] in (-1, 1), mono, RATE samples a second, for frames at FPS a second.

    The sound of a frame is that of the time since the frame before. It follows from the scene and
    its seed, and a longer clip begins as a shorter one. Where nothing sounds it is exactly zero.
    """
    wave = torch.zeros(len(scenes), scenes.frames * SAMPLES)
    strike(impacts(scenes), scenes.seed, wave)
    friction(scenes, wave)
    weather(scenes, wave)
    return soft_limit(wave)


def soft_limit(wave: Tensor) -> Tensor:
    """The same wave below LINEAR; what is louder is bent so that it stays below 1."""
    over = wave.abs() - LINEAR
    bent = LINEAR + (1 - LINEAR) * torch.tanh(over / (1 - LINEAR))
    return torch.where(over > 0, wave.sign() * bent, wave)
