"""Training checkpoints that are there as a whole or not at all, and the newest of a run that can
be trusted."""

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
    """What is wrong with a checkpoint, or nothing. Reads all of it: PyTorch loads flipped bytes
    without a word."""
    if path.is_dir():  # one that several processes wrote; its table of contents is written last
        return "" if (path / ".metadata").is_file() else "is not complete"
    try:
        with zipfile.ZipFile(path) as file:
            broken = file.testzip()
    except (zipfile.BadZipFile, OSError, EOFError):
        return "is truncated or no checkpoint"
    return f"is damaged in {broken}" if broken else ""


def newest_checkpoint(folder: Path) -> Path | None:
    """The last `.ckpt` written anywhere under `folder` that is whole; a warning names each that
    is passed over."""
    for path in sorted(
        folder.rglob("*.ckpt"), key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True
    ):
        problem = damage(path)
        if not problem:
            return path
        log.warning("checkpoint '%s' %s; taking the one before it", path, problem)
    return None
