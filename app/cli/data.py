"""`kinetoscope data`: what lies in a folder, before anything is trained."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any


def data(
    folder: str,
    *,
    html: str | None = None,
    json: str | None = None,
    layout: str | None = None,
    split: str | None = None,
    template: str = "{label}",
    filter: str | None = None,
    decode: bool = False,
    tokenizers: str = "video-128",
    workers: int = 2,
    kept: str | None = None,
) -> int:
    """Show what lies in a folder of videos, before anything is trained.

    Counts videos, hours, frames, sizes, rates, codecs, sound, captions, licences and tokens, and
    names what is broken and what is there twice. Layouts are found by themselves: folders of
    classes (UCF-101, HMDB-51, Kinetics), tables, Hugging Face's VideoFolder, prompts.txt beside
    videos.txt, Something-Something, start and end times, folders of frames, WebDataset, LeRobot,
    recordings of Gymnasium, and plain folders. A run that was killed goes on.

    Args:
        folder: the data: a folder, a list or a shard.
        html: a page with all of it and a contact sheet.
        json: a file with the overview.
        layout: insist on lerobot, something-something, prompts, table, frames, gymnasium, classes
            or plain.
        split: only train, validation or test.
        template: how a label becomes a caption, such as 'a video of {label}'.
        filter: only videos that this holds for, such as 'seconds > 2 and height >= 256'.
        decode: look at every frame, which finds damage and still and black clips, and takes its
            time.
        tokenizers: whose tokens are counted, names with commas between them, or none.
        workers: threads that read.
        kept: the file in which what was seen is kept; by default one in the user's cache.
    """
    import hashlib

    from ...data.datasets.filters import fact_columns, read_filter
    from ...data.datasets.layouts import Options, list_source
    from ...data.report.overview import format_overview, overview
    from ...data.report.page import page
    from ...data.report.rows import COLUMNS, look_at_all
    from ...files.atomic import whole_file
    from ...files.output_path import check_output

    for path, suffix in ((html, ".html"), (json, ".json")):
        if path is not None:
            check_output(path, suffix)
    source = list_source(folder, layout, Options(template), split)
    facts = [fact_columns(video) for video in source.videos] if filter else []
    extra = {name for columns in facts for name in columns} - {*COLUMNS}
    passes = read_filter(filter, (*COLUMNS, *sorted(extra))) if filter else None
    print(source.line(), file=sys.stderr)
    if kept is None:
        name = hashlib.sha256(os.fsencode(Path(folder).absolute())).hexdigest()[:16]
        kept = str(_cache() / f"{name}.jsonl")
    total = len(source.videos)
    shown = sys.stderr.isatty()

    def say(count: int) -> None:
        if shown:
            print(f"\r{count} of {total} videos", end="", file=sys.stderr)

    rows = look_at_all(source.videos, Path(kept), decode, workers, say)
    if shown:
        print(file=sys.stderr)
    videos = source.videos
    if passes is not None:
        empty = dict.fromkeys(extra)
        good = [
            not row.broken and passes(empty | fact | row.columns())
            for row, fact in zip(rows, facts)
        ]
        videos = tuple(video for video, keep in zip(videos, good) if keep)
        rows = [row for row, keep in zip(rows, good) if keep]
    told = overview(rows, _cells(tokenizers))
    told["broken"] += [list(problem) for problem in source.problems]
    print(format_overview(told))
    if html is not None:
        readable = [video for video, row in zip(videos, rows) if not row.broken]
        text = page(f"What lies in {Path(folder).name}", told, source.line(), readable)
        with whole_file(Path(html)) as file:
            file.write(text.encode(errors="backslashreplace"))
    if json is not None:
        from json import dumps

        with whole_file(Path(json)) as file:
            said = dumps(told, indent=2, ensure_ascii=False) + "\n"
            file.write(said.encode(errors="backslashreplace"))
    return 0


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "kinetoscope" / "data"


def _cells(names: str) -> dict[str, Any]:
    """Name -> what a code of this tokenizer stands for."""
    from ...data.report.overview import Cell
    from ...tokenizer import VideoTokenizer

    cells = {}
    for name in (part.strip() for part in names.split(",")):
        if name in ("", "none"):
            continue
        tokenizer = VideoTokenizer.from_pretrained(name)
        frames, patch = tokenizer.config.cell
        cells[name] = Cell(frames, patch, tokenizer.rates)
    return cells
