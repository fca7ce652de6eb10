"""Videos kept back by where they come from, so that what validates a model is not the next scene
of what trained it."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path

from .captions import find_manifest, read_manifest
from .folder import ClipFolder


def split_by_source(folder: ClipFolder, patterns: list[str]) -> tuple[list[int], list[int]]:
    """Rows of `folder` to train on, and those held out because their source fits one of the
    patterns ("owner/*").

    The source of a video is what the column `source` of the folder's table of captions says, or
    else its path in the folder.

    Raises:
        ValueError: a pattern fits no video (a typing mistake would train on what was to be held
            out), or together they fit all.
    """
    manifest = find_manifest(folder.root)
    told = {} if manifest is None else read_manifest(manifest, needs_captions=False)
    sources = []
    for entry in folder.entries:
        words = told.get(Path(os.path.normpath(entry.path)))
        inside = entry.path.relative_to(folder.root).as_posix()
        sources.append(words.source if words is not None and words.source else inside)
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
