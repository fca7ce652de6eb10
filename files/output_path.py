"""Is there a place for a file that is about to be made? Asked before the work that makes it."""

from __future__ import annotations

import os
from pathlib import Path


def check_output(path: str | Path, suffix: str = ".mp4") -> Path:
    """The path, or a ValueError that says why no file of this kind can be written there."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"'{path}' is a folder; give the name of a file that ends in {suffix}")
    if path.suffix.lower() != suffix:
        raise ValueError(f"cannot write '{path}': its name must end in {suffix}")
    if not path.parent.is_dir():
        raise ValueError(
            f"cannot write '{path}': the folder '{path.parent}' does not exist; create it first"
        )
    if not os.access(path.parent, os.W_OK):
        raise ValueError(
            f"cannot write '{path}': the folder '{path.parent}' is not writable; choose another"
        )
    return path
