"""The files of a folder and its subfolders, links followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def files_below(root: str | os.PathLike[str]) -> Iterator[Path]:
    """Files in a stable order, without hidden ones.

    Links to files and to folders are followed; a link to a folder that it lies in is not, since
    that has no end. A link to nothing is a file, so that whoever reads it can name it.
    """
    yield from _below(Path(root), frozenset({os.path.realpath(root)}))


def _below(folder: Path, above: frozenset[str]) -> Iterator[Path]:
    for name in sorted(os.listdir(folder)):
        path = folder / name
        if name.startswith("."):
            continue
        if not path.is_dir():
            yield path
            continue
        place = os.path.realpath(path)
        if place not in above:
            yield from _below(path, above | {place})
