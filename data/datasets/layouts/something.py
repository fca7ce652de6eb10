"""Something-Something: JSON files with id, label and template beside videos named by id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..captions import Words
from ..listed_video import Problem
from .base import Folder, LaidVideo, Listing, Options

PATTERNS: tuple[str, ...] = (
    "*something*train.json",
    "*something*validation.json",
    "*something*test.json",
)
PATTERNS += ("train.json", "validation.json", "test.json")


def matches(folder: Folder) -> str:
    """Why a folder is of this layout, or ""."""
    found = [path for path in _lists(folder) if _entries(path)]
    return f"Something-Something ({', '.join(path.name for path in found)})" if found else ""


def read(folder: Folder, options: Options) -> Listing:
    """Videos with the whole sentence as caption and the template without brackets as label."""
    videos = []
    problems: list[Problem] = []
    for path in _lists(folder):
        split = next(s for s in ("train", "validation", "test") if s in path.name)
        for entry in _entries(path):
            number = str(entry["id"])
            video = folder.by_stem.get(number)
            if video is None:
                problems.append((number, f"is in '{path.name}' but not there"))
                continue
            label = str(entry.get("template", "")).replace("[", "").replace("]", "")
            said = str(entry.get("label", "")) or (options.caption(label) or ("",))[0]
            words = Words((said,))
            videos.append(LaidVideo(folder.name(video), video, words, label=label, split=split))
    return sorted(videos, key=lambda video: video.name), problems


def _lists(folder: Folder) -> list[Path]:
    found = [path for pattern in PATTERNS for path in folder.files if path.match(pattern)]
    return list(dict.fromkeys(found))


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return []
    good = isinstance(value, list) and all(
        isinstance(item, dict) and "id" in item for item in value
    )
    return value if good else []
