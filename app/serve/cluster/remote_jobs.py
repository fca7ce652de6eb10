"""The queue over a pipe: a replica asks, and the server, which alone has the queue, answers.

A question is ("ask", method, arguments), its answer ("answer", result, error). Uploads come with
the videos that are claimed, and finished files go back as bytes.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections import deque
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ....files.atomic import write_whole
from ..store.places import upload_path, video_path
from ..store.queue import Video
from ..workers.jobs import QueueJobs

QUESTIONS = ("claim", "renew", "deliver", "fail", "hand_back")
Files = dict[str, bytes]


class Line:
    """The replica's end of the pipe: messages that come while it waits for an answer are kept."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._kept: deque[Any] = deque()

    def poll(self, timeout: float) -> bool:
        return bool(self._kept) or self._pipe.poll(timeout)

    def recv(self) -> Any:
        return self._kept.popleft() if self._kept else self._pipe.recv()

    def send(self, message: Any) -> None:
        self._pipe.send(message)

    def ask(self, method: str, *arguments: Any) -> Any:
        """Ask the server.

        Raises:
            OSError: it could not do that, for its disk is full perhaps.
            EOFError: it is gone.
        """
        self.send(("ask", method, arguments))
        while True:
            message = self._pipe.recv()
            if message[0] != "answer":
                self._kept.append(message)
            elif message[2] is not None:
                raise OSError(message[2])
            else:
                return message[1]


class RemoteJobs:
    """Jobs of a worker on another machine.

    Args:
        folder: of its own, for what it draws now.
    """

    def __init__(self, line: Line, folder: Path) -> None:
        self.line = line
        self.folder = folder

    def claim(self, count: int) -> list[Video]:
        videos: list[Video] = []
        for video, files in self.line.ask("claim", count):
            for name, content in files.items():
                write_whole(upload_path(self.folder, video.id) / name, content)
            videos.append(video)
        return videos

    def renew(self, video_id: str, frames_done: int) -> bool:
        is_mine: bool = self.line.ask("renew", video_id, frames_done)
        if not is_mine:
            self._forget(video_id)
        return is_mine

    def deliver(self, video_id: str) -> None:
        try:
            self.line.ask("deliver", video_id, video_path(self.folder, video_id).read_bytes())
        finally:
            self._forget(video_id)

    def fail(self, video_id: str, code: str, message: str) -> None:
        self.line.ask("fail", video_id, code, message)
        self._forget(video_id)

    def hand_back(self) -> None:
        self.line.ask("hand_back")

    def _forget(self, video_id: str) -> None:
        video_path(self.folder, video_id).unlink(missing_ok=True)
        shutil.rmtree(upload_path(self.folder, video_id), ignore_errors=True)


class JobsOffice:
    """Answers what the replica in one seat asks.

    Args:
        jobs: of this replica, in the folder of the server.
    """

    def __init__(self, jobs: QueueJobs) -> None:
        self.jobs = jobs

    def answer(self, method: str, arguments: tuple[Any, ...]) -> tuple[str, Any, str | None]:
        """The message to send back."""
        assert method in QUESTIONS, method
        try:
            return "answer", getattr(self, f"_{method}")(*arguments), None
        except (OSError, sqlite3.Error) as error:
            return "answer", None, str(error)

    def _claim(self, count: int) -> list[tuple[Video, Files]]:
        return [(video, self._uploads(video)) for video in self.jobs.claim(count)]

    def _uploads(self, video: Video) -> Files:
        folder = upload_path(self.jobs.folder, video.id)
        return {path.name: path.read_bytes() for path in sorted(folder.glob("*"))}

    def _renew(self, video_id: str, frames_done: int) -> bool:
        return self.jobs.renew(video_id, frames_done)

    def _deliver(self, video_id: str, content: bytes) -> None:
        video = self.jobs.queue.get(video_id)
        # the file of a video that another replica delivered stays as it is
        if video is not None and self.jobs.renew(video_id, video.frames):
            write_whole(video_path(self.jobs.folder, video_id), content)
            self.jobs.deliver(video_id)

    def _fail(self, video_id: str, code: str, message: str) -> None:
        self.jobs.fail(video_id, code, message)

    def _hand_back(self) -> None:
        self.jobs.hand_back()
