"""Recordings of Gymnasium's RecordVideo: `rl-video-episode-0.mp4`, `rl-video-step-1000.mp4`."""

from __future__ import annotations

import re

from ....files.json_file import read_json
from ..captions import Words
from .base import Folder, LaidVideo, Listing, Options

NAME = re.compile(r"(?P<prefix>.+)-(?P<kind>episode|step)-(?P<number>\d+)$")


def matches(folder: Folder) -> str:
    """Why a folder is of this layout, or ""."""
    fits = [path for path in folder.videos if NAME.match(path.stem)]
    all_fit = bool(fits) and len(fits) == len(folder.videos)
    return f"{len(fits)} recordings of Gymnasium" if all_fit else ""


def read(folder: Folder, options: Options) -> Listing:
    """Episodes in order; the name of the environment, where a .meta.json says it, is the label."""
    videos = []
    for path in folder.videos:
        found = NAME.match(path.stem)
        if found is None:
            continue
        beside = path.with_suffix(".meta.json")
        told = read_json(beside) if beside.is_file() else {}
        label = str(told.get("env_id", "")) if isinstance(told, dict) else ""
        facts = {found["kind"]: int(found["number"])}
        words = Words(options.caption(label) or ("",))
        videos.append(LaidVideo(folder.name(path), path, words, label=label, facts=facts))
    order = {video.name: tuple(video.facts.values()) for video in videos}
    return sorted(videos, key=lambda video: (order[video.name], video.name)), []
