"""How a worker gets videos to draw and delivers them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

from ..store.places import upload_path, video_path
from ..store.queue import Video, VideoQueue


class Jobs(Protocol):
    """The queue as one worker sees it. Only what this worker holds can be changed."""

    def claim(self, count: int) -> list[Video]:
        """Take up to so many videos to draw; their uploads lie in the worker's folder then."""
        ...

    def renew(self, video_id: str, frames_done: int) -> bool:
        """Say how far a video is; whether it is still this worker's."""
        ...

    def deliver(self, video_id: str) -> None:
        """Hand over the finished file of a video, which lies in the worker's folder."""
        ...

    def fail(self, video_id: str, code: str, message: str) -> None:
        """Give up a video."""
        ...

    def hand_back(self) -> None:
        """Put what the worker holds back into the queue."""
        ...


class QueueJobs:
    """Jobs of a worker that shares the folder of the server.

    Args:
        worker: its name, unlike that of any other one.
        folder: of the server.
    """

    def __init__(self, queue: VideoQueue, worker: str, folder: Path) -> None:
        self.queue = queue
        self.worker = worker
        self.folder = folder

    def claim(self, count: int) -> list[Video]:
        return self.queue.claim(self.worker, count)

    def renew(self, video_id: str, frames_done: int) -> bool:
        return self.queue.renew(video_id, self.worker, frames_done)

    def deliver(self, video_id: str) -> None:
        """The file has its name by now; then the row says that it is there."""
        path = video_path(self.folder, video_id)
        if self.queue.complete(video_id, self.worker, path.stat().st_size):
            # nobody needs them any more
            shutil.rmtree(upload_path(self.folder, video_id), ignore_errors=True)
            return
        now = self.queue.get(video_id)
        if now is None or now.status == "failed":  # it was deleted or cancelled meanwhile
            path.unlink(missing_ok=True)

    def fail(self, video_id: str, code: str, message: str) -> None:
        self.queue.fail(video_id, self.worker, code, message)

    def hand_back(self) -> None:
        self.queue.hand_back(self.worker)
