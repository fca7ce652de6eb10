"""An order for the shots of a storyboard, or for the video of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...storyboard.schema import Storyboard
from ..order import Order


@dataclass
class StoryOrder(Order):
    """raw: what the page sent; only: the number of the one shot that is asked for, from 1; film:
    whether the video is asked for; shots: the state of each (waiting, drawing, drawn), and the hash
    of its last piece."""

    story: Storyboard = field(default_factory=lambda: Storyboard(()))
    raw: Mapping[str, Any] = field(default_factory=dict)
    only: int | None = None
    film: bool = False
    shots: list[dict[str, Any]] = field(default_factory=list)
    frames: int = 0

    @property
    def makes_videos(self) -> bool:
        return self.film

    def to_json(self) -> dict[str, Any]:
        told = {"story": True, "film": self.film, "shots": self.shots}
        return {**super().to_json(), **told}
