"""Lightning data modules: the rendered world (with real clips mixed in) and a folder of the user's own videos."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader, IterableDataset, Sampler, Subset

from .clip_pool import ClipPool
from .folder import ClipFolder
from .physics import PhysicsConfig
from .physics_dataset import HELD_OUT_SEED, PhysicsClips
from .sources import split_rows

log = logging.getLogger(__name__)
MANY_BATCHES = 10_000_000


class PhysicsDataModule(lightning.LightningDataModule):
    """Endless rendered clips; batches are {"video", "foreground", "caption"} as in `PhysicsClips`.

    Args:
        batch_size: clips per batch, rendered and real together.
        frames: frames per clip.
        size: side of the picture in pixels.
        world: which scenes are drawn.
        compiled: render through torch.compile (half a minute of compilation, then several times faster).
        real_root: folder of real videos to mix in; without it, or if it is not there (a warning), all is rendered.
        real_per_batch: how many clips of a batch are real.
        real_pool: real clips kept in memory.
        seed: first seed of the training scenes; everything below HELD_OUT_SEED may be trained on.
    """

    def __init__(
        self,
        batch_size: int = 8,
        frames: int = 17,
        size: int = 64,
        world: PhysicsConfig = PhysicsConfig(),
        compiled: bool = False,
        real_root: str | None = None,
        real_per_batch: int = 2,
        real_pool: int = 600,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if real_root is not None and not 0 <= real_per_batch < batch_size:
            raise ValueError(f"real_per_batch must be 0 to batch_size - 1; got {real_per_batch} of {batch_size}")
        self.batch_size, self.frames, self.size, self.world, self.compiled = batch_size, frames, size, world, compiled
        self.real_root, self.real_per_batch, self.real_pool, self.seed = real_root, real_per_batch, real_pool, seed
        self._pool: ClipPool | None = None
        self._batches_done = 0

    def setup(self, stage: str | None = None) -> None:
        if self.real_root is None or self.real_per_batch == 0 or self._pool is not None:
            return
        if not Path(self.real_root).is_dir():
            log.warning("real_root %s is not a folder; training on rendered clips alone", self.real_root)
            return
        folder = ClipFolder(self.real_root, self.frames, self.size, captions="none", zoom=1.5, seed=self.seed)
        self._pool = ClipPool(folder, self.real_pool)

    def train_dataloader(self) -> DataLoader[Any]:
        rendered = self.batch_size - (self.real_per_batch if self._pool else 0)
        clips = PhysicsClips(
            MANY_BATCHES, rendered, self.frames, self.size, self.world, self.seed, self._batches_done, self.compiled
        )
        dataset = _WithRealClips(clips, self._pool, self.real_per_batch) if self._pool else clips
        return DataLoader(dataset, batch_size=None)

    def val_dataloader(self) -> DataLoader[Any]:
        """Eight batches of scenes that are never trained on."""
        clips = PhysicsClips(8, self.batch_size, self.frames, self.size, self.world, HELD_OUT_SEED)
        return DataLoader(clips, batch_size=None)

    def state_dict(self) -> dict[str, Any]:
        """A resumed run goes on with the scene after the last one seen."""
        done = self.trainer.fit_loop.total_batch_idx + 1 if self.trainer else self._batches_done
        return {"batches_done": done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._batches_done = state_dict["batches_done"]


class _WithRealClips(IterableDataset[dict[str, Any]]):
    """Adds real clips to rendered batches; nothing in them is marked as foreground."""

    def __init__(self, clips: PhysicsClips, pool: ClipPool, per_batch: int) -> None:
        super().__init__()
        self.clips, self.pool, self.per_batch = clips, pool, per_batch

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        generator = torch.Generator()
        for index, batch in enumerate(self.clips, self.clips.start_batch):
            generator.manual_seed(self.clips.first_seed + index)  # the same after a restart
            real = self.pool.draw(self.per_batch, generator)
            unknown = torch.zeros(len(real), *batch["foreground"].shape[1:], dtype=torch.bool)
            yield {
                "video": torch.cat([batch["video"], real]),
                "foreground": torch.cat([batch["foreground"], unknown]),
                "caption": batch["caption"] + [""] * len(real),
            }


class FolderDataModule(lightning.LightningDataModule):
    """A folder of the user's own videos; batches are {"video" uint8 [B, 3, F, Y, X], "caption" list of str}.

    Args:
        root: folder with videos and, for captions, a manifest.csv, sidecar .txt files or telling folder names.
        fps: frames per second that clips are read at; None keeps each file's own.
        flip: mirror half of the clips; by default only clips without captions.
        validation: share of the clips kept for validation (at least one when there are two or more).
        workers: processes that decode.
    """

    def __init__(
        self,
        root: str,
        batch_size: int = 8,
        frames: int = 17,
        size: int = 64,
        fps: float | None = None,
        flip: bool | None = None,
        validation: float = 0.05,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1; got {batch_size}")
        self.root, self.batch_size, self.frames, self.size, self.fps = root, batch_size, frames, size, fps
        self.flip, self.validation, self.workers, self.seed = flip, validation, workers, seed

    def setup(self, stage: str | None = None) -> None:
        self.train_clips = ClipFolder(self.root, self.frames, self.size, fps=self.fps, flip=self.flip, seed=self.seed)
        self.val_clips = self.train_clips.fixed()
        self._train_rows, self._val_rows = split_rows(len(self.train_clips), self.validation, self.seed)

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(
            self.train_clips,
            self.batch_size,
            sampler=_NewClips(self.train_clips, self._train_rows, self.seed),
            num_workers=self.workers,
            multiprocessing_context="spawn" if self.workers else None,
            persistent_workers=self.workers > 0,
        )

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Subset(self.val_clips, self._val_rows), self.batch_size)


class _NewClips(Sampler[int]):
    """Rows of a folder in another order, and other clips of its videos, every epoch; Lightning tells it the epoch."""

    def __init__(self, clips: ClipFolder, rows: list[int], seed: int) -> None:
        self.clips, self.rows, self.seed, self.epoch = clips, rows, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        self.clips.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        return (self.rows[place] for place in torch.randperm(len(self.rows), generator=generator).tolist())
