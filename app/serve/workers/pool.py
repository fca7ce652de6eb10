"""The workers of a server: started, watched, started again when they die, and stopped."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from ..logs import log
from ..settings import ServeSettings
from ..store.queue import VideoQueue
from .worker import run_worker

Listener = Callable[[tuple[Any, ...]], object]
SHORT_LIFE = 20.0  # seconds; a worker that dies earlier is not replaced at once
LONGEST_WAIT = 60.0


@dataclass(eq=False)
class Seat:
    """A place for a worker, and the process that has it now."""

    number: int
    name: str = ""
    process: Any = None
    pipe: Connection | None = None
    is_ready: bool = False
    started: float = 0.0
    deaths: int = 0  # in a row, soon after the start
    listeners: dict[str, Listener] = field(default_factory=dict)  # of live videos
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, message: tuple[Any, ...]) -> None:
        """Tell the worker; one that has died is told nothing."""
        with self.lock, contextlib.suppress(OSError):
            if self.pipe is not None:
                self.pipe.send(message)


class NotStarted(Exception):
    """A worker that was not to be had."""


def start_process(settings: ServeSettings, name: str, threads: int, pipe: Connection) -> Any:
    """A worker in a process of its own."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=run_worker, args=(settings, name, threads, pipe), daemon=True)
    process.start()
    return process


class WorkerPool:
    """Processes that draw.

    Args:
        queue: what a dead worker held goes back into it.
    """

    def __init__(self, settings: ServeSettings, queue: VideoQueue) -> None:
        self.settings = settings
        self.queue = queue
        count = settings.worker_count()
        cores = len(os.sched_getaffinity(0))
        self.threads = max(1, cores // count)
        self.seats = [Seat(number) for number in range(count)]
        self.deaths = 0
        self._names = itertools.count()
        self._stopping = threading.Event()
        self._watchers = [
            threading.Thread(target=self._keep, args=(seat,), daemon=True) for seat in self.seats
        ]

    @property
    def ready(self) -> int:
        """Workers that have their model."""
        return sum(seat.is_ready for seat in self.seats)

    def start(self) -> None:
        for watcher in self._watchers:
            watcher.start()

    def wake(self) -> None:
        """Tell the workers that there is something to do."""
        for seat in self.seats:
            seat.send(("wake",))

    def stop(self, seconds: float) -> None:
        """Let the workers finish what they draw; what is not done after so many seconds goes back
        into the queue."""
        self._stopping.set()
        for seat in self.seats:
            seat.send(("stop", seconds))
        end = time.monotonic() + seconds + 5
        for seat, watcher in zip(self.seats, self._watchers):
            if seat.process is not None:
                seat.process.join(max(0.0, end - time.monotonic()))
                seat.process.kill()
            watcher.join(5)

    # ---- live videos ----

    def open_live(
        self, name: str, client: str, request: dict[str, Any], listener: Listener
    ) -> Seat:
        """Draw a video that a client watches; the listener gets messages in another thread.

        Raises:
            LookupError: no worker is ready.
        """
        ready = [seat for seat in self.seats if seat.is_ready]
        if not ready:
            raise LookupError("no worker is ready")
        seat = min(ready, key=lambda each: len(each.listeners))
        seat.listeners[name] = listener
        seat.send(("open", name, client, request))
        return seat

    def close_live(self, seat: Seat, name: str) -> None:
        seat.listeners.pop(name, None)
        seat.send(("close", name))

    @property
    def live(self) -> int:
        return sum(len(seat.listeners) for seat in self.seats)

    # ---- one worker after another ----

    def _keep(self, seat: Seat) -> None:
        """Keep a worker in a seat, in a thread of its own."""
        while not self._stopping.is_set():
            try:
                self._launch(seat)
            except NotStarted as error:
                log("worker not started", message=str(error))
                seat.deaths += 1
            else:
                self._hear(seat)
                self._bury(seat)
            if not self._stopping.is_set():
                wait = min(LONGEST_WAIT, 2.0 ** min(seat.deaths, 6) - 1)
                self._stopping.wait(wait)

    def _launch(self, seat: Seat) -> None:
        # names are unlike those of any server before, whose leases may still be there
        seat.name = f"{os.getpid()}-{time.time_ns()}-{next(self._names)}"
        (process, pipe) = self._start(seat.name)
        seat.process = process
        seat.pipe = pipe
        seat.started = time.monotonic()
        log("worker started", worker=seat.name, pid=process.pid)

    def _start(self, name: str) -> tuple[Any, Connection]:
        """A worker of this name: what can be joined and killed, and our end of the pipe to it.

        Raises:
            NotStarted: there is none to be had now.
        """
        (mine, its) = multiprocessing.Pipe()
        process = start_process(self.settings, name, self.threads, its)
        its.close()
        return process, mine

    def _hear(self, seat: Seat) -> None:
        """Pass on what a worker says, until it dies."""
        pipe = seat.pipe
        assert pipe is not None
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._take(seat, pipe.recv())

    def _take(self, seat: Seat, message: tuple[Any, ...]) -> None:
        if message[0] == "ready":
            seat.is_ready = True
            log("worker ready", worker=seat.name)
        elif (listener := seat.listeners.get(message[1])) is not None:
            listener(message)

    def _bury(self, seat: Seat) -> None:
        seat.is_ready = False
        seat.process.join()
        with seat.lock:
            if seat.pipe is not None:
                seat.pipe.close()
            seat.pipe = None
        for name, listener in list(seat.listeners.items()):
            listener(("ended", name, "the process that drew this video died"))
        seat.listeners.clear()
        given_back = self.queue.hand_back(seat.name, died=True)
        if not self._stopping.is_set():
            self.deaths += 1
            lived = time.monotonic() - seat.started
            seat.deaths = seat.deaths + 1 if lived < SHORT_LIFE else 0
            status = seat.process.exitcode
            log("worker died", worker=seat.name, status=status, given_back=given_back)
            self.wake()
