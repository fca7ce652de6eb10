"""Captions that lie beside videos: a `manifest.csv`, a text file per video, or the name of the
folder."""

from __future__ import annotations

import codecs
import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "manifest.csv"
SOURCES = ("auto", "manifest", "sidecar", "folder", "none")
FILE_COLUMNS = ("file", "path", "video", "filename", "file_name")
CAPTION_COLUMNS = ("caption", "text", "prompt", "description")
LICENCE_COLUMNS = ("licence", "license")


@dataclass(frozen=True)
class Words:
    """What is said of a video: its captions, and its licence if anybody says so."""

    captions: tuple[str, ...]
    licence: str = ""


def read_manifest(path: Path) -> dict[Path, Words]:
    """File (relative to the manifest's folder) -> what is said of it; several rows for one file are
    several captions.

    The columns `file` and `caption` (or `path`, `text`, …) and perhaps `licence` may stand
    anywhere, in any case, separated by comma, semicolon or tab; other columns are ignored, and rows
    that say the same are one.

    Raises:
        ValueError: the table is empty, has no such columns, or its encoding is unknown.
    """
    text = _decode(path)
    header = text.split("\n", 1)[0]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
    try:
        columns = {(name or "").strip().lower(): name for name in rows.fieldnames or []}
        file_column, caption_column, licence_column = (
            next((columns[name] for name in names if name in columns), None)
            for names in (FILE_COLUMNS, CAPTION_COLUMNS, LICENCE_COLUMNS)
        )
        if file_column is None or caption_column is None:
            found = ", ".join(name for name in columns if name) or "none"
            raise ValueError(
                f"'{path}' needs the columns file and caption in its first line; found {found}"
            )
        words: dict[Path, Words] = {}
        for row in rows:
            name = (row[file_column] or "").strip().replace("\\", "/")
            if not name:
                continue
            file = Path(os.path.normpath(path.parent / name))
            before = words.get(file, Words(()))
            caption = " ".join((row[caption_column] or "").split())
            captions = (
                before.captions if caption in before.captions else (*before.captions, caption)
            )
            licence = " ".join((row[licence_column] or "").split()) if licence_column else ""
            words[file] = Words(captions, before.licence or licence)
    except csv.Error as error:
        raise ValueError(
            f"'{path}' is no table that can be read (line {rows.line_num}): {error}"
        ) from error
    if not words:
        raise ValueError(f"'{path}' lists no files")
    return words


def _decode(path: Path) -> str:
    """Text of a file that is UTF-8, or UTF-16 that says so in its first two bytes (as Excel
    writes it)."""
    content = path.read_bytes()
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"'{path}' is not UTF-8 text (line {line}); save it as CSV UTF-8"
        ) from None


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
