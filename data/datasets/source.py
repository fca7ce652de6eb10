"""Numbered clips to pre-tokenise: the same number is the same clip, today and after a restart."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from ...files.walk import files_below
from ..worlds.physics.clips import HELD_OUT_SEED, physics_batch
from ..worlds.physics.scene import PhysicsConfig
from ..worlds.stage.clips import stage_batch
from ..worlds.stage.scene import StageConfig
from ..worlds.stage.sound import RATE, SAMPLES, sound
from .folder import ClipFolder
from .wanted import Wanted

logger = logging.getLogger("kinetoscope.data")


class ClipSource(Protocol):
    """`key` changes with everything that changes a clip."""

    key: str

    def __len__(self) -> int: ...

    def clips(self, rows: range) -> dict[str, Any]:
        """{"video": uint8 [B, 3, F, Y, X], "caption": list of str}, perhaps "foreground": bool
        [B, 1, F, Y, X], "actions": float [B, F, A], and "sound": float [B, L] with "heard": bool
        [B], false for clips without a sound track."""
        ...


def _key(**settings: Any) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[
        :12
    ]


def split_rows(count: int, held_out: float, seed: int) -> tuple[list[int], list[int]]:
    """Shuffled rows to train on, and a share `held_out` of them to validate on: at least one of two
    or more.

    Raises ValueError if the share is not from 0 to below 1.
    """
    if not 0 <= held_out < 1:
        raise ValueError(
            f"the share of clips for validation must be from 0 to below 1; got {held_out}"
        )
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    kept_back = min(max(1, round(held_out * count)), count - 1) if held_out else 0
    return order[kept_back:], order[:kept_back]


class RenderedSource:
    """`count` clips of a world; `validation` takes seeds that training never sees.

    Args:
        kind: the world's name, part of the key.
        render: pictures and captions of seeds, given frames, size, the world and `compiled`.
        world: which scenes are drawn, a dataclass.
    """

    def __init__(
        self,
        kind: str,
        render: Callable[[range, int, int, Any, bool], dict[str, Any]],
        count: int,
        frames: int,
        size: int,
        world: Any,
        compiled: bool,
        first_seed: int,
        validation: bool,
    ) -> None:
        if count < 1:
            raise ValueError(f"count must be at least 1; got {count}")
        self.count = count
        self.frames = frames
        self.size = size
        self.world = world
        self.compiled = compiled
        self.first_seed = first_seed + (HELD_OUT_SEED if validation else 0)
        self.key = _key(
            kind=kind,
            frames=frames,
            size=size,
            world=asdict(world),
            first_seed=self.first_seed,
            validation=validation,
        )
        self._render = render

    def __len__(self) -> int:
        return self.count

    def clips(self, rows: range) -> dict[str, Any]:
        seeds = range(self.first_seed + rows.start, self.first_seed + rows.stop)
        return self._render(seeds, self.frames, self.size, self.world, self.compiled)


class PhysicsSource(RenderedSource):
    """Clips of the physics world, see `RenderedSource`."""

    def __init__(
        self,
        count: int,
        frames: int = 33,
        size: int = 64,
        world: PhysicsConfig = PhysicsConfig(),
        compiled: bool = False,
        first_seed: int = 0,
        validation: bool = False,
    ) -> None:
        settings = (count, frames, size, world, compiled, first_seed, validation)
        super().__init__("physics", physics_batch, *settings)


class StageSource(RenderedSource):
    """Clips of the stage, see `RenderedSource`."""

    def __init__(
        self,
        count: int,
        frames: int = 33,
        size: int = 128,
        world: StageConfig = StageConfig(),
        compiled: bool = False,
        first_seed: int = 0,
        validation: bool = False,
    ) -> None:
        settings = (count, frames, size, world, compiled, first_seed, validation)
        super().__init__("stage", stage_batch, *settings)
        self._has_sound = False

    def with_sound(self, rate: int, samples_per_frame: int) -> StageSource:
        """These clips with their sound, float [B, L] in (-1, 1).

        Raises:
            ValueError: the world sounds at another rate, or its frames last longer or shorter.
        """
        if (rate, samples_per_frame) != (RATE, SAMPLES):
            raise ValueError(
                f"the stage has {SAMPLES} samples a frame at {RATE} samples a second, and the "
                f"tokenizer of sound {samples_per_frame} at {rate}; take another one"
            )
        new = copy.copy(self)
        new._has_sound = True
        new.key = _key(before=self.key, sound=rate)
        return new

    def clips(self, rows: range) -> dict[str, Any]:
        batch = super().clips(rows)
        return batch | {"sound": sound(batch["scenes"])} if self._has_sound else batch


class FolderSource:
    """Random clips of the videos of a folder, `rounds` of each; one of each held-out video for
    `validation`.

    `wanted` says which videos are taken of a data set, and `actions` brings those of each frame
    along. With `validation_split` those of that split
    are held out, and none of the others.
    """

    def __init__(
        self,
        root: str,
        frames: int = 33,
        size: int = 64,
        fps: float | None = None,
        rounds: int = 4,
        seed: int = 0,
        validation: bool = False,
        held_out: float = 0.05,
        wanted: Wanted = Wanted(),
        validation_split: str | None = None,
        actions: bool = False,
    ) -> None:
        if rounds < 1:
            raise ValueError(f"rounds must be at least 1; got {rounds}")
        self.folder = ClipFolder(
            root,
            frames,
            size,
            fps=fps,
            random=not validation,
            seed=seed,
            wanted=wanted,
            actions=actions,
        )
        held_out = 0.0 if validation_split else held_out
        self._held_out_split = validation_split
        self._wanted = wanted
        self.rows = split_rows(len(self.folder), held_out, seed)[validation]
        self.rounds = 1 if validation else rounds
        self._held_out = held_out
        self._settings = {
            "kind": "folder",
            "root": str(Path(root).resolve()),
            "files": list(_stamps(Path(root))),
            "frames": frames,
            "size": size,
            "fps": fps,
            "seed": seed,
            "held_out": held_out,
            **wanted.settings(),
            **({"actions": True} if actions else {}),
        }
        self.key = _key(**self._settings, validation=validation)

    def for_validation(self) -> FolderSource | None:
        """One clip of each held-out video, without looking at the files again; None if there is no
        such video, which is logged."""
        if self._held_out_split is not None:
            return self._of_split(self._held_out_split)
        rows = split_rows(len(self.folder), self._held_out, self.folder.seed)[1]
        if not rows:
            count = len(self.folder)
            logger.warning(
                "nothing is validated: none of the %d videos in '%s' is held out",
                count,
                self.folder.root,
            )
            return None
        twin = copy.copy(self)
        twin.folder = self.folder.fixed()
        twin.rows = rows
        twin.rounds = 1
        twin.key = _key(**self._settings, validation=True)
        return twin

    def captions(self) -> dict[int, tuple[str, ...]]:
        """All captions of each video that clips are taken from, by its row in the folder."""
        return {row: self.folder.entries[row].captions for row in self.rows}

    def reword(self, captions: Mapping[int, tuple[str, ...] | None], mark: str) -> FolderSource:
        """These clips with other captions, or without the videos that have None.

        Args:
            mark: says how they were changed; it becomes part of the key.

        Raises:
            ValueError: no video is left.
        """
        new = copy.copy(self)
        new.folder = copy.copy(self.folder)
        new.folder.entries = [
            replace(entry, captions=captions.get(row) or entry.captions)
            for row, entry in enumerate(self.folder.entries)
        ]
        new.rows = [row for row in self.rows if captions.get(row, ()) is not None]
        if not new.rows:
            raise ValueError(f"no video in '{self.folder.root}' has a caption that is kept")
        new.key = _key(before=self.key, captions=mark)
        return new

    def with_sound(self, rate: int, samples_per_frame: int) -> FolderSource:
        """These clips with their sound, at `rate` samples a second.

        Raises:
            ValueError: a frame is not as long as so many samples, or recorded actions are asked
                for as well.
        """
        fps = rate / samples_per_frame
        if self.folder.fps is None or abs(self.folder.fps - fps) > 1e-6:
            raise ValueError(
                f"sound is learned at {fps:g} frames a second; set data.fps={fps:g} (it is "
                f"{self.folder.fps or 'that of each video'})"
            )
        if self.folder.actions:
            raise ValueError("sound and actions cannot be learned at once; leave one of them out")
        new = copy.copy(self)
        new.folder = copy.copy(self.folder)
        new.folder.sound_rate = rate
        new.key = _key(before=self.key, sound=rate)
        return new

    def leave_out(self, rows: Mapping[int, str]) -> None:
        """Never give the videos of these rows again; the hashes of their content name what was left
        out. Which of the others are held out does not change.

        Raises:
            ValueError: nothing is left.
        """
        self.rows = self.folder.leave_out(rows, self.rows)
        self.key = _key(before=self.key, left_out=sorted(rows.values()))

    def _of_split(self, split: str) -> FolderSource:
        """One clip of each video of another split."""
        folder = self.folder
        twin = copy.copy(self)
        twin.folder = ClipFolder(
            folder.root,
            folder.frames,
            folder.size,
            fps=folder.fps,
            random=False,
            seed=folder.seed,
            wanted=replace(self._wanted, split=split),
            actions=folder.actions,
        )
        twin.rows = list(range(len(twin.folder)))
        twin.rounds = 1
        twin.key = _key(**self._settings, validation=True, validation_split=split)
        return twin

    def __len__(self) -> int:
        return len(self.rows) * self.rounds

    def clips(self, rows: range) -> dict[str, Any]:
        items = []
        for row in rows:
            self.folder.set_epoch(row // len(self.rows))
            items.append(self.folder[self.rows[row % len(self.rows)]])
        batch = {
            "video": torch.stack([item["video"] for item in items]),
            "caption": [item["caption"] for item in items],
        }
        if self.folder.actions:
            batch["actions"] = torch.stack([item["actions"] for item in items])
        for name in ("sound", "heard") if self.folder.sound_rate is not None else ():
            batch[name] = torch.stack([item[name] for item in items])
        return batch


def _stamps(root: Path) -> Iterator[tuple[str, int, float]]:
    """Name, size and time of every file below a folder."""
    for path in files_below(root):
        if path.is_file():
            stat = path.stat()
            yield str(path.relative_to(root)), stat.st_size, stat.st_mtime
