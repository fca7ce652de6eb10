"""Captions that lie beside videos: a table of all, a text file per video, or the name of the
folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .tables import decode_text, read_rows

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
OWNER_COLUMNS = ("owner", "author", "creator", "attribution")
SOURCE_COLUMN = "source"

FROM_TEXT = "text files"
FROM_FOLDER = "their folders' names"
NONE = "no caption"


@dataclass(frozen=True)
class Words:
    """What is said of a video: its captions, its licence, where it comes from and whose it is if
    anybody says so, and where these words were found."""

    captions: tuple[str, ...]
    licence: str = ""
    source: str = ""
    origin: str = ""
    owner: str = ""


def find_manifest(root: Path) -> Path | None:
    """The table of captions of a folder, if there is one."""
    return next((root / name for name in MANIFESTS if (root / name).is_file()), None)


def read_manifest(path: Path, needs_captions: bool = True) -> dict[Path, Words]:
    """File (relative to the manifest's folder) -> what is said of it; several rows for one file are
    several captions.

    The columns `file` and `caption` (or `path`, `text`, …) and perhaps `licence`, `source` and
    `owner` may stand anywhere, in any case, separated by comma, semicolon or tab; other columns
    are ignored, and rows that say the same are one. A .jsonl has an object with these names on
    each line, whose caption may be a list.

    Raises:
        ValueError: the table is empty, has no such columns, a row that does not fit them (with its
            line), or an unknown encoding.
    """
    wanted = (FILE_COLUMNS, CAPTION_COLUMNS) if needs_captions else (FILE_COLUMNS,)
    words: dict[Path, Words] = {}
    for row in read_rows(path, *wanted):
        (name,) = _texts(row, FILE_COLUMNS)[:1]
        if not name:
            continue
        file = Path(os.path.normpath(path.parent / name.replace("\\", "/")))
        before = words.get(file, Words((), origin=path.name))
        words[file] = replace(
            before,
            captions=tuple(dict.fromkeys((*before.captions, *_texts(row, CAPTION_COLUMNS)))),
            licence=before.licence or _texts(row, LICENCE_COLUMNS)[0],
            source=before.source or _texts(row, (SOURCE_COLUMN,))[0],
            owner=before.owner or _texts(row, OWNER_COLUMNS)[0],
        )
    if not words:
        raise ValueError(f"'{path}' lists no files")
    return words


def _texts(row: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """What the first of the columns that is there says, with single blanks: one text, or those of
    a list."""
    value = next((row[name] for name in names if name in row), None)
    values = value if isinstance(value, list) and value else [value]
    return [" ".join(str(text).split()) if text is not None else "" for text in values]


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


def read_sidecar(video: Path) -> tuple[str, ...]:
    """Captions from the text file of the same name, one per line; () when there is none."""
    return Sidecars().captions(video) or ()


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
