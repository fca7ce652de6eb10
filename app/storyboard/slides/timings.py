"""When slides change: as a file says, as the slides' own voices do, or at pauses of one voice.

A file of timings has a line for each change: the time, the page, and perhaps a title for the
chapter.

    0:00.00   1  Introduction
    0:12.48   2  What was measured
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ....data.datasets.tables import decode_text
from ..times import seconds_of, shown
from .pages import Slides

RATE = 8_000  # samples per second in which pauses are looked for
WINDOW = 160  # samples: 20 ms
QUIET = 0.06  # of the loudness of loud speech: 24 dB below
SHORTEST = 0.3  # seconds of a pause
EACH = 5.0  # seconds of a slide without a voice


@dataclass(frozen=True)
class Change:
    """From `at` seconds on a page, from 1, is shown; `note` is for people who read the file."""

    at: float
    page: int
    title: str
    note: str = ""


def read_timings(path: Path, slides: Slides) -> list[Change]:
    """The changes of a file.

    Raises:
        ValueError: with the line, for what is no time or page, or comes before the line above.
    """
    if not path.is_file():
        raise ValueError(f"the file of timings '{path}' does not exist")
    changes: list[Change] = []
    for number, line in enumerate(decode_text(path).splitlines(), 1):
        content = line.partition("#")[0].strip().split(maxsplit=2)
        if not content:
            continue
        where = f"{path.name}, line {number}"
        at = seconds_of(content[0])
        if at is None:
            raise ValueError(f"{where}: '{content[0]}' is no time; write it as 1:02.5 or 62.5")
        page = len(changes) + 1
        rest = content[1:]
        if rest and rest[0].isdecimal():
            page = int(rest.pop(0))
        if not 1 <= page <= len(slides):
            raise ValueError(f"{where}: there is no page {page}; there are {len(slides)}")
        if changes and at <= changes[-1].at:
            raise ValueError(f"{where}: {shown(at)} does not come after the line before")
        changes.append(Change(at, page, " ".join(rest) or slides.title(page - 1)))
    if not changes:
        raise ValueError(f"'{path}' holds no times; write a line such as '0:12.5  2' for a slide")
    if changes[0].at > 0:
        raise ValueError(f"{path.name}: the first slide must begin at 0:00")
    return changes


def timings_text(changes: Sequence[Change], given: str) -> str:
    """What `read_timings` reads, for somebody who moves the times."""
    lines = [
        "# When each slide begins: the time, its page, and the title of its chapter.",
        f"# Move the times, and give this file with {given}.",
    ]
    for change in changes:
        note = f"  # {change.note}" if change.note else ""
        lines.append(f"{shown(change.at)}  {change.page:>3}  {change.title.replace('#', '')}{note}")
    return "\n".join(lines) + "\n"


def at_pauses(sound_L: Tensor, slides: Slides, say: Callable[[str], None]) -> list[Change]:
    """Changes in the longest pauses of a voice at `RATE`; even shares, and that is said, if it has
    too few of them."""
    seconds = len(sound_L) / RATE
    found = sorted(pauses(sound_L), key=lambda pause: pause[0] - pause[1])[: len(slides) - 1]
    if len(found) < len(slides) - 1:
        say(
            f"the voice has {len(found)} pauses for {len(slides) - 1} changes of slides, so the "
            "slides share the time evenly"
        )
        return even(slides, seconds)
    changes = [Change(0.0, 1, slides.title(0))]
    for number, (start, end) in enumerate(sorted(found), 2):
        note = f"a pause from {shown(start)} to {shown(end)}"
        changes.append(Change((start + end) / 2, number, slides.title(number - 1), note))
        say(f"slide {number} at {shown((start + end) / 2)}, in {note}")
    return changes


def pauses(sound_L: Tensor) -> list[tuple[float, float]]:
    """Start and end, in seconds, of quiet stretches between speech."""
    count = len(sound_L) // WINDOW
    loudness = sound_L[: count * WINDOW].view(count, WINDOW).square().mean(1).sqrt()
    if not count:
        return []
    speech = float(torch.quantile(loudness[:: 1 + count // 100_000], 0.9))
    quiet = [bool(each) for each in loudness < QUIET * speech]
    found: list[tuple[float, float]] = []
    begin: int | None = None
    for index, silent in enumerate([*quiet, False]):
        if silent and begin is None:
            begin = index
        if not silent and begin is not None:
            inside = begin > 0 and index < count
            if inside and (index - begin) * WINDOW >= SHORTEST * RATE:
                found.append((begin * WINDOW / RATE, index * WINDOW / RATE))
            begin = None
    return found


def even(slides: Slides, seconds: float) -> list[Change]:
    """Each slide for the same time."""
    share = seconds / len(slides)
    return [Change(n * share, n + 1, slides.title(n)) for n in range(len(slides))]
