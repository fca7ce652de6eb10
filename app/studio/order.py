"""An order for videos that are made at once, and how far they are."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from .settings import Settings


@dataclass
class Order:
    """Videos that are made at once, and how far they are.

    state: waiting, loading, drawing, saving, then done, cancelled or failed; done: frames of each
    video so far; error: in a line, with a word for programs in error_code; notes: what a person
    should know; keep: whether what is drawn stays when it is cancelled.
    """

    number: int
    settings: Settings
    seeds: list[int]
    videos: list[str]
    state: str = "waiting"
    done: int = 0
    began: float = 0.0
    first: int = 0  # frames that were given
    error: str = ""
    error_code: str = ""
    notes: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    keep: bool = False

    @property
    def makes_videos(self) -> bool:
        """Whether videos of the gallery come of it."""
        return True

    @property
    def frames(self) -> int:
        """Of each video."""
        return self.settings.frames

    @property
    def ended(self) -> bool:
        return self.state in ("done", "cancelled", "failed")

    def to_json(self) -> dict[str, Any]:
        return {
            "order": self.number,
            "settings": self.settings.to_json(),
            "seeds": self.seeds,
            "videos": self.videos,
            "state": self.state,
            "done": self.done,
            "frames": self.frames,
            "seconds_left": self.seconds_left(),
            "error": self.error,
            "notes": self.notes,
        }

    def seconds_left(self) -> float | None:
        """At the pace so far; None before anything is drawn."""
        drawn = self.done - self.first
        if self.state != "drawing" or drawn <= 0:
            return None
        pace = (time.monotonic() - self.began) / drawn
        return round(pace * (self.frames - self.done), 1)
