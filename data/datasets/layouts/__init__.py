"""Data as it lies: one reader a layout, found by itself.

`list_source` takes a folder, a list or a shard and returns its videos with captions, labels and
splits, whatever layout they have; what it took them for is one line.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import ModuleType

from ..captions import FROM_FOLDER
from ..listed_video import ListedVideo, Problem
from ..video_list import list_videos
from . import classes, frames, gymnasium, lerobot, prompts, something, table
from .base import Folder, LaidVideo, Options, split_of

LAYOUTS: dict[str, ModuleType] = {  # in the order in which they are tried
    "lerobot": lerobot,
    "something-something": something,
    "prompts": prompts,
    "table": table,
    "frames": frames,
    "gymnasium": gymnasium,
    "classes": classes,
}
PLAIN = "plain"

__all__ = ["LAYOUTS", "LaidVideo", "Options", "Source", "list_source"]


@dataclass(frozen=True)
class Source:
    """What lies somewhere: the layout it was taken for and why, videos, and what is wrong."""

    layout: str
    why: str
    videos: tuple[LaidVideo, ...]
    problems: tuple[Problem, ...]

    def line(self) -> str:
        """One line for the user."""
        return f"{self.why}: {len(self.videos)} videos (--layout says otherwise)"


def list_source(
    source: str | Path,
    layout: str | None = None,
    options: Options = Options(),
    split: str | None = None,
) -> Source:
    """The videos of a folder, list or shard.

    Args:
        source: where they lie.
        layout: one of `LAYOUTS` or "plain" to insist; found if not given.
        options: how labels become captions.
        split: only videos of this split ("train", "validation", "test").

    Raises:
        ValueError: `source` does not exist, is not of the layout, or holds no such videos.
    """
    path = Path(source)
    if layout is not None and layout != PLAIN and layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}; there are {', '.join(LAYOUTS)}, {PLAIN}")
    if path.is_file() and path.suffix.lower() in (".csv", ".tsv", ".jsonl", ".ndjson"):
        found = Source("table", f"'{path.name}', a table", *_tuples(table.read_file(path, options)))
    elif path.is_dir() and layout != PLAIN and not any(path.rglob("*.tar")):
        found = _in_folder(Folder(path), layout, options)
    else:
        found = _plain(path)
    if split is not None:
        kept = tuple(video for video in found.videos if video.split == split)
        there = sorted({video.split for video in found.videos} - {""})
        if not kept:
            raise ValueError(
                f"'{source}' has no split {split!r}; there are {', '.join(there) or 'none'}"
            )
        found = Source(found.layout, found.why, kept, found.problems)
    if not found.videos:
        first = f"; '{found.problems[0][0]}' {found.problems[0][1]}" if found.problems else ""
        raise ValueError(f"'{source}', {found.why}, holds no videos{first}")
    return found


def _in_folder(folder: Folder, layout: str | None, options: Options) -> Source:
    for name, reader in LAYOUTS.items():
        if layout not in (None, name):
            continue
        why = reader.matches(folder)
        if why or layout == name:
            listing = reader.read(folder, options)
            return Source(name, why or f"layout {name}", *_tuples(listing))
    return _plain(folder.root)


def _plain(path: Path) -> Source:
    """Lists, shards, and folders of videos with text files beside them."""
    videos, problems = list_videos(path)
    shards = any(video.member is not None for video in videos)
    why = "WebDataset shards" if shards else "a list" if path.is_file() else "a folder of videos"
    return Source(PLAIN, why, tuple(_laid(video) for video in videos), tuple(problems))


def _laid(video: ListedVideo) -> LaidVideo:
    """The same with the split that its folder is called like, which is no caption."""
    values = {item.name: getattr(video, item.name) for item in fields(ListedVideo)}
    split = split_of(video.name)
    if video.words.origin == FROM_FOLDER and split_of(f"{video.path.parent.name}/x"):
        values["words"] = replace(video.words, captions=("",))
    return LaidVideo(**values, split=split)


def _tuples(
    listing: tuple[list[LaidVideo], list[Problem]],
) -> tuple[tuple[LaidVideo, ...], tuple[Problem, ...]]:
    return tuple(listing[0]), tuple(listing[1])
