"""Numbered clips to pre-tokenise: the same number is the same clip, today and after a restart."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import torch

from ..worlds.physics.clips import HELD_OUT_SEED, physics_batch
from ..worlds.physics.scene import PhysicsConfig
from .folder import ClipFolder


class ClipSource(Protocol):
    """`key` changes with everything that changes a clip."""

    key: str

    def __len__(self) -> int: ...

    def clips(self, rows: range) -> dict[str, Any]:
        """{"video": uint8 [B, 3, F, Y, X], "caption": list of str}, perhaps "foreground": bool
        [B, 1, F, Y, X]."""
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


class PhysicsSource:
    """`count` rendered clips; `validation` takes seeds that training never sees."""

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
        if count < 1:
            raise ValueError(f"count must be at least 1; got {count}")
        self.count = count
        self.frames = frames
        self.size = size
        self.world = world
        self.compiled = compiled
        self.first_seed = first_seed + (HELD_OUT_SEED if validation else 0)
        self.key = _key(
            kind="physics",
            frames=frames,
            size=size,
            world=asdict(world),
            first_seed=self.first_seed,
            validation=validation,
        )

    def __len__(self) -> int:
        return self.count

    def clips(self, rows: range) -> dict[str, Any]:
        seeds = range(self.first_seed + rows.start, self.first_seed + rows.stop)
        return physics_batch(seeds, self.frames, self.size, self.world, self.compiled)


class FolderSource:
    """Random clips of the videos of a folder, `rounds` of each; one of each held-out video for
    `validation`."""

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
    ) -> None:
        if rounds < 1:
            raise ValueError(f"rounds must be at least 1; got {rounds}")
        self.folder = ClipFolder(root, frames, size, fps=fps, random=not validation, seed=seed)
        self.rows = split_rows(len(self.folder), held_out, seed)[validation]
        self.rounds = 1 if validation else rounds
        found = [path for path in sorted(Path(root).rglob("*")) if path.is_file()]
        files = [(str(p.relative_to(root)), p.stat().st_size, p.stat().st_mtime) for p in found]
        self.key = _key(
            kind="folder",
            root=str(Path(root).resolve()),
            files=files,
            frames=frames,
            size=size,
            fps=fps,
            seed=seed,
            validation=validation,
            held_out=held_out,
        )

    def __len__(self) -> int:
        return len(self.rows) * self.rounds

    def clips(self, rows: range) -> dict[str, Any]:
        items = []
        for row in rows:
            self.folder.set_epoch(row // len(self.rows))
            items.append(self.folder[self.rows[row % len(self.rows)]])
        return {
            "video": torch.stack([item["video"] for item in items]),
            "caption": [item["caption"] for item in items],
        }
