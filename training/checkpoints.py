"""Training checkpoints that are written whole, and the newest valid one of a run."""

from __future__ import annotations

import logging
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch.serialization import get_unsafe_globals_in_checkpoint

from ..files.atomic import whole_file
from ..files.errors import UnreadableFile

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

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Any = lambda storage, _: storage,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Loads tensors and plain values only, whatever is asked for: anything else in a pickle
        can run code. UnreadableFile, in one line, if there is more."""
        if Path(path).is_dir():
            raise UnreadableFile(
                f"checkpoint '{path}' is of several processes that share a model; resume it with "
                "the strategy that wrote it"
            )
        try:
            held = super().load_checkpoint(Path(path), map_location, weights_only=True)
        except OSError:
            raise
        except Exception as error:  # whatever a pickle that somebody made trips over
            reason = next(iter(str(error).splitlines()), "")
            raise UnreadableFile(f"checkpoint '{path}' cannot be loaded: {reason}") from error
        if not isinstance(held, dict) or "state_dict" not in held:
            raise UnreadableFile(f"checkpoint '{path}' is none of a training run")
        return held


def check_checkpoint(name: str) -> None:
    """Raise UnreadableFile, in one line, unless `name` is a whole checkpoint."""
    path = Path(name)
    if re.match(r"[a-z][a-z0-9+.-]*://", name, re.IGNORECASE):
        problem = "is an address; download it, and give the file"
    elif not path.exists():
        problem = "does not exist; --ckpt_path last takes the newest one of the run's folder"
    elif not path.is_file() and not path.is_dir():
        problem = "is no ordinary file"
    elif damaged := damage(path):
        problem = f"{damaged}; --ckpt_path last takes the newest one that is whole"
    else:
        return
    raise UnreadableFile(f"checkpoint '{name}' {problem}")


def damage(path: Path) -> str:
    """What is wrong with a checkpoint, or "" if it is whole.

    The whole file is read, because PyTorch loads flipped bytes without an error.
    """
    if path.is_dir():  # written by several processes, its table of contents last
        return "" if (path / ".metadata").is_file() else "is a folder without a whole checkpoint"
    try:
        with zipfile.ZipFile(path) as file:
            broken = file.testzip()
    except Exception:  # a header of another version, say, or of another compression
        return "is truncated or no checkpoint"
    if broken:
        return f"is damaged in {broken}"
    try:
        surplus = get_unsafe_globals_in_checkpoint(path)
    except Exception:  # whatever else lies in a zip file
        return "is no checkpoint"
    if surplus:
        return f"needs more than tensors ({', '.join(sorted(surplus)[:3])}), which could run code"
    return ""


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
