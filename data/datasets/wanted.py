"""Which videos of a data set are wanted: its layout, a split, captions of labels, a filter.

Training, `kinetoscope prepare` and `kinetoscope evaluate` read data sets through this one place.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..video import VideoError, VideoInfo
from .captions import find_manifest
from .filters import read_video_filter
from .layouts import LAYOUTS, PLAIN, Options, Source, classes, list_source, table
from .layouts.base import Folder, LaidVideo
from .layouts.read import measure

logger = logging.getLogger("kinetoscope.data")

MARKED = ("lerobot", "something-something", "prompts", "gymnasium")
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
THREADS = 8  # that read headers for a filter


@dataclass(frozen=True)
class Wanted:
    """What is taken of a data set.

    Args:
        layout: one of `layouts.LAYOUTS` or "plain" to insist; found if not given.
        split: only "train", "validation" or "test".
        template: how a label becomes a caption, such as "a video of {label}".
        filter: only videos that this holds for, see `filters`.
    """

    layout: str | None = None
    split: str | None = None
    template: str = "{label}"
    filter: str | None = None

    def settings(self) -> dict[str, str]:
        """What differs from the usual."""
        usual = Wanted()
        return {name: value for name, value in vars(self).items() if value != getattr(usual, name)}


def marked_source(source: Path, wanted: Wanted, images: bool = False) -> Source | None:
    """The videos of a data set that bears marks of its layout (lists, tables, times), or whose
    layout or split is insisted on; it is said in one line.

    None for plain folders, folders with a manifest.csv of captions, lists and shards, and for
    pictures that are wanted as videos of one frame (`images`): those are for `list_videos`.

    Raises:
        ValueError: the layout or split is not there.
    """
    insisted = wanted.layout not in (None, PLAIN) or wanted.split is not None
    if not insisted and (wanted.layout == PLAIN or images or not _is_marked(source)):
        return None
    found = list_source(source, wanted.layout, Options(wanted.template), wanted.split)
    logger.info(found.line())
    return found


def _is_marked(source: Path) -> bool:
    if source.is_file():
        return source.suffix.lower() in TABLES and table.has_times(source)
    if not source.is_dir() or any(source.rglob("*.tar")):
        return False
    folder = Folder(source)
    if any(LAYOUTS[name].matches(folder) for name in MARKED):
        return True
    manifest = find_manifest(source)
    if manifest is not None:
        return table.has_times(manifest)
    return bool(table.matches(folder)) or classes.has_lists(folder)


def filtered(videos: Sequence[LaidVideo], text: str | None, source: object) -> list[LaidVideo]:
    """The videos that pass a filter; those that cannot be read stay, so that whoever reads them
    says why. ValueError if none passes."""
    if text is None:
        return list(videos)
    keeps = read_video_filter(text, videos)
    with ThreadPoolExecutor(THREADS) as pool:
        infos = list(pool.map(_header, videos))
    kept = [v for v, info in zip(videos, infos, strict=True) if info is None or keeps(v, info)]
    if not kept:
        raise ValueError(f"none of the {len(videos)} videos in '{source}' passes {text!r}")
    logger.info("%d of %d videos pass %s", len(kept), len(videos), text)
    return kept


def _header(video: LaidVideo) -> VideoInfo | None:
    try:
        return measure(video)
    except VideoError:
        return None
