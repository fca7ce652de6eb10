"""The work behind `kinetoscope inspect`: files and folders, one after another."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ...data.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from ...files.walk import files_below
from ..provenance.inspection import Finding, Status, in_words, inspect_file
from ..provenance.writer import read_owner_key

if TYPE_CHECKING:  # torch is needed only where clips are compared
    from ...evaluation.memorisation.neighbours import Nearest, TrainingClips

CERTIFICATE = "-----BEGIN CERTIFICATE-----"


def run(
    names: Sequence[str],
    as_json: bool,
    trust: str | None,
    mark_key: str | None,
    against: str | None = None,
) -> int:
    """Print what is found about each file; returns the exit status, the largest of all files.

    Raises:
        ValueError: a folder without videos and pictures, a trust list that is none, or shards that
            cannot be used.
    """
    trusted = None if trust is None else _certificates(Path(trust))
    owner_key = None if mark_key is None else read_owner_key(mark_key)
    paths = list(_files(names))
    near = None if against is None else _training_clips(against)
    status = 0
    for path in paths:
        finding = inspect_file(path, trusted, owner_key)
        status = max(status, int(finding.status))
        readable = finding.status != Status.UNREADABLE
        _show(finding, as_json, near.nearest(path) if near and readable else None)
    if len(paths) > 1 and not as_json:
        print(f"{len(paths)} files; exit status {status}", file=sys.stderr)
    return status


def _training_clips(shards: str) -> TrainingClips:
    from ...evaluation.memorisation.neighbours import TrainingClips

    return TrainingClips(shards)


def _show(finding: Finding, as_json: bool, nearest: Nearest | None) -> None:
    if as_json:
        known = {} if nearest is None else {"nearest_training_clips": asdict(nearest)}
        print(json.dumps(finding.as_json() | known), flush=True)
    elif finding.status == Status.UNREADABLE:
        print(in_words(finding)[0], file=sys.stderr, flush=True)
    else:
        lines = in_words(finding) + ([] if nearest is None else _near(nearest))
        print("\n".join(lines), flush=True)


def _near(nearest: Nearest) -> list[str]:
    lines = [
        f"  nearest      {each.distance:.3f} to '{each.source}' at {each.start:.1f} s"
        + (f", licence {each.licence}" if each.licence else "")
        for each in nearest.neighbours
    ]
    if nearest.asked:
        lines.append(
            f"               0 is the same; of {nearest.asked} training clips the nearest of "
            f"another video is {nearest.usual:.3f} away in the middle, {nearest.least:.3f} at least"
        )
    return ["".join(letter if letter.isprintable() else "?" for letter in line) for line in lines]


def _files(names: Sequence[str]) -> Iterator[Path]:
    """Files as they are named, and of folders those whose ending is one of a video or picture."""
    for name in names:
        path = Path(name)
        if not path.is_dir():
            yield path
            continue
        endings = VIDEO_SUFFIXES | IMAGE_SUFFIXES
        found = [file for file in files_below(path) if file.suffix.lower() in endings]
        if not found:
            raise ValueError(f"there are no videos and pictures in '{name}'")
        yield from found


def _certificates(path: Path) -> str:
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        raise ValueError(f"--trust: the file '{path}' does not exist") from None
    if CERTIFICATE not in text:
        raise ValueError(f"--trust: '{path}' holds no certificates as PEM")
    return text
