"""Training checkpoints that are written whole, and the newest valid one of a run."""

from __future__ import annotations

import logging
import os
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from ..files.atomic import whole_file

log = logging.getLogger(__name__)


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place, waits until it is on the disk, and renames it."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: Any | None = None,
    ) -> None:
        """Raises OSError, naming `path`, when the disk is full; older checkpoints stay."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            torch.save(checkpoint, file)


def damage(path: Path) -> str:
    """What is wrong with a checkpoint, or "" if it is whole.

    The whole file is read, because PyTorch loads flipped bytes without an error.
    """
    if path.is_dir():  # written by several processes, its table of contents last
        return "" if (path / ".metadata").is_file() else "is not complete"
    try:
        with zipfile.ZipFile(path) as file:
            broken = file.testzip()
    except (zipfile.BadZipFile, OSError, EOFError):
        return "is truncated or no checkpoint"
    return f"is damaged in {broken}" if broken else ""


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest whole `.ckpt` under `folder`; a warning names each one that is passed over."""
    for path in sorted(
        folder.rglob("*.ckpt"), key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True
    ):
        problem = damage(path)
        if not problem:
            return path
        log.warning("checkpoint '%s' %s; taking the one before it", path, problem)
    return None
