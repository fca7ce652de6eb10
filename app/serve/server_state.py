"""What the routes of a server share."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ..provenance.policy import Gate, load_policies
from .logs import log
from .metrics import Metrics
from .request import request_schema
from .served_model import ServedModel
from .settings import ServeSettings
from .store.database import Database
from .store.keys import Keys
from .store.places import upload_path, video_path
from .store.queue import VideoQueue
from .workers.pool import WorkerPool

TIDY = 5.0  # seconds between two rounds of housekeeping
SWEEP = 600.0  # seconds after which a file that no row knows has been left behind


@dataclass(frozen=True)
class ServerState:
    """The parts of a running server."""

    settings: ServeSettings
    model: ServedModel
    schema: type[BaseModel]
    queue: VideoQueue
    keys: Keys
    pool: WorkerPool
    metrics: Metrics
    gate: Gate
    folder: Path

    @classmethod
    def create(
        cls,
        settings: ServeSettings,
        make_pool: Callable[[ServeSettings, VideoQueue], WorkerPool] = WorkerPool,
        needs_key: bool = False,
    ) -> ServerState:
        """Nothing is started yet.

        Args:
            make_pool: where the workers are.
            needs_key: nobody may ask before there is a key.

        Raises:
            ValueError: there is no such model or policy.
            OSError: the folder cannot be made.
        """
        model = ServedModel.read(settings.model)
        database = Database(settings.folder)
        queue = VideoQueue(database, settings.limits)
        pool = make_pool(settings, queue)
        return cls(
            settings,
            model,
            request_schema(model),
            queue,
            Keys(database, needs_key),
            pool,
            Metrics(queue, pool),
            Gate(load_policies(settings.rules.policy), settings.rules.log_refused),
            Path(settings.folder),
        )

    def video_path(self, video_id: str) -> Path:
        return video_path(self.folder, video_id)

    def upload_path(self, video_id: str) -> Path:
        return upload_path(self.folder, video_id)

    def remove_files(self, video_id: str) -> None:
        self.video_path(video_id).unlink(missing_ok=True)
        shutil.rmtree(self.upload_path(video_id), ignore_errors=True)

    # ---- housekeeping ----

    async def keep_tidy(self) -> None:
        """Do what time asks for, for ever."""
        while True:
            try:
                await asyncio.to_thread(self.tidy)
            except Exception as error:  # the next round may do better
                log("housekeeping failed", message=str(error))
            await asyncio.sleep(TIDY)

    def tidy(self) -> None:
        """Give up what waits or stands still too long, and remove what has been kept long
        enough."""
        if self.queue.hand_back_expired():
            self.pool.wake()
        self.queue.give_up_waiting()
        for video_id in self.queue.forget_expired():
            self.remove_files(video_id)
        self._sweep()

    def _sweep(self) -> None:
        """Remove files that belong to no video, as a kill between two steps leaves them."""
        known = self.queue.known_ids()
        old = time.time() - SWEEP
        for path in [*self.folder.glob("videos/*"), *self.folder.glob("uploads/*")]:
            with contextlib.suppress(FileNotFoundError):
                if path.stem not in known and path.stat().st_mtime < old:
                    path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def alone_in(folder: Path) -> Any:
    """One server at a time uses a folder.

    Raises:
        ValueError: another one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ValueError(f"another server uses '{folder}'; give another --folder") from None
    finally:
        os.close(handle)
