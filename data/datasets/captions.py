"""Captions that lie beside videos: a table of all, a text file per video, or the name of the
folder."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# tables, in the order in which they are looked for
MANIFESTS = (
    "manifest.csv",
    "manifest.tsv",
    "manifest.jsonl",
    "metadata.csv",
    "metadata.tsv",
    "metadata.jsonl",
)
SIDECARS = (".txt", ".caption")
SOURCES = ("auto", "manifest", "sidecar", "folder", "none")
FILE_COLUMNS = ("file", "path", "video", "filename", "file_name")
CAPTION_COLUMNS = ("caption", "text", "prompt", "description")
LICENCE_COLUMNS = ("licence", "license")
SOURCE_COLUMN = "source"

FROM_TEXT = "text files"
FROM_FOLDER = "their folders' names"
NONE = "no caption"


@dataclass(frozen=True)
class Words:
    """What is said of a video: its captions, its licence and where it comes from if anybody says
    so, and where these words were found."""

    captions: tuple[str, ...]
    licence: str = ""
    source: str = ""
    origin: str = ""


def find_manifest(root: Path) -> Path | None:
    """The table of captions of a folder, if there is one."""
    return next((root / name for name in MANIFESTS if (root / name).is_file()), None)


def read_manifest(path: Path, needs_captions: bool = True) -> dict[Path, Words]:
    """File (relative to the manifest's folder) -> what is said of it; several rows for one file are
    several captions.

    The columns `file` and `caption` (or `path`, `text`, …) and perhaps `licence` and `source` may
    stand anywhere, in any case, separated by comma, semicolon or tab; other columns are ignored,
    and rows that say the same are one. A .jsonl has an object with these names on each line.

    Raises:
        ValueError: the table is empty, has no such columns, a row that does not fit them (with its
            line), or an unknown encoding.
    """
    text = decode_text(path)
    if path.suffix.lower() == ".jsonl":
        rows = _json_rows(path, text)
    else:
        rows = _table_rows(path, text, needs_captions)
    words: dict[Path, Words] = {}
    for row in rows:
        name = _first(row, FILE_COLUMNS).replace("\\", "/")
        if not name:
            continue
        file = Path(os.path.normpath(path.parent / name))
        before = words.get(file, Words((), origin=path.name))
        caption = _first(row, CAPTION_COLUMNS)
        is_new = caption not in before.captions
        words[file] = replace(
            before,
            captions=(*before.captions, caption) if is_new else before.captions,
            licence=before.licence or _first(row, LICENCE_COLUMNS),
            source=before.source or _first(row, (SOURCE_COLUMN,)),
        )
    if not words:
        raise ValueError(f"'{path}' lists no files")
    return words


def _first(row: Mapping[str, str], names: Iterable[str]) -> str:
    return next((row[name] for name in names if name in row), "")


def _table_rows(path: Path, text: str, needs_captions: bool) -> Iterator[dict[str, str]]:
    """Rows as {column in small letters: cell with single blanks}."""
    header = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)
    rows = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True
    )
    begin = 1
    try:
        columns = [name.strip().lower() for name in next(rows, [])]
        _check_columns(path, columns, needs_captions)
        for row in rows:
            if len(row) > len(columns):
                raise ValueError(
                    f"'{path}' has {len(row)} cells in line {begin + 1}, and its first line names "
                    f"{len(columns)}; put a caption with {delimiter!r} in it between double quotes"
                )
            cells = (" ".join(cell.split()) for cell in row)
            yield dict(zip(columns, cells, strict=False))
            begin = rows.line_num
    except csv.Error as error:
        raise ValueError(
            f"'{path}' is no table that can be read: {error} (from line {begin + 1} on); a double "
            "quote that opens a cell must close it, and one inside is written twice"
        ) from None


def _check_columns(path: Path, columns: Iterable[str], needs_captions: bool) -> None:
    names = [name for name in columns if name]
    is_missing = not set(FILE_COLUMNS).intersection(names)
    is_mute = needs_captions and not set(CAPTION_COLUMNS).intersection(names)
    if is_missing or is_mute:
        raise ValueError(
            f"'{path}' needs the columns file and caption in its first line; found "
            f"{', '.join(names) or 'none'}"
        )


def _json_rows(path: Path, text: str) -> Iterator[dict[str, str]]:
    """An object per line; a list of captions is several rows."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"'{path}' is no JSON in line {number}: {error}") from None
        cells = (
            {str(name).lower(): value for name, value in row.items()}
            if isinstance(row, dict)
            else {}
        )
        if not set(cells).intersection(FILE_COLUMNS):
            raise ValueError(
                f"'{path}' needs an object with the names file and caption on each line; line "
                f"{number} has {', '.join(sorted(cells)) or 'none'}"
            )
        lists = [value for value in cells.values() if isinstance(value, list)]
        for place in range(max(1, *map(len, lists)) if lists else 1):
            parts = {name: _item(value, place) for name, value in cells.items()}
            yield {
                name: " ".join(str(part).split())
                for name, part in parts.items()
                if part is not None
            }


def _item(value: Any, place: int) -> Any:
    """An item of a list, or the value itself."""
    if not isinstance(value, list):
        return value
    return value[place] if place < len(value) else None


def decode_text(path: Path, content: bytes | None = None) -> str:
    """Text of a file that is UTF-8, or UTF-16 as Windows writes it, with or without a mark.

    Raises:
        ValueError: it is in another encoding, which nobody can know.
    """
    content = path.read_bytes() if content is None else content
    name = "utf-8-sig"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name = "utf-16"
    elif content[1:2] == b"\0":
        name = "utf-16-le"
    elif content[:1] == b"\0":
        name = "utf-16-be"
    try:
        return content.decode(name)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"'{path}' is not UTF-8 text (line {line}); save it as UTF-8") from None


class Sidecars:
    """Text files beside videos, whatever the case of their endings."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, Path]] = {}

    def captions(self, video: Path) -> tuple[str, ...] | None:
        """Captions from the text file of the same name, one per line; () if it says nothing, None
        if there is none. ValueError if it cannot be read."""
        names = self._names(video.parent)
        found = (names.get(video.stem + end) for end in SIDECARS)
        sidecar = next((path for path in found if path is not None), None)
        if sidecar is None:
            return None
        lines = decode_text(sidecar).splitlines()
        return tuple(" ".join(line.split()) for line in lines if line.strip())

    def _names(self, folder: Path) -> dict[str, Path]:
        """Text files by name, their endings in small letters."""
        if folder not in self._folders:
            names = sorted(os.listdir(folder)) if folder.is_dir() else []
            paths = [folder / name for name in names]
            self._folders[folder] = {
                path.stem + path.suffix.lower(): path
                for path in paths
                if path.suffix.lower() in SIDECARS
            }
        return self._folders[folder]


def folder_caption(video: Path) -> tuple[str, ...]:
    """The name of the folder a video lies in, as words: `jumping_jack/12.mp4` is "jumping jack"."""
    name = Path(os.path.abspath(video)).parent.name
    return (" ".join(name.replace("_", " ").replace("-", " ").split()),)


def describe_origins(root: Path, words: Mapping[Path, Words], left_out: int) -> tuple[str, bool]:
    """A line that says where captions came from, with counts, and whether somebody should look at
    it: because some videos are left out, or have their folder's name beside others with text."""
    origins = Counter(said.origin if any(said.captions) else NONE for said in words.values())
    parts = [f"{count} from {origin}" for origin, count in origins.items() if origin != NONE]
    parts += [f"{origins[NONE]} without one"] if origins[NONE] else []
    line = f"captions of the {len(words)} videos in '{root}': {', '.join(parts)}"
    is_mixed = bool(origins[FROM_FOLDER]) and len(origins) > 1
    if is_mixed:
        first = next(path for path, said in words.items() if said.origin == FROM_FOLDER)
        line += f"; '{first.name}' is one without a text file"
    if left_out:
        line += f"; {left_out} of the videos in it are not in the table and are left out"
    others = _unread_tables(root, {said.origin for said in words.values()})
    if others and origins[FROM_FOLDER]:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        line += f"; '{others[0]}'{more} is not read: name it {MANIFESTS[0]} if it holds captions"
    return line, is_mixed or bool(left_out) or bool(others and origins[FROM_FOLDER])


def _unread_tables(root: Path, used: set[str]) -> list[str]:
    ends = {".csv", ".tsv", ".json", ".jsonl", ".parquet", ".xlsx"}
    names = sorted(os.listdir(root)) if root.is_dir() else []
    return [name for name in names if Path(name).suffix.lower() in ends and name not in used]
