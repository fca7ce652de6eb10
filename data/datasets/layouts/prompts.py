"""`prompts.txt` beside `videos.txt`: a caption a line, its file on the same line of the other."""

from __future__ import annotations

from ..captions import Words
from ..listed_video import Problem
from ..tables import decode_text
from .base import Folder, LaidVideo, Listing, Options, split_of

PROMPTS = ("prompts.txt", "prompt.txt", "captions.txt")
VIDEOS = ("videos.txt", "video.txt")


def matches(folder: Folder) -> str:
    """Why a folder is of this layout, or ""."""
    prompts, videos = (_first(folder, names) for names in (PROMPTS, VIDEOS))
    return f"{prompts} beside {videos}" if prompts and videos else ""


def read(folder: Folder, options: Options) -> Listing:
    """The video of each line with the caption of that line. ValueError if the counts differ."""
    prompts, videos = (folder.root / _first(folder, names) for names in (PROMPTS, VIDEOS))
    captions, names = (decode_text(path).splitlines() for path in (prompts, videos))
    names = [name.strip() for name in names if name.strip()]
    captions = captions[: len(names)] if not any(captions[len(names) :]) else captions
    if len(captions) != len(names):
        raise ValueError(
            f"'{prompts}' has {len(captions)} lines and '{videos}' {len(names)}; each line of one "
            "belongs to a line of the other"
        )
    found = []
    problems: list[Problem] = []
    for name, caption in zip(names, captions):
        path = folder.root / name
        if not path.is_file():
            problems.append((name, f"is in '{videos.name}' but not there"))
            continue
        words = Words((" ".join(caption.split()),))
        found.append(LaidVideo(name, path, words, split=split_of(name)))
    return sorted(found, key=lambda video: video.name), problems


def _first(folder: Folder, names: tuple[str, ...]) -> str:
    return next((name for name in names if (folder.root / name).is_file()), "")
