"""The work behind `kinetoscope inspect`: files and folders, one after another."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...data.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from ...files.walk import files_below
from ..provenance.inspection import Finding, Status, in_words, inspect_file
from ..provenance.writer import read_owner_key

CERTIFICATE = "-----BEGIN CERTIFICATE-----"


def run(names: Sequence[str], as_json: bool, trust: str | None, mark_key: str | None) -> int:
    """Print what is found about each file; returns the exit status, the largest of all files.

    Raises:
        ValueError: a folder without videos and pictures, or a trust list that is none.
    """
    trusted = None if trust is None else _certificates(Path(trust))
    owner_key = None if mark_key is None else read_owner_key(mark_key)
    paths = list(_files(names))
    status = 0
    for path in paths:
        finding = inspect_file(path, trusted, owner_key)
        status = max(status, int(finding.status))
        _show(finding, as_json)
    if len(paths) > 1 and not as_json:
        print(f"{len(paths)} files; exit status {status}", file=sys.stderr)
    return status


def _show(finding: Finding, as_json: bool) -> None:
    if as_json:
        print(json.dumps(finding.as_json()), flush=True)
    elif finding.status == Status.UNREADABLE:
        print(in_words(finding)[0], file=sys.stderr, flush=True)
    else:
        print("\n".join(in_words(finding)), flush=True)


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
