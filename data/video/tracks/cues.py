"""Texts with their times, and reading those of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av


@dataclass(frozen=True)
class Cue:
    """A text that is shown, or a chapter of this title, from `start` to `end` seconds."""

    start: float
    end: float
    text: str


def read_chapters(path: str | Path) -> list[Cue]:
    """The chapters of a file."""
    with av.open(str(path)) as container:
        return [
            Cue(
                float(each["start"] * each["time_base"]),
                float(each["end"] * each["time_base"]),
                str(each["metadata"].get("title", "")),
            )
            for each in container.chapters()
        ]


def read_cues(path: str | Path) -> list[Cue]:
    """The subtitles of an MP4."""
    with av.open(str(path)) as container:
        found = []
        for track in container.streams.subtitles[:1]:
            for packet in container.demux(track):
                content = bytes(packet)
                text = content[2 : 2 + int.from_bytes(content[:2], "big")].decode()
                if packet.pts is not None and text:
                    start = float(packet.pts * packet.time_base)
                    end = start + float(packet.duration * packet.time_base)
                    found.append(Cue(start, end, text))
        return found
