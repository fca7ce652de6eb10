"""Videos kept back by where they come from, so that what validates a model is not the next scene
of what trained it."""

from __future__ import annotations

import csv
from fnmatch import fnmatchcase
from pathlib import Path

from .captions import FILE_COLUMNS, MANIFEST
from .folder import ClipFolder


def split_by_source(folder: ClipFolder, patterns: list[str]) -> tuple[list[int], list[int]]:
    """Rows of `folder` to train on, and those held out because their source fits one of the
    patterns ("owner/*").

    The source of a video is what the column `source` of the folder's manifest.csv says, or else its
    path in the folder.

    Raises:
        ValueError: a pattern fits no video (a typing mistake would train on what was to be held
            out), or together they fit all.
    """
    told = _read_sources(folder.root / MANIFEST)
    sources = [
        told.get(entry.path) or entry.path.relative_to(folder.root).as_posix()
        for entry in folder.entries
    ]
    for pattern in patterns:
        if not any(fnmatchcase(source, pattern) for source in sources):
            raise ValueError(
                f"no video in '{folder.root}' has a source like {pattern!r} (one is "
                f"{sources[0]!r}); "
                "name sources of this folder, or none"
            )
    held_out = [
        row for row, source in enumerate(sources) if any(fnmatchcase(source, p) for p in patterns)
    ]
    if len(held_out) == len(sources):
        raise ValueError(
            f"all {len(sources)} videos in '{folder.root}' would be held out; none is left to "
            "train on"
        )
    return sorted({*range(len(sources))} - {*held_out}), held_out


def _read_sources(manifest: Path) -> dict[Path, str]:
    """File -> its source; empty without a manifest or such a column."""
    if not manifest.is_file():
        return {}
    with open(manifest, encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    file = next((name for name in FILE_COLUMNS if rows and name in rows[0]), None)
    if file is None or "source" not in rows[0]:
        return {}
    return {manifest.parent / row[file]: row["source"] for row in rows}
