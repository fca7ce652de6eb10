"""Lightning data module: sounds of the stage, and those of a folder of videos or sound files mixed
in."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from ....data.ledger.sources import ledger_of_files, rendered_row
from ....data.video.frames import VideoError
from ....data.video.sound import read_sound
from ....data.worlds.stage.clips import HELD_OUT_SEED
from ....data.worlds.stage.sample import sample_scenes
from ....data.worlds.stage.scene import StageConfig
from ....data.worlds.stage.sound import RATE, SAMPLES, sound
from ....data.worlds.stage.sound.made_up import made_up_scenes
from ...training.ledger_data_module import WithLedger, known_contents

log = logging.getLogger(__name__)


class SoundDataModule(WithLedger):
    """Endless sounds; batches are {"sound" int16 [B, L]} of 24,000 samples a second.

    Most are of made-up scenes of the stage: a pool of them is kept and some are replaced by new
    ones at every batch. Validation is on scenes that were simulated, and on the ends of the files.

    Args:
        batch_size: sounds per batch, made and real together.
        frames: video frames per sound, of 2,000 samples each.
        pool: made-up sounds kept in memory.
        fresh: new ones at every batch.
        real_root: folder of videos or sound files to mix in, searched with its folders; None for
            none.
        real_per_batch: how many sounds of a batch are real.
        real_seconds: of each file that are kept in memory.
        validation: simulated scenes, and real sounds, to validate on.
        seed: of the first made-up scene.
    """

    def __init__(
        self,
        batch_size: int = 8,
        frames: int = 21,
        pool: int = 512,
        fresh: int = 1,
        real_root: str | None = None,
        real_per_batch: int = 2,
        real_seconds: float = 60.0,
        validation: int = 48,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= real_per_batch < batch_size:
            raise ValueError(
                f"real_per_batch must be 0 to batch_size - 1; got {real_per_batch} of {batch_size}"
            )
        if min(frames, pool, validation) < 1 or fresh < 0:
            raise ValueError(
                "frames, pool and validation must be at least 1, and fresh 0 or more; got "
                f"{frames}, {pool}, {validation} and {fresh}"
            )
        self.batch_size = batch_size
        self.frames = frames
        self.pool = pool
        self.fresh = fresh
        self.real_root = real_root
        self.real_per_batch = real_per_batch
        self.real_seconds = real_seconds
        self.validation = validation
        self.seed = seed
        self._real: list[Tensor] = []
        self._held_out: list[Tensor] = []
        self._batches_done = 0
        self.ledger = [rendered_row("sounds of the stage, made while training", 1)]

    @property
    def length(self) -> int:
        """Samples of a sound."""
        return self.frames * SAMPLES

    def setup(self, stage: str | None = None) -> None:
        """Read the files once, but for those that are struck out; ValueError if none of them has
        enough sound."""
        if self.real_root is None or self._real:
            return
        sounds = read_folder(Path(self.real_root), self.real_seconds)
        paths = [path for path, wave in sounds.items() if len(wave) >= 2 * self.length]
        real, left_out = ledger_of_files(
            Path(self.real_root), dict(enumerate(paths)), known_contents(self)
        )
        self.ledger = [*self.ledger, *real]
        long = [sounds[path] for row, path in enumerate(paths) if row not in left_out]
        if not long:
            raise ValueError(
                f"{self.real_root} has no file with {2 * self.length / RATE:.1f} seconds of sound"
            )
        self._held_out = [wave[-self.length :] for wave in long][: self.validation]
        self._real = [wave[: -self.length] for wave in long]

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(_Sounds(self), batch_size=None)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(_Validation(self), batch_size=None)

    def state_dict(self) -> dict[str, Any]:
        """A resumed run goes on with other sounds than the ones heard."""
        done = self.trainer.fit_loop.total_batch_idx + 1 if self.trainer else self._batches_done
        return {"batches_done": done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._batches_done = state_dict["batches_done"]


def read_folder(root: Path, seconds: float) -> dict[Path, Tensor]:
    """The sounds of all files under a folder, int16 [L]; those without sound are counted in one
    line."""
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder")
    sounds = {}
    silent = 0
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        try:
            sounds[path] = to_int16(read_sound(path, RATE, seconds))
        except VideoError:
            silent += 1
    log.info("%s: %d files with sound, %d without", root, len(sounds), silent)
    return sounds


def to_int16(wave: Tensor) -> Tensor:
    return (wave * 32767).round().to(torch.int16)


class _Sounds(IterableDataset[dict[str, Any]]):
    """Batches of made-up sounds from a pool that changes slowly, and of real ones."""

    def __init__(self, module: SoundDataModule) -> None:
        super().__init__()
        self.module = module

    def __iter__(self) -> Iterator[dict[str, Any]]:
        m = self.module
        step = m._batches_done
        next_seed = m.seed + m.pool + step * m.fresh
        pool = made_up_sounds(range(next_seed - m.pool, next_seed), m.frames)
        made = m.batch_size - (m.real_per_batch if m._real else 0)
        while True:
            generator = torch.Generator().manual_seed(m.seed + step)
            if m.fresh:
                fresh = made_up_sounds(range(next_seed, next_seed + m.fresh), m.frames)
                places = torch.arange(next_seed, next_seed + m.fresh) % m.pool
                pool[places] = fresh
                next_seed += m.fresh
            rows = torch.randint(m.pool, (made,), generator=generator)
            parts = [pool[rows]]
            if m._real:
                parts.append(self._real(generator))
            yield {"sound": torch.cat(parts)}
            step += 1

    def _real(self, generator: torch.Generator) -> Tensor:
        """Pieces of files at random, as loud as they are or softer."""
        m = self.module
        pieces = []
        for _ in range(m.real_per_batch):
            file, place, gain = torch.rand(3, generator=generator).tolist()
            wave = m._real[int(file * len(m._real))]
            begin = int(place * (len(wave) - m.length + 1))
            piece = wave[begin : begin + m.length].float() * 10 ** (-gain)
            pieces.append(piece.round().to(torch.int16))
        return torch.stack(pieces)


class _Validation(IterableDataset[dict[str, Any]]):
    """Simulated scenes that are never trained on, then the held-out ends of files; "kind" says
    which."""

    def __init__(self, module: SoundDataModule) -> None:
        super().__init__()
        config = StageConfig(max_objects=3, moving_objects=0.95)
        seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + module.validation)
        scenes = sample_scenes(seeds, module.frames, config)
        self.stage = to_int16(sound(scenes)).split(module.batch_size)
        real = torch.stack(module._held_out) if module._held_out else None
        self.real = real.split(module.batch_size) if real is not None else ()

    def __len__(self) -> int:
        return len(self.stage) + len(self.real)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from ({"sound": wave, "kind": "stage"} for wave in self.stage)
        yield from ({"sound": wave, "kind": "real"} for wave in self.real)


def made_up_sounds(seeds: range, frames: int) -> Tensor:
    """int16 [B, L]."""
    return to_int16(sound(made_up_scenes(seeds, frames)))
