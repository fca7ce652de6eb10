"""Lightning data modules: rendered clips, mixed with real ones, and folders of videos."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, Sampler, Subset

from ...data.datasets.clip_pool import ClipPool
from ...data.datasets.folder import ClipFolder
from ...data.datasets.held_out import split_by_source
from ...data.datasets.source import split_rows
from ...data.datasets.wanted import Wanted
from ...data.ledger.sources import ledger_of_folder, rendered_row
from ...data.worlds.physics.clips import HELD_OUT_SEED, PhysicsClips
from ...data.worlds.physics.scene import PhysicsConfig
from .ledger_data_module import WithLedger, known_contents

log = logging.getLogger(__name__)
MANY_BATCHES = 10_000_000


class PhysicsDataModule(WithLedger):
    """Endless rendered clips; batches are {"video", "foreground", "caption"} as in `PhysicsClips`.

    Args:
        batch_size: clips per batch, rendered and real together.
        frames: frames per clip.
        size: side of the picture in pixels.
        world: which scenes are drawn.
        compiled: render through torch.compile (half a minute of compilation, then several times
            faster).
        real_root: folder of real videos to mix in; without it, or if it is not there (a warning),
            all is rendered.
        real_per_batch: how many clips of a batch are real.
        real_pool: real clips kept in memory, 3 * frames * size^2 bytes each.
        real_zoom: real clips are cut from pictures scaled up to this many times the size needed.
        real_jitter: how much their brightness, contrast and colours change at random, from 0 to 1.
        real_held_out: sources of real videos to validate on and not to train on, as in
            `split_by_source`.
        real_validation: number of clips that are cut from the held-out videos.
        seed: first seed of the training scenes; all seeds below HELD_OUT_SEED are for training.
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
        real_zoom: float = 1.5,
        real_jitter: float = 0.0,
        real_held_out: list[str] | None = None,
        real_validation: int = 24,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if real_root is not None and not 0 <= real_per_batch < batch_size:
            raise ValueError(
                f"real_per_batch must be 0 to batch_size - 1; got {real_per_batch} of {batch_size}"
            )
        self.batch_size = batch_size
        self.frames = frames
        self.size = size
        self.world = world
        self.compiled = compiled
        if real_held_out and real_root is None:
            raise ValueError(
                "real_held_out is about real videos: set real_root to the folder that holds them"
            )
        if not 0 <= real_jitter <= 1:
            raise ValueError(f"real_jitter must be from 0 to 1; got {real_jitter}")
        self.real_root = real_root
        self.real_per_batch = real_per_batch
        self.real_pool = real_pool
        self.seed = seed
        self.real_zoom = real_zoom
        self.real_jitter = real_jitter
        self.real_held_out = real_held_out or []
        self.real_validation = real_validation
        self._pool: ClipPool | None = None
        self._held_out: ClipPool | None = None
        self._batches_done = 0
        self.ledger = [rendered_row("physics world, rendered while training", 1)]

    def setup(self, stage: str | None = None) -> None:
        if self.real_root is None or self.real_per_batch == 0 or self._pool is not None:
            return
        if not Path(self.real_root).is_dir():
            log.warning(
                "real_root %s is not a folder; training on rendered clips alone", self.real_root
            )
            return
        folder = ClipFolder(
            self.real_root,
            self.frames,
            self.size,
            captions="none",
            zoom=self.real_zoom,
            seed=self.seed,
        )
        rows, held_out = split_by_source(folder, self.real_held_out)
        rows = self._allowed(folder, rows)
        self._pool = ClipPool(folder, self.real_pool, rows)
        if held_out:
            whole = ClipFolder(self.real_root, self.frames, self.size, captions="none", flip=False)
            self._held_out = ClipPool(whole, self.real_validation, held_out)

    def _allowed(self, folder: ClipFolder, rows: list[int]) -> list[int]:
        """Those of the videos that are not struck out; fills the ledger."""
        real, left_out = ledger_of_folder(folder, rows, known_contents(self))
        self.ledger = [*self.ledger, *real]
        return folder.leave_out(left_out, rows) if left_out else rows

    def train_dataloader(self) -> DataLoader[Any]:
        rendered = self.batch_size - (self.real_per_batch if self._pool else 0)
        clips = PhysicsClips(
            MANY_BATCHES,
            rendered,
            self.frames,
            self.size,
            self.world,
            self.seed,
            self._batches_done,
            self.compiled,
        )
        dataset = (
            WithRealClips(clips, self._pool, self.real_per_batch, self.real_jitter)
            if self._pool
            else clips
        )
        return DataLoader(dataset, batch_size=None)

    def val_dataloader(self) -> DataLoader[Any]:
        """Eight batches of rendered clips, then the held-out real ones; "kind" names which."""
        clips = PhysicsClips(
            8,
            self.batch_size,
            self.frames,
            self.size,
            self.world,
            HELD_OUT_SEED,
            compiled=self.compiled,
        )
        return DataLoader(_Validation(clips, self._held_out), batch_size=None)

    def state_dict(self) -> dict[str, Any]:
        """A resumed run continues with the scene after the last one used."""
        done = self.trainer.fit_loop.total_batch_idx + 1 if self.trainer else self._batches_done
        return {"batches_done": done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._batches_done = state_dict["batches_done"]


class WithRealClips(IterableDataset[dict[str, Any]]):
    """Adds real clips to rendered batches; none of their pixels is marked as foreground."""

    def __init__(self, clips: Any, pool: ClipPool, per_batch: int, jitter: float) -> None:
        super().__init__()
        self.clips = clips
        self.pool = pool
        self.per_batch = per_batch
        self.jitter = jitter

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        generator = torch.Generator()
        for index, batch in enumerate(self.clips, self.clips.start_batch):
            generator.manual_seed(self.clips.first_seed + index)  # the same after a restart
            real = self.pool.draw(self.per_batch, generator, self.jitter)
            unknown = torch.zeros(len(real), *batch["foreground"].shape[1:], dtype=torch.bool)
            yield {
                "video": torch.cat([batch["video"], real]),
                "foreground": torch.cat([batch["foreground"], unknown]),
                "caption": batch["caption"] + [""] * len(real),
            }


class _Validation(IterableDataset[dict[str, Any]]):
    """Rendered batches, then real ones of the same size."""

    def __init__(self, clips: PhysicsClips, pool: ClipPool | None) -> None:
        super().__init__()
        self.clips = clips
        self.real = pool.video.split(clips.batch_size) if pool else ()

    def __len__(self) -> int:
        return len(self.clips) + len(self.real)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from ({**batch, "kind": "rendered"} for batch in self.clips)
        yield from ({"video": video, "kind": "real"} for video in self.real)


class FolderDataModule(WithLedger):
    """A folder of the user's own videos; batches are {"video" uint8 [B, 3, F, Y, X], "caption" list
    of str}.

    Args:
        root: folder with videos. Captions come from a manifest.csv, from sidecar .txt files, or
            from the names of folders; data sets in a layout of their own are found by themselves.
        fps: frames per second that clips are read at; None keeps each file's own.
        flip: mirror half of the clips; by default only clips without captions.
        validation: share of the clips kept for validation (at least one when there are two or
            more).
        workers: processes that decode.
        wanted: layout, split, words of labels and a filter, see `Wanted`.
        validation_split: validate on this split of the data set, and train on all that is wanted.
        require_licence: refuse videos whose licence is none of these SPDX names, such as
            "CC-BY-4.0,CC0-1.0".
    """

    def __init__(
        self,
        root: str,
        batch_size: int = 8,
        frames: int = 17,
        size: int = 64,
        fps: float | None = None,
        flip: bool | None = None,
        require_licence: str | None = None,
        validation: float = 0.05,
        workers: int = 0,
        seed: int = 0,
        wanted: Wanted = Wanted(),
        validation_split: str | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1; got {batch_size}")
        self.root = root
        self.batch_size = batch_size
        self.frames = frames
        self.size = size
        self.fps = fps
        self.flip = flip
        self.require_licence = require_licence
        self.validation = validation
        self.workers = workers
        self.seed = seed
        self.wanted = wanted
        self.validation_split = validation_split
        self._batches_done = 0  # of the epoch in which a run that goes on was stopped

    def setup(self, stage: str | None = None) -> None:
        self.train_clips = self._clips(self.wanted)
        self.val_clips = self.train_clips.fixed()
        share = 0.0 if self.validation_split else self.validation
        self._train_rows, self._val_rows = split_rows(len(self.train_clips), share, self.seed)
        if self.validation_split is not None:
            self.val_clips = self._clips(replace(self.wanted, split=self.validation_split)).fixed()
            self._val_rows = list(range(len(self.val_clips)))
        self._train_rows = self._allowed(self._train_rows)
        if not self._val_rows:
            log.warning("nothing is validated: no video of '%s' is held out", self.root)

    def _clips(self, wanted: Wanted) -> ClipFolder:
        return ClipFolder(
            self.root,
            self.frames,
            self.size,
            fps=self.fps,
            flip=self.flip,
            seed=self.seed,
            wanted=wanted,
        )

    def _allowed(self, rows: list[int]) -> list[int]:
        """Those of the videos that are not struck out; fills the ledger."""
        contents = known_contents(self)
        allowed = self.require_licence
        self.ledger, left_out = ledger_of_folder(self.train_clips, rows, contents, allowed)
        return self.train_clips.leave_out(left_out, rows) if left_out else rows

    def train_dataloader(self) -> DataLoader[Any]:
        sampler = _NewClips(self.train_clips, self._train_rows, self.seed)
        loader = DataLoader(
            self.train_clips,
            self.batch_size,
            sampler=sampler,
            num_workers=self.workers,
            multiprocessing_context="spawn" if self.workers else None,
            persistent_workers=self.workers > 0,
        )
        # Of several processes each has a share of the order, which begins anew in them.
        is_alone = self.trainer is None or self.trainer.world_size == 1
        if is_alone and self._batches_done < len(loader):
            sampler.skipped = self._batches_done * self.batch_size
        return loader

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Subset(self.val_clips, self._val_rows), self.batch_size)

    def state_dict(self) -> dict[str, Any]:
        """A resumed run continues with the clip after the last one used."""
        if self.trainer is None:
            return {"batches_done": self._batches_done}
        return {"batches_done": self.trainer.fit_loop.epoch_loop.batch_progress.current.ready}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._batches_done = state_dict["batches_done"]


class _NewClips(Sampler[int]):
    """Rows of a folder in a new order, and new clips of its videos, in every epoch; the first one
    begins after the rows that are `skipped`."""

    def __init__(self, clips: ClipFolder, rows: list[int], seed: int) -> None:
        self.clips = clips
        self.rows = rows
        self.seed = seed
        self.epoch = 0
        self.skipped = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        self.clips.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(len(self.rows), generator=generator).tolist()
        begin = self.skipped
        self.skipped = 0
        return (self.rows[place] for place in order[begin:])
