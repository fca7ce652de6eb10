"""Times and lengths as people write them."""

from __future__ import annotations

import re

from .located import Located
from .schema import Join, JoinKind, Length

LONGEST = 24 * 3600.0  # seconds
MOST_FRAMES = 10_000_000
LONGEST_JOIN = 10.0
CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d{1,2}(?:[.,]\d+)?)")
AMOUNT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)")
SECONDS = ("", "s", "sec", "second", "seconds")
UNITS = {**dict.fromkeys(SECONDS, 1.0), "ms": 1e-3, "m": 60.0, "min": 60.0}
FRAMES = ("f", "frame", "frames")
EXAMPLES = "such as 2.5 s or 1:02.5"
OR_FRAMES = "such as 2.5 s, 1:02.5 or 33 frames"
DEFAULT_JOIN = 0.5  # seconds
JOINS: tuple[JoinKind, ...] = ("cut", "continue", "fade", "crossfade")


def clock(text: str) -> float | None:
    """Seconds of a time such as 1:02.5 or 01:00:07; None if it is none."""
    found = CLOCK.fullmatch(text.strip())
    if not found:
        return None
    hours, minutes, seconds = found.groups()
    return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))


def seconds_of(text: str) -> float | None:
    """Seconds of a time in any way of writing it; None if it is none."""
    at = clock(text)
    if at is not None:
        return at
    found = AMOUNT.fullmatch(text.strip().lower())
    if not found or found[2] not in UNITS:
        return None
    return float(found[1]) * UNITS[found[2]]


def shown(seconds: float) -> str:
    """A time for people: 1:02.50."""
    return f"{int(seconds // 60)}:{seconds % 60:05.2f}"


def read_length(given: Located, what: str) -> Length:
    """How long something is, above zero."""
    text = given.text(what).lower()
    found = AMOUNT.fullmatch(text)
    if found and found[2] in FRAMES:
        count = float(found[1])
        if count % 1 or not 1 <= count <= MOST_FRAMES:
            given.fail(f"{what} must be 1 to {MOST_FRAMES} whole frames; got {text}")
        return Length(count, "frames")
    return Length(_checked(given, what, text, above_zero=True, examples=OR_FRAMES))


def read_seconds(given: Located, what: str, above_zero: bool = False) -> float:
    """A time in seconds."""
    return _checked(given, what, given.text(what).lower(), above_zero)


def _checked(
    given: Located, what: str, text: str, above_zero: bool, examples: str = EXAMPLES
) -> float:
    seconds = seconds_of(text)
    if seconds is None:
        given.fail(f"{what} must be a time {examples}; got '{text}'")
    if seconds > LONGEST or (above_zero and seconds <= 0):
        given.fail(f"{what} must be above 0 and at most 24 hours; got '{text}'")
    return seconds


def read_join(given: Located) -> Join:
    """How a shot begins, such as "crossfade 0.5 s"."""
    word, _, rest = given.text("join").lower().partition(" ")
    if word not in JOINS:
        given.fail(f"join must be {', '.join(JOINS)}, such as crossfade 0.5 s; got '{word}'")
    kind = next(each for each in JOINS if each == word)
    if kind in ("cut", "continue"):
        if rest:
            given.fail(f"join: {kind} takes no time; got '{rest}'")
        return Join(kind)
    seconds = seconds_of(rest) if rest else DEFAULT_JOIN
    if seconds is None or not 0 < seconds <= LONGEST_JOIN:
        given.fail(f"join: a {kind} takes a time up to {LONGEST_JOIN:g} s; got '{rest}'")
    return Join(kind, seconds)
