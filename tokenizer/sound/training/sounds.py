"""Sounds to learn from: made-up scenes of the stage, and a folder of videos or sound files."""

import logging
from pathlib import Path

import torch
from torch import Tensor

from ....data.ledger.card import save_training_data
from ....data.ledger.content import KnownContents
from ....data.ledger.rows import LedgerRow
from ....data.ledger.sources import ledger_of_files, rendered_row
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


def sounds_to_learn(
    clips: int, frames: int, root: Path | None, seconds: float
) -> tuple[Tensor, list[LedgerRow]]:
    """Made-up sounds and pieces of the files of a folder, `[B, L]`, and what the ledger says of
    them; files that are struck out are left out. ValueError if the folder has too little sound."""
    waves = made_up_sounds(range(clips), frames)
    learned = [rendered_row("sounds of the stage", clips)]
    if root is None:
        return waves, learned
    sounds = read_folder(root, seconds)
    paths = list(sounds)
    rows, left_out = ledger_of_files(root, dict(enumerate(paths)), KnownContents(None))
    kept = [sounds[path] for row, path in enumerate(paths) if row not in left_out]
    real = [pieces_of(wave, frames) for wave in kept]
    if not sum(map(len, real)):
        raise ValueError(f"{root} has no file with {frames * SAMPLES / RATE:.1f} seconds of sound")
    return torch.cat([waves, *real]), [*learned, *rows]


def note_sounds(folder: Path, learned: list[LedgerRow]) -> None:
    """Write beside a tokenizer what it learned from."""
    save_training_data(folder, learned, part="tokenizer")
