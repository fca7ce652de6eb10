"""The seats of the server for workers that Ray Serve keeps running somewhere in the cluster.

A seat asks Ray for a replica that is free and keeps it: all that is drawn there, live videos too,
goes over one line. When the replica dies the line ends, what it held goes back into the queue, and
the seat asks for another one.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..logs import log
from ..settings import ServeSettings
from ..store.queue import VideoQueue
from ..workers.jobs import QueueJobs
from ..workers.pool import NotStarted, Seat, WorkerPool
from .line import MeetingPlace, as_pipe
from .remote_jobs import JobsOffice

ENDING = 10.0  # seconds in which a replica whose line has ended is done with it


class Replica:
    """A replica that works for one seat; looks like a process to the pool.

    Args:
        call: of its method `work`, which goes on as long as it works.
    """

    pid: int | None = None
    exitcode: int | None = None

    def __init__(self, call: Any) -> None:
        self._call = call
        self._channel: socket.socket | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        """Ray knows of a death that the line does not show, such as that of a machine."""
        try:
            self._call.result()
            self.exitcode = 0
        except Exception as error:
            self.exitcode = 1
            log("replica lost", message=type(error).__name__)
        self._ended.set()
        self.kill()

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    def connect(self, channel: socket.socket) -> Connection:
        """The pipe to a replica that has called back.

        Raises:
            EOFError, OSError: it is gone already.
        """
        self._channel = channel
        if self.has_ended:
            self.kill()
        pipe = as_pipe(channel)
        self.pid = pipe.recv()
        return pipe

    def join(self, seconds: float = ENDING) -> None:
        self._ended.wait(seconds)

    def kill(self) -> None:
        """End the line; the replica lives on, and can be asked for again."""
        if self._channel is not None:
            with contextlib.suppress(OSError):
                self._channel.shutdown(socket.SHUT_RDWR)

    def give_up(self) -> None:
        """Ask no longer for one."""
        self._call.cancel()


class ReplicaPool(WorkerPool):
    """Seats for replicas.

    Args:
        handle: of the deployment of replicas.
        host: the address of this machine that they reach.
    """

    def __init__(self, settings: ServeSettings, queue: VideoQueue, handle: Any, host: str) -> None:
        super().__init__(settings, queue)
        self.handle = handle
        self.host = host

    def _start(self, name: str) -> tuple[Replica, Connection]:
        """The next free replica; waits until there is one."""
        with MeetingPlace(self.host) as meeting:
            replica = Replica(self.handle.work.remote(name, meeting.address, meeting.word))
            while not self._stopping.is_set() and not replica.has_ended:
                if (caller := meeting.wait(1.0)) is None:
                    continue
                with contextlib.suppress(EOFError, OSError):
                    return replica, replica.connect(caller)
        replica.give_up()
        raise NotStarted("Ray has no replica for it now")

    def _take(self, seat: Seat, message: tuple[Any, ...]) -> None:
        if message[0] != "ask":
            super()._take(seat, message)
            return
        jobs = QueueJobs(self.queue, seat.name, Path(self.settings.folder))
        seat.send(JobsOffice(jobs).answer(message[1], message[2]))
