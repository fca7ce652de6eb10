"""Sounds to learn from: made-up scenes of the stage, and a folder of videos or sound files."""

import logging
from pathlib import Path

import torch
from torch import Tensor

from ....data.video.frames import VideoError
from ....data.video.sound import read_sound
from ....data.worlds.stage.sound import RATE, SAMPLES, sound
from ....data.worlds.stage.sound.made_up import made_up_scenes

log = logging.getLogger(__name__)


def made_up_sounds(seeds: range, frames: int) -> Tensor:
    """Sounds `[B, L]` of scenes that nobody simulated."""
    return sound(made_up_scenes(seeds, frames))


def read_folder(root: Path, seconds: float) -> dict[Path, Tensor]:
    """The sounds of all files under a folder, `[L]`; those without sound are counted in one
    line. ValueError if it is no folder."""
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder")
    sounds = {}
    silent = 0
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        try:
            sounds[path] = read_sound(path, RATE, seconds)
        except VideoError:
            silent += 1
    log.info("%s: %d files with sound, %d without", root, len(sounds), silent)
    return sounds


def pieces_of(wave_L: Tensor, frames: int) -> Tensor:
    """A long sound in pieces of so many frames, `[B, L]`; what is left at the end is left out."""
    length = frames * SAMPLES
    count = len(wave_L) // length
    return wave_L[: count * length].view(count, length) if count else torch.zeros(0, length)
