"""Files that are there as a whole or not at all, whatever kills the process that writes them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from io import BufferedRandom
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BufferedRandom]:
    """A file to write to; it takes its name when the block has ended well and its bytes are on the
    disk.

    Raises OSError, naming `path`, when the disk is full or the folder not writable; what was there
    before stays.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        try:
            with open(beside, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        error.filename = error.filename if error.filename not in (None, str(beside)) else str(path)
        raise


def _sync_folder(folder: Path) -> None:
    """Put the new name itself on the disk, where folders can be synced."""
    with contextlib.suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
