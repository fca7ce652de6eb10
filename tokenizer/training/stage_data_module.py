"""Lightning data module of the stage: large renders from the disk, windows and averages of them to
train on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from ...data.datasets.clip_pool import ClipPool
from ...data.datasets.folder import ClipFolder
from ...data.ledger.sources import ledger_of_folder, rendered_row
from ...data.worlds.clip_store import PART, ClipStore
from ...data.worlds.stage.clips import HELD_OUT_SEED
from ...data.worlds.stage.scene import StageConfig
from ...data.worlds.stage.store import kinds, stage_store
from .data_module import WithRealClips
from .ledger_data_module import WithLedger, known_contents

log = logging.getLogger(__name__)
MANY_BATCHES = 10_000_000
TRIES = 3  # windows that the one with the most foreground is taken of


class StageDataModule(WithLedger):
    """Clips of the stage; batches are {"video", "foreground", "caption"}, and in validation "kind".

    Each training clip comes from a stored clip of `render_frames` frames and `render_size` pixels:
    frames in a row of it, and either a window or the average of the whole picture, half of them
    mirrored. The store grows while it is trained on, up to `clips`.

    Args:
        folder: where rendered clips are kept; 3 * render_frames * render_size^2 bytes each.
        batch_size: clips per batch, rendered and real together.
        frames, size: of a training clip.
        render_frames, render_size: of a stored clip; render_size is a multiple of size.
        crops: share of training clips that are windows of the large picture.
        clips: how many clips the store holds in the end.
        first_clips: how many it holds before the first step.
        new_per_batch: clips by which it grows in each step, on average.
        validation: clips of each kind (style, weather) to validate on, as whole pictures.
        validation_size: of their pictures; `size` unless given.
        world: which scenes are drawn.
        compiled: render through torch.compile.
        real_root: folder of real videos to mix in; a warning if it is not there.
        real_per_batch: how many clips of a batch are real.
        real_pool: real clips kept in memory.
        seed: first seed of the training scenes; everything below HELD_OUT_SEED may be trained on.
    """

    def __init__(
        self,
        folder: str = "runs/clips",
        batch_size: int = 8,
        frames: int = 17,
        size: int = 128,
        render_frames: int = 17,
        render_size: int = 256,
        crops: float = 0.5,
        clips: int = 1500,
        first_clips: int = 64,
        new_per_batch: float = 0.5,
        validation: int = 8,
        validation_size: int | None = None,
        world: StageConfig = StageConfig(),
        compiled: bool = False,
        real_root: str | None = None,
        real_per_batch: int = 0,
        real_pool: int = 200,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if size < 1 or render_size % size:
            raise ValueError(
                f"render_size must be a multiple of the size, {size}; got {render_size}"
            )
        if not 1 <= frames <= render_frames:
            raise ValueError(f"frames must be 1 to render_frames, {render_frames}; got {frames}")
        if not 0 <= crops <= 1:
            raise ValueError(f"crops is a share, from 0 to 1; got {crops}")
        if not 0 <= real_per_batch < batch_size:
            raise ValueError(
                f"real_per_batch must be 0 to batch_size - 1; got {real_per_batch} of {batch_size}"
            )
        self.folder = folder
        self.batch_size = batch_size
        self.frames = frames
        self.size = size
        self.render_frames = render_frames
        self.render_size = render_size
        self.crops = crops
        self.clips = clips
        self.first_clips = first_clips
        self.new_per_batch = new_per_batch
        self.validation = validation
        self.validation_size = size if validation_size is None else validation_size
        self.world = world
        self.compiled = compiled
        self.real_root = real_root
        self.real_per_batch = real_per_batch
        self.real_pool = real_pool
        self.seed = seed
        self._pool: ClipPool | None = None
        self._batches_done = 0
        self.ledger = [rendered_row("stage world, rendered while training", clips)]

    def setup(self, stage: str | None = None) -> None:
        if self.real_root is None or not self.real_per_batch or self._pool is not None:
            return
        if not Path(self.real_root).is_dir():
            log.warning(
                "real_root %s is not a folder; training on rendered clips alone", self.real_root
            )
            return
        folder = ClipFolder(self.real_root, self.frames, self.size, captions="none", zoom=1.5)
        rows = list(range(len(folder)))
        real, left_out = ledger_of_folder(folder, rows, known_contents(self))
        self.ledger = [*self.ledger, *real]
        rows = folder.leave_out(left_out, rows) if left_out else rows
        self._pool = ClipPool(folder, self.real_pool, rows)

    def train_dataloader(self) -> DataLoader[Any]:
        store = self._store(self.render_frames, self.render_size, self.world, self.seed)
        clips: Any = _Windows(self, store, self.batch_size - self._real, self._batches_done)
        if self._pool:
            clips = WithRealClips(clips, self._pool, self._real, jitter=0.0)
        return DataLoader(clips, batch_size=None)

    def val_dataloader(self) -> DataLoader[Any]:
        """Whole pictures of scenes that are never trained on, one kind after another."""
        stores = {
            kind: self._store(self.render_frames, self.validation_size, config, HELD_OUT_SEED)
            for kind, config in kinds(self.world).items()
        }
        return DataLoader(_Kinds(stores, self.validation, self.batch_size), batch_size=None)

    @property
    def _real(self) -> int:
        return self.real_per_batch if self._pool else 0

    def _store(self, frames: int, size: int, world: StageConfig, seed: int) -> ClipStore:
        return stage_store(self.folder, frames, size, world, seed, self.compiled)

    def state_dict(self) -> dict[str, Any]:
        """A resumed run goes on with the batch after the last one seen."""
        done = self.trainer.fit_loop.total_batch_idx + 1 if self.trainer else self._batches_done
        return {"batches_done": done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._batches_done = state_dict["batches_done"]


class _Windows(IterableDataset[dict[str, Any]]):
    """Batch i is the same after a restart: the draws, and how many clips it draws from."""

    def __init__(
        self, data: StageDataModule, store: ClipStore, batch_size: int, start_batch: int
    ) -> None:
        super().__init__()
        self.data = data
        self.store = store
        self.batch_size = batch_size
        self.first_seed = data.seed
        self.start_batch = start_batch

    def __len__(self) -> int:
        return MANY_BATCHES

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for index in range(self.start_batch, self.start_batch + MANY_BATCHES):
            wanted = self.data.first_clips + int(index * self.data.new_per_batch)
            wanted = min(self.data.clips, wanted) // PART * PART
            count = self.store.grow(max(wanted, PART))
            generator = torch.Generator().manual_seed(self.first_seed + index)
            rows = torch.randint(count, (self.batch_size,), generator=generator).tolist()
            pairs = [self._clip(row, generator) for row in rows]
            yield {
                "video": torch.stack([video for video, _ in pairs]),
                "foreground": torch.stack([mask for _, mask in pairs]),
                "caption": [""] * len(pairs),
            }

    def _clip(self, row: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Video uint8 [3, F, Y, X] and foreground bool [1, F, Y, X]."""
        (video,), (mask,) = self.store.read([row])
        begin = int(torch.randint(video.shape[1] - self.data.frames + 1, (), generator=generator))
        frames = slice(begin, begin + self.data.frames)
        video = video[:, frames]
        mask = mask[:, frames]
        draws = torch.rand(2, generator=generator)
        if draws[0] < self.data.crops:
            video, mask = window(video, mask, self.data.size, generator)
        else:
            ratio = video.shape[-1] // self.data.size
            video, mask = averaged(video, ratio), averaged(255 * mask, ratio) > 127
        if draws[1] < 0.5:
            video, mask = video.flip(-1), mask.flip(-1)
        return video, mask


def window(
    video: Tensor, mask: Tensor, side: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The same square of all frames: of a few random ones, the one with the most foreground."""
    most = video.shape[-1] - side
    corners = torch.randint(most + 1, (TRIES, 2), generator=generator).tolist()
    places = [(..., slice(y, y + side), slice(x, x + side)) for y, x in corners]
    best = max(places, key=lambda place: int(mask[place].sum()))
    return video[best], mask[best]


def averaged(video: Tensor, ratio: int) -> Tensor:
    """uint8 pictures made smaller by averaging squares of `ratio` pixels."""
    return functional.avg_pool2d(video.float(), ratio).round().to(torch.uint8)


class _Kinds(IterableDataset[dict[str, Any]]):
    """Held-out clips, one kind after another."""

    def __init__(self, stores: dict[str, ClipStore], clips: int, batch_size: int) -> None:
        super().__init__()
        self.stores = stores
        self.clips = clips
        self.batch_size = batch_size

    def __len__(self) -> int:
        return len(self.stores) * -(-self.clips // self.batch_size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for kind, store in self.stores.items():
            store.grow(self.clips)
            for begin in range(0, self.clips, self.batch_size):
                rows = range(begin, min(begin + self.batch_size, self.clips))
                video, foreground = store.read(rows)
                caption = [""] * len(rows)
                yield {"video": video, "foreground": foreground, "caption": caption, "kind": kind}
