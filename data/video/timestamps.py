"""Time stamps of decoded frames as seconds that always rise.

Containers tell time in many ways, and some hardly at all. AVI stores the order of decoding only, so
the presentation times that FFmpeg makes up for its B-frames run backwards; recordings that were
joined begin anew in the middle; raw streams have no times.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

JOIN_SECONDS = 1.0  # a jump back further than this begins another recording
GAP_SECONDS = 10.0  # a jump ahead further than this, where recordings may be joined
TINY = 0.01  # share of a step by which a frame follows another one with the same stamp


class Clock:
    """Tells the second at which each frame is shown, frames given in the order of showing.

    Args:
        time_base: seconds of one unit of the stamps.
        step: seconds between frames that have no stamps.
        by_arrival: take the time at which the decoder gave the frame in place of the one that the
            container claims (see `runs_backwards`).
        joins: the format has recordings that were joined, in which time may jump.
    """

    def __init__(
        self, time_base: Fraction, step: float, by_arrival: bool = False, joins: bool = False
    ) -> None:
        self.unit = float(time_base)
        self.step = step
        self.by_arrival = by_arrival
        self.joins = joins
        self.shift = 0.0
        self.last: float | None = None

    def read(self, stamped: Any) -> float:
        """The time of a frame (or packet): seconds on the file's own clock, joined recordings one
        after the other."""
        stamp = stamped.dts if self.by_arrival else stamped.pts
        if self.last is None:
            self.last = 0.0 if stamp is None else stamp * self.unit
        elif stamp is None:
            self.last += self.step
        else:
            self.last = self._following(stamp * self.unit + self.shift, self.last)
        return self.last

    def _following(self, time: float, last: float) -> float:
        is_joined = last - time > JOIN_SECONDS or (self.joins and time - last > GAP_SECONDS)
        if is_joined:
            self.shift += last + self.step - time
            return last + self.step
        return time if time > last else last + TINY * self.step


def runs_backwards(frames: Sequence[Any]) -> bool:
    """Are the presentation times of frames, in the order of showing, no presentation times?"""
    stamps = [frame.pts for frame in frames if frame.pts is not None]
    is_rising = all(one < other for one, other in itertools.pairwise(stamps))
    return not is_rising and all(frame.dts is not None for frame in frames)
