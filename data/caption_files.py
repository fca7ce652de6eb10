"""Captions that lie beside videos: a `manifest.csv`, a text file per video, or the name of the folder."""

from __future__ import annotations

import csv
from pathlib import Path

MANIFEST = "manifest.csv"
SOURCES = ("auto", "manifest", "sidecar", "folder", "none")
FILE_COLUMNS = ("file", "path", "video", "filename", "file_name")
CAPTION_COLUMNS = ("caption", "text", "prompt", "description")


def read_manifest(path: Path) -> dict[Path, tuple[str, ...]]:
    """File (relative to the manifest's folder) -> its captions; several rows for one file are several captions.

    The columns `file` and `caption` (or `path`, `text`, …) may stand anywhere, in any case, separated by comma,
    semicolon or tab; other columns are ignored.

    Raises:
        ValueError: the table is empty, has no such columns, or is not UTF-8 text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"'{path}' is not UTF-8 text; save it as CSV UTF-8") from None
    header = text.split("\n", 1)[0]
    rows = csv.DictReader(text.splitlines(keepends=True), delimiter=max(",;\t", key=header.count))
    columns = {(name or "").strip().lower(): name for name in rows.fieldnames or []}
    file_column = next((columns[name] for name in FILE_COLUMNS if name in columns), None)
    caption_column = next((columns[name] for name in CAPTION_COLUMNS if name in columns), None)
    if file_column is None or caption_column is None:
        found = ", ".join(name for name in columns if name) or "none"
        raise ValueError(f"'{path}' needs the columns file and caption in its first line; found {found}")
    captions: dict[Path, tuple[str, ...]] = {}
    for row in rows:
        name = (row[file_column] or "").strip().replace("\\", "/")
        if name:
            file = path.parent / name
            captions[file] = (*captions.get(file, ()), " ".join((row[caption_column] or "").split()))
    if not captions:
        raise ValueError(f"'{path}' lists no files")
    return captions


def read_sidecar(video: Path) -> tuple[str, ...]:
    """Captions from the text file of the same name, one per line; () when there is none."""
    sidecar = video.with_suffix(".txt")
    if not sidecar.is_file():
        return ()
    lines = sidecar.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return tuple(" ".join(line.split()) for line in lines if line.strip())


def folder_caption(video: Path) -> tuple[str, ...]:
    """The name of the folder a video lies in, as words: `jumping_jack/12.mp4` is "jumping jack"."""
    return (" ".join(video.resolve().parent.name.replace("_", " ").replace("-", " ").split()),)
