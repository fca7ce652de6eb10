"""Folders of frames: one folder for each video, its pictures in the order of their numbers."""

from __future__ import annotations

import re
from pathlib import Path

from ..captions import Words, read_sidecar
from .base import Folder, LaidVideo, Listing, Options, split_of

FEWEST = 2  # pictures that make a video


def matches(folder: Folder) -> str:
    """Why a folder is of this layout, or ""."""
    groups = _groups(folder)
    return f"{len(groups)} folders of frames" if groups and not folder.videos else ""


def read(folder: Folder, options: Options) -> Listing:
    """A video for each folder that holds pictures; a folder above it is its label."""
    videos = []
    for place, pictures in _groups(folder).items():
        name = folder.name(place) if place != folder.root else place.name
        above = place.parent
        label = "" if above == folder.root or place == folder.root else above.name
        split = split_of(f"{name}/x")
        label = "" if split_of(f"{label}/x") else label
        said = read_sidecar(place) or options.caption(label) or ("",)
        videos.append(
            LaidVideo(name, place, Words(said), label=label, split=split, pictures=tuple(pictures))
        )
    return sorted(videos, key=lambda video: video.name), []


def _groups(folder: Folder) -> dict[Path, list[Path]]:
    groups: dict[Path, list[Path]] = {}
    for path in folder.pictures:
        groups.setdefault(path.parent, []).append(path)
    return {
        place: sorted(pictures, key=_number)
        for place, pictures in groups.items()
        if len(pictures) >= FEWEST
    }


def _number(path: Path) -> tuple[list[int], str]:
    return [int(part) for part in re.findall(r"\d+", path.stem)], path.name
