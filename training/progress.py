"""Progress, time left and errors of a command, and a first Ctrl-C that stops it gently."""

from __future__ import annotations

import contextlib
import errno
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Self, TextIO

INTERRUPTED = 130  # exit status after Ctrl-C, as in shells
REDRAW_SECONDS = 0.2
LINE_SECONDS = 10.0  # where lines cannot be redrawn, as in a log file


def show_log() -> None:
    """Print what the package logs, also where it is no warning."""
    logging.getLogger("kinetoscope").setLevel(logging.INFO)
    if logging.lastResort:
        logging.lastResort.setLevel(logging.INFO)


class Progress:
    """One line that is redrawn on a terminal; on other streams a new line every ten seconds.

    Args:
        total: number of units to come, or None if it is unknown.
        stream: where to write, by default standard error.
        clock: gives seconds.
        label: what the units belong to, written before them.
        unit: what is counted.
        work: of all units together, in any measure, where some take longer than others; the time
            left follows it.

    As a context manager it clears its line at the end.
    """

    def __init__(
        self,
        total: int | None,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        label: str = "",
        unit: str = "frame",
        work: float | None = None,
    ) -> None:
        self.total = total
        self.work = work
        self.worked = 0.0
        self.clock = clock
        self.label = label
        self.unit = unit
        self.stream = stream if stream is not None else sys.stderr
        self.done = 0
        self._begin = self._drawn = clock()
        self._redraws = self.stream.isatty()
        self._width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.clear()

    def update(self, units: int, work: float = 0.0) -> None:
        """Count so many more units as done, and so much work."""
        self.done += units
        self.worked += work
        now = self.clock()
        if now - self._drawn >= (REDRAW_SECONDS if self._redraws else LINE_SECONDS):
            self._drawn = now
            self._write(self.text(), end="" if self._redraws else "\n")

    def text(self) -> str:
        """Such as "12/33 frames, 0.21 s per frame, 4 s left"."""
        spent = self.clock() - self._begin
        pace = spent / max(1, self.done)
        of = f"/{self.total}" if self.total is not None else ""
        left = ""
        if self.total and self.done < self.total:
            seconds = pace * (self.total - self.done)
            if self.work is not None and self.worked:
                seconds = spent * (self.work / self.worked - 1)
            left = f", {duration(seconds)} left"
        return f"{self.label}{self.done}{of} {self.unit}s, {pace:.3g} s per {self.unit}{left}"

    def clear(self) -> None:
        """Clear the line for what is printed next."""
        if self._redraws and self._width:
            self._write("", end="")
            self._width = 0

    def _write(self, text: str, end: str) -> None:
        line = "\r" + text.ljust(self._width) if self._redraws else text
        self.stream.write(line + (end or "\r" * (not text)))
        self.stream.flush()
        self._width = len(text)


def duration(seconds: float) -> str:
    """Such as "8 s", "3 min 20 s" or "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def complain(message: str) -> None:
    """Print an error as one line."""
    print(f"kinetoscope: error: {' '.join(message.split())}", file=sys.stderr)


def one_line(error: Exception) -> str:
    """An error of the file system, or a user's mistake, as one line with the way out."""
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    hint = "; free some space or choose another folder" if is_full_disk(error) else ""
    return f"{error.filename or 'a file'}: {error.strerror}{hint}"


def is_full_disk(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """In the block SIGTERM does what Ctrl-C does at that moment."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        handler = signal.getsignal(signal.SIGINT)
        if not callable(handler):  # shells let their background jobs ignore Ctrl-C
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def gentle_interrupt() -> Iterator[Callable[[], bool]]:
    """In the block the first Ctrl-C makes the given function true; the second one interrupts."""
    stopped = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        if stopped:
            raise KeyboardInterrupt
        stopped = True

    # only the main thread gets signals
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield lambda: stopped
    finally:
        signal.signal(signal.SIGINT, before)
