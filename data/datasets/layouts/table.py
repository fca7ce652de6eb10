"""Tables beside videos: CSV, TSV or JSONL with the usual names of columns; `metadata.csv` and
`.jsonl` as Hugging Face's VideoFolder has them; start and end times as Panda-70M and others have
them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from ...video import VIDEO_SUFFIXES
from ..captions import CAPTION_COLUMNS, LICENCE_COLUMNS, Words
from ..listed_video import Problem
from .base import Folder, LaidVideo, Listing, Options, rows_of, split_of

FILES: tuple[str, ...] = ("file_name", "file", "path", "video_path", "filename", "video")
FILES += ("clip_id", "videoid", "video_id", "id", "name")
LABELS = ("label", "class", "action", "category")
BEGINS = ("start", "start_time", "begin", "start_sec", "clip_start")
ENDS = ("end", "end_time", "stop", "end_sec", "clip_end")
TIMES = ("timestamp", "timestamps", "clip")
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
FEW = 50  # rows that are looked at to see whether they name files that are there


def matches(folder: Folder) -> str:
    """Why a folder is of this layout, or ""."""
    found = [path for path in _tables(folder) if _names_videos(folder, path)]
    return f"a table of videos ({', '.join(folder.name(p) for p in found[:3])})" if found else ""


def has_times(path: Path) -> bool:
    """Whether a table says which parts of files are its videos."""
    try:
        first = next(rows_of(path), {})
    except ValueError:
        return False
    spans = {*BEGINS} & {*first} and {*ENDS} & {*first}
    return bool(spans) or any(first.get(name, "").startswith("[") for name in TIMES)


def read(folder: Folder, options: Options) -> Listing:
    """Every row whose video is there; rows of one file and one span are its captions."""
    videos: dict[str, LaidVideo] = {}
    problems: list[Problem] = []
    for path in _tables(folder):
        if _names_videos(folder, path):
            for row in rows_of(path):
                _add(folder, path, row, options, videos, problems)
    return [videos[name] for name in sorted(videos)], problems


def read_file(path: Path, options: Options) -> Listing:
    """The same for one table, whose videos lie in its folder or below."""
    folder = Folder(path.parent)
    videos: dict[str, LaidVideo] = {}
    problems: list[Problem] = []
    for row in rows_of(path):
        _add(folder, path, row, options, videos, problems)
    return [videos[name] for name in sorted(videos)], problems


def _tables(folder: Folder) -> list[Path]:
    return [path for path in folder.files if path.suffix.lower() in TABLES]


def _names_videos(folder: Folder, path: Path) -> bool:
    try:
        for number, row in enumerate(rows_of(path)):
            if number == FEW:
                return False
            if _find(folder, path, row) is not None:
                return True
    except ValueError:
        return False
    return False


def _find(folder: Folder, table: Path, row: dict[str, str]) -> Path | None:
    for column in FILES:
        value = row.get(column, "").replace("\\", "/")
        if not value:
            continue
        for base in (table.parent, folder.root):
            path = base / value
            if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
                return path
        found = folder.by_stem.get(Path(value).name) or folder.by_stem.get(Path(value).stem)
        if found is not None:
            return found
    return None


def _add(
    folder: Folder,
    table: Path,
    row: dict[str, str],
    options: Options,
    videos: dict[str, LaidVideo],
    problems: list[Problem],
) -> None:
    path = _find(folder, table, row)
    if path is None:
        named = next((row[name] for name in FILES if row.get(name)), "a row without a file")
        problems.append((named, f"is in '{table.name}' but not there"))
        return
    captions = _several(next((row[name] for name in CAPTION_COLUMNS if row.get(name)), ""))
    label = next((row[name] for name in LABELS if row.get(name)), "")
    licence = next((row[name] for name in LICENCE_COLUMNS if row.get(name)), "")
    split = row.get("split", "") or split_of(folder.name(table))
    for number, span in enumerate(_spans(row)):
        name = folder.name(path)
        said = captions[number : number + 1] if len(captions) > 1 else captions
        if span is not None:
            name += f"#{span[0]:g}-{span[1]:g}"
        words = Words(tuple(said) or options.caption(label) or ("",), licence)
        if name in videos:
            before = videos[name].words.captions
            words = Words(tuple(dict.fromkeys((*before, *words.captions))), licence)
        facts = {key: value for key, value in row.items() if key not in CAPTION_COLUMNS}
        videos[name] = LaidVideo(
            name, path, words, label=label, split=split, span=span, facts=facts
        )


def _spans(row: dict[str, str]) -> Iterator[tuple[float, float] | None]:
    begin = next((row[name] for name in BEGINS if row.get(name)), "")
    end = next((row[name] for name in ENDS if row.get(name)), "")
    if begin and end:
        yield seconds_of(begin), seconds_of(end)
        return
    for column in TIMES:
        if row.get(column, "").startswith("["):
            for first, last in _pairs(row[column]):
                yield seconds_of(first), seconds_of(last)
            return
    yield None


def _pairs(text: str) -> list[tuple[str, str]]:
    """Times as Panda-70M writes them: a list of pairs, or one pair."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return []
    if len(value) == 2 and not isinstance(value[0], (list, tuple)):
        value = [value]
    return [(str(first), str(last)) for first, last in value]


def _several(text: str) -> tuple[str, ...]:
    """One caption, or several that stand in a list."""
    if text.startswith("[") and text.endswith("]"):
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = [text]
        return tuple(" ".join(str(part).split()) for part in value)
    text = " ".join(text.split())
    return (text,) if text else ()


def seconds_of(text: str) -> float:
    """Seconds of "12.5", "1:02.5" or "0:01:02.5". ValueError for anything else."""
    try:
        total = 0.0
        for part in str(text).split(":"):
            total = 60 * total + float(part)
        return total
    except ValueError:
        raise ValueError(f"{text!r} is no time; write seconds or hours:minutes:seconds") from None
