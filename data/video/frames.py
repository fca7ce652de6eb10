"""The pictures of a video, when each is shown, and which of them make a clip.

Times are seconds from the first picture. A picture is shown until the next one takes over, and the
last one as long as the file says.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ...files.errors import UnreadableFile

SLACK = 0.25  # share of an interval by which times may be rounded
FASTEST_FRAMES = 120.0  # frames per second at which a video of varying rate is sampled at most
MOST_REPEATS = 20  # times as many frames as there are pictures
LONGEST_HOLD = 86400.0  # seconds; a picture that is shown for longer has a wrong time stamp


class VideoError(UnreadableFile):
    """A file cannot be read as video; the message is one line that names the file, the reason
    and the way out."""


class ShownFrame(NamedTuple):
    """A picture (an `av.VideoFrame`) and the seconds at which it appears and is replaced."""

    begin: float
    end: float
    frame: Any


class VideoSource(Protocol):
    """An open video, whatever reads it.

    `rate`: frames per second on average; `aspect`: width of a pixel over its height; `own_size`:
    (width, height) of what `VideoWriter` padded.
    """

    rate: float
    codec: str
    has_audio: bool
    metadata: dict[str, str]
    aspect: float
    own_size: tuple[int, int] | None

    def first(self) -> Any:
        """The first frame, without looking further."""
        ...

    def shown(self, start: float = 0.0) -> Iterator[ShownFrame]:
        """The frames in the order in which they are shown, from one at or before `start` on."""
        ...

    def length(self) -> tuple[int, float]:
        """How many frames there are, and the seconds they last, without decoding them."""
        ...

    def steps(self) -> list[float]:
        """The seconds between each frame and the next, without decoding them; [] if all are the
        same for sure."""
        ...


def shown_frames(
    timed: Iterable[tuple[float, Any]], hold: Callable[[Any], float]
) -> Iterator[ShownFrame]:
    """(second, frame) in rising order to intervals; `hold` tells how long the last one stays."""
    before: tuple[float, Any] | None = None
    for time, frame in timed:
        if before is not None:
            yield ShownFrame(before[0], time, before[1])
        before = (time, frame)
    if before is not None:
        time, frame = before
        yield ShownFrame(time, time + hold(frame), frame)


def select_frames(
    path: str | Path,
    shown: Iterable[ShownFrame],
    rate: float,
    start: float,
    limit: int | None,
    fps: float | None,
    stride: int,
) -> Iterator[tuple[Any, int]]:
    """The frames that a clip consists of, and how many times each is in it.

    With `fps` the clip is sampled at `start`, `start + 1 / fps`, …; each sample is the picture that
    is shown then. Without, every stride-th picture is taken from the one shown at `start` on.
    `rate` is the file's own, on average.

    Raises:
        VideoError: nothing is shown at `start`, or one picture for more than a day.
    """
    count = 0
    passed = 0
    end = 0.0
    for begin, end, frame in shown:
        length = end - begin
        if fps is not None and limit is None and length > LONGEST_HOLD:
            raise VideoError(
                f"'{path}' shows one picture from {begin:.2f} to {end:.0f} seconds; its time "
                "stamps are damaged"
            )
        if fps is not None:
            slack = SLACK * min(length, 1 / fps)
            times = math.ceil((end - slack - start) * fps) - count
        else:
            is_next = end > start + SLACK * min(length, 1 / rate)
            times = int(is_next and passed % stride == 0)
            passed += is_next
        if limit is not None:
            times = min(times, limit - count)
        if times > 0:
            yield frame, times
            count += times
        if count == limit:
            return
    if count == 0:
        raise VideoError(
            f"'{path}' has no frame at {start:g} seconds: it ends after {end:.2f}; start earlier"
        )


def steady_rate(steps: Sequence[float]) -> float | None:
    """Frames per second at which a video must be sampled so that its pictures keep their times;
    None if it is enough to show them one after another at their average rate.

    That is so where every picture lies within half a frame of its place. The rate is that of the
    closest pictures, or None where it would give too many frames.

    Args:
        steps: the seconds between each picture and the next.
    """
    total = sum(steps)
    if not total:
        return None
    mean = total / len(steps)
    times = itertools.accumulate(steps)
    if all(abs(time - number * mean) <= mean / 2 for number, time in enumerate(times, start=1)):
        return None
    short = sorted(steps)[len(steps) // 10]
    alike = [step for step in steps if abs(step - short) <= SLACK * short]
    rate = min(FASTEST_FRAMES, len(alike) / sum(alike) if sum(alike) else FASTEST_FRAMES)
    return rate if total * rate <= MOST_REPEATS * len(steps) else None
