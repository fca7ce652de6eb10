"""Processes that decode videos ahead of whoever wants their frames.

A decoder runs C code that may hang or crash on a damaged file, so it runs where it can be killed:
every worker has an alarm clock that ends it when no frame comes for a while, also when the process
that waits for it is gone.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...files.atomic import scratch_folder
from ..datasets.listed_video import ListedVideo
from .frames import VideoError
from .pixels import WHITE
from .prefetch import prefetch
from .read import even_timing, iterate_frames

CHUNK_PIXELS = 1 << 19  # pixels that a worker sends at once
LONGEST_CHUNK = 64  # frames
AHEAD = 2  # videos per worker that are given out
CHUNKS_AHEAD = 8  # of each worker that wait to be used

Given = tuple[ListedVideo, int]  # a video and the number of the worker that has it


@dataclass(frozen=True)
class Reading:
    """How videos are read: `size` (height, width) or None for their own, `fps` or None for their
    own (see `even_timing`), the seconds after which a video that gives no frame is given up, and
    the colour below transparent pictures."""

    size: tuple[int, int] | None = None
    fps: float | None = None
    time_limit: float = 60.0
    background: str = WHITE


@dataclass
class DecodedVideo:
    """The frames of a video as they come: uint8 chunks `[3, f, Y, X]`.

    Iterating raises VideoError, with a reason that does not name the file, when it is broken, or
    hangs or crashes the decoder. `fps` is known once the first chunk is there.
    """

    video: ListedVideo
    chunks: Iterator[Tensor]
    fps: float = 0.0

    def __iter__(self) -> Iterator[Tensor]:
        return self.chunks


class Decoders:
    """Worker processes, used as a context: `with Decoders(reading, 2) as decoders: for video in
    decoders.read(…)`."""

    def __init__(self, reading: Reading, workers: int) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1; got {workers}")
        if not reading.time_limit > 0:
            raise ValueError(f"the time limit must be above 0 seconds; got {reading.time_limit}")
        self.reading = reading
        self.count = workers
        methods = multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context(
            "forkserver" if "forkserver" in methods else "spawn"
        )
        self._first = 0.0
        self._waited = 0.0

    @property
    def waiting(self) -> float:
        """Share of the time since the first frame that went by waiting for frames."""
        return self._waited / max(1e-9, time.monotonic() - self._first) if self._first else 0.0

    def __enter__(self) -> Decoders:
        self._leaving = contextlib.ExitStack()
        self._workers: list[_Worker] = []
        if self._context.get_start_method() == "forkserver":
            # workers that replace dead ones start at once
            self._context.set_forkserver_preload([__name__])
        try:
            self._scratch = self._leaving.enter_context(scratch_folder())
            with _interrupts_wait():
                for _ in range(self.count):
                    self._workers.append(self._start())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
            worker.messages.close()
            worker.pipe.close()
        self._leaving.close()

    def read(self, videos: Iterable[ListedVideo]) -> Iterator[DecodedVideo]:
        """The videos in their order; each is to be iterated to its end before the next is asked
        for."""
        coming = enumerate(videos)
        given = deque[Given]()
        while True:
            for index, video in islice(coming, AHEAD * self.count - len(given)):
                given.append((video, index % self.count))
                self._workers[index % self.count].give(video)
            if not given:
                return
            video, slot = given.popleft()
            decoded = DecodedVideo(video, iter(()))
            decoded.chunks = self._chunks(decoded, slot, given)
            yield decoded

    def _chunks(self, decoded: DecodedVideo, slot: int, given: Iterable[Given]) -> Iterator[Tensor]:
        while True:
            kind, value = self._receive(slot, given)
            if kind == "fps":
                decoded.fps = value
            elif kind == "frames":
                yield torch.from_numpy(value)
            elif kind == "end":
                return
            elif kind == "broken":
                raise VideoError(value)
            else:
                raise value

    def _receive(self, slot: int, given: Iterable[Given]) -> tuple[str, Any]:
        begin = time.monotonic()
        worker = self._workers[slot]
        try:
            return next(worker.messages)
        except (EOFError, ConnectionError):
            reason = self._how_it_died(worker)
            self._workers[slot] = self._start()
            for video, other in given:
                if other == slot:
                    self._workers[slot].give(video)
            return "broken", reason
        finally:
            now = time.monotonic()
            self._waited += now - begin if self._first else 0.0
            self._first = self._first or now

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        work = (theirs, self.reading, self._scratch)
        process = self._context.Process(
            target=_work, args=work, daemon=True, name="kinetoscope-decoder"
        )
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _how_it_died(self, worker: _Worker) -> str:
        worker.pipe.close()
        worker.process.join()
        code = worker.process.exitcode
        if code == 1:  # Python's own; what goes wrong with a video is sent
            raise RuntimeError(
                "a decoding process ended before its first video; a script that prepares videos "
                "must do so below "
                "`if __name__ == '__main__':`"
            )
        if code == -signal.SIGALRM:
            return f"gave no frame for {self.reading.time_limit:g} seconds: the decoder hangs on it"
        return f"crashed the decoder (exit status {code})"


@contextlib.contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Ctrl-C is taken after the block, and never by processes that are started in it: it is for
    the one that waits for them, and would find them in the middle of their imports."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # which lets interrupts through when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass
class _Worker:
    """A process, and what it has sent: a pipe alone holds less than one chunk, and while one
    worker's video is used the others would wait."""

    process: Any
    pipe: Connection

    def __post_init__(self) -> None:
        self.messages = prefetch(_received(self.pipe), CHUNKS_AHEAD)

    def give(self, video: ListedVideo) -> None:
        # it died; that shows when its frames are asked for
        with contextlib.suppress(ConnectionError):
            self.pipe.send(video)


def _received(pipe: Connection) -> Iterator[tuple[str, Any]]:
    while True:
        yield pipe.recv()


# ---- in the worker ----


def _work(pipe: Connection, reading: Reading, scratch: Path) -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that waits
    # the default ends the process, also inside C code
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionError):  # the other side has gone
        while True:
            video = pipe.recv()
            for message in _watched(_decode(video, reading, scratch), reading.time_limit):
                pipe.send(message)


def _watched(messages: Iterator[Any], limit: float) -> Iterator[Any]:
    """The messages; the process ends if one takes longer than `limit` seconds."""
    while True:
        signal.setitimer(signal.ITIMER_REAL, limit)
        message = next(messages, None)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if message is None:
            return
        yield message


def _part(video: ListedVideo, fps: float) -> tuple[float, int | None]:
    """The second at which a video begins in its file, and its frames; None for all to its end."""
    if video.span is None:
        return 0.0, None
    begin, end = video.span
    return begin, max(1, round((end - begin) * fps))


def _decode(video: ListedVideo, reading: Reading, scratch: Path) -> Iterator[tuple[str, Any]]:
    path = video.path
    try:
        if video.member is not None:  # FFmpeg wants a file, and one that ends where the video ends
            path = scratch / f"{os.getpid()}{Path(video.name).suffix}"
            with open(video.path, "rb") as tar:
                tar.seek(video.member[0])
                path.write_bytes(tar.read(video.member[1]))
        timing = even_timing(path, reading.fps)
        yield "fps", timing.fps
        height, width = reading.size or (360, 640)
        chunk = min(LONGEST_CHUNK, max(1, CHUNK_PIXELS // (height * width)))
        begin, count = _part(video, timing.fps)
        frames = iterate_frames(
            path,
            begin,
            count,
            fps=timing.sampled,
            size=reading.size,
            chunk=chunk,
            threads=1,
            background=reading.background,
        )
        for images in frames:
            yield "frames", images.numpy()
        yield "end", None
    except OSError as error:  # a full disk, say: no fault of the video
        yield "failed", error
    except VideoError as error:
        yield "broken", str(error).replace(f"'{path}' ", "", 1)
    except (ValueError, RuntimeError, ArithmeticError, MemoryError) as error:
        yield "broken", f"cannot be decoded ({type(error).__name__}: {error})"
