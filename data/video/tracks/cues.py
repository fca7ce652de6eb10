"""Texts with their times, and reading those of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av


@dataclass(frozen=True)
class Cue:
    """A text that is shown, or a chapter of this title, from `start` to `end` seconds."""

    start: float
    end: float
    text: str


def read_chapters(path: str | Path) -> list[Cue]:
    """The chapters of a file."""
    with av.open(f"file:{path}", metadata_errors="replace") as container:
        chapters: list[Any] = list(container.chapters())
        return [
            Cue(
                float(each["start"] * each["time_base"]),
                float(each["end"] * each["time_base"]),
                str(each["metadata"].get("title", "")),
            )
            for each in chapters
        ]


def read_cues(path: str | Path) -> list[Cue]:
    """The subtitles of an MP4."""
    with av.open(f"file:{path}", metadata_errors="replace") as container:
        found = []
        for track in container.streams.subtitles[:1]:
            for packet in container.demux(track):
                base = packet.time_base or 0
                content = bytes(packet)
                text = content[2 : 2 + int.from_bytes(content[:2], "big")].decode()
                if packet.pts is not None and text:
                    start = float(packet.pts * base)
                    end = start + float((packet.duration or 0) * base)
                    found.append(Cue(start, end, text))
        return found
