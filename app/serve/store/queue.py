"""The queue of videos: accepted means kept.

A row goes from queued to in_progress to completed or failed. A worker that takes one holds a lease,
which every sign of progress renews. Only the holder of the lease can complete a video, so a worker
that was given up cannot deliver a second one.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import ApiError
from .database import Database

Status = Literal["queued", "in_progress", "completed", "failed"]
LEASE = 60.0  # seconds without a sign of progress after which a video is given to another worker
ATTEMPTS = 5  # workers that may die over a video


@dataclass(frozen=True)
class QueueLimits:
    """How much is taken in.

    Args:
        max_active: videos of a key that wait or are drawn at a time.
        max_waiting: videos of all keys that wait at a time.
        wait: seconds after which a video that still waits has failed.
        keep: seconds for which a completed video is kept.
        disk: bytes that completed videos may take.
    """

    max_active: int = 100
    max_waiting: int = 1000
    wait: float = 24 * 3600.0
    keep: float = 7 * 24 * 3600.0
    disk: int = 10 * 10**9


@dataclass(frozen=True)
class Video:
    """A row."""

    number: int
    id: str
    owner: str
    status: Status
    priority: int
    request: Mapping[str, Any]
    frames: int
    frames_done: int
    attempts: int
    error_code: str | None
    error_message: str | None
    created_at: float
    started_at: float | None
    completed_at: float | None
    expires_at: float
    bytes: int


class VideoQueue:
    """Reads and changes the table of videos; processes share it."""

    def __init__(self, database: Database, limits: QueueLimits = QueueLimits()) -> None:
        self.database = database
        self.limits = limits

    # ---- what clients do ----

    def accept(
        self,
        owner: str,
        request: Mapping[str, Any],
        frames: int,
        priority: int = 0,
        max_active: int | None = None,
        retry_key: str | None = None,
        video_id: str | None = None,
    ) -> Video:
        """Take a video in. With a `retry_key` that this owner has used before it is the video of
        that time.

        Raises:
            ApiError: 429 or 503, when too much waits or the disk is full.
        """
        now = time.time()
        with self.database.write() as connection:
            if retry_key is not None:
                words = "SELECT * FROM videos WHERE owner = ? AND retry_key = ?"
                if known := connection.execute(words, (owner, retry_key)).fetchone():
                    return _video(known)
            self._check_room(connection, owner, max_active or self.limits.max_active)
            found = connection.execute(
                "INSERT INTO videos (id, owner, status, priority, request, frames, created_at, "
                "expires_at, retry_key) VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?) RETURNING *",
                (
                    video_id or new_id(),
                    owner,
                    priority,
                    json.dumps(request),
                    frames,
                    now,
                    now + self.limits.wait,
                    retry_key,
                ),
            ).fetchone()
        return _video(found)

    def _check_room(self, connection: sqlite3.Connection, owner: str, max_active: int) -> None:
        active = "status IN ('queued', 'in_progress')"
        (mine,) = connection.execute(
            f"SELECT count(*) FROM videos WHERE owner = ? AND {active}", (owner,)
        ).fetchone()
        if mine >= max_active:
            message = f"{mine} of your videos wait or are drawn, and {max_active} may; try later"
            raise ApiError(429, message, code="too_many_videos", retry_after=5)
        (waiting,) = connection.execute(
            "SELECT count(*) FROM videos WHERE status = 'queued'"
        ).fetchone()
        if waiting >= self.limits.max_waiting:
            message = f"{waiting} videos wait already; try later"
            raise ApiError(503, message, code="queue_full", retry_after=30)
        (taken,) = connection.execute("SELECT coalesce(sum(bytes), 0) FROM videos").fetchone()
        if taken >= self.limits.disk:
            message = f"finished videos take {taken} bytes of {self.limits.disk}; delete some"
            raise ApiError(503, message, code="disk_full", retry_after=60)

    def get(self, video_id: str, owner: str | None = None) -> Video | None:
        """A video, if it is there and this owner's; None as owner is everybody."""
        words = "SELECT * FROM videos WHERE id = ? AND (? IS NULL OR owner = ?)"
        found = self.database.connection.execute(words, (video_id, owner, owner)).fetchone()
        return None if found is None else _video(found)

    def page(
        self, owner: str, limit: int, after: str | None = None, newest_first: bool = True
    ) -> list[Video]:
        """Videos of an owner, those that follow `after`.

        Raises:
            ApiError: 404, for an `after` that is not there.
        """
        start = None
        if after is not None:
            if (last := self.get(after, owner)) is None:
                raise ApiError(404, f"no video '{after}' to go on after", "after", "not_found")
            start = last.number
        (order, sign) = ("DESC", "<") if newest_first else ("ASC", ">")
        found = self.database.connection.execute(
            f"SELECT * FROM videos WHERE owner = ? AND (? IS NULL OR number {sign} ?) "
            f"ORDER BY number {order} LIMIT ?",
            (owner, start, start, limit),
        ).fetchall()
        return [_video(row) for row in found]

    def cancel(self, video_id: str, owner: str) -> Video | None:
        """End a video that is not completed; one that has ended stays as it is."""
        self._end(
            "id = ? AND owner = ? AND status IN ('queued', 'in_progress')",
            (video_id, owner),
            "cancelled",
            "the video was cancelled",
        )
        return self.get(video_id, owner)

    def delete(self, video_id: str, owner: str) -> bool:
        """Forget a video; whether there was one. Its file is the caller's business."""
        words = "DELETE FROM videos WHERE id = ? AND owner = ?"
        with self.database.write() as connection:
            return connection.execute(words, (video_id, owner)).rowcount == 1

    # ---- what workers do ----

    def claim(self, worker: str, count: int) -> list[Video]:
        """Take up to so many videos to draw: the highest priority first, then the oldest."""
        now = time.time()
        waits = "SELECT 1 FROM videos WHERE status = 'queued' LIMIT 1"
        if self.database.connection.execute(waits).fetchone() is None:
            return []  # the usual answer, without the lock that writing needs
        with self.database.write() as connection:
            found = connection.execute(
                "UPDATE videos SET status = 'in_progress', worker = ?, lease = ?, frames_done = 0, "
                "attempts = attempts + 1, started_at = ? WHERE number IN (SELECT number FROM "
                "videos WHERE status = 'queued' AND expires_at > ? ORDER BY priority DESC, number "
                "LIMIT ?) RETURNING *",
                (worker, now + LEASE, now, now, count),
            ).fetchall()
        videos = [_video(row) for row in found]
        return sorted(videos, key=lambda video: (-video.priority, video.number))

    def renew(self, video_id: str, worker: str, frames_done: int) -> bool:
        """Say how far a video is; whether it is still this worker's."""
        with self.database.write() as connection:
            words = (
                "UPDATE videos SET frames_done = ?, lease = ? WHERE id = ? AND worker = ? AND "
                "status = 'in_progress'"
            )
            values = (frames_done, time.time() + LEASE, video_id, worker)
            return connection.execute(words, values).rowcount == 1

    def complete(self, video_id: str, worker: str, size: int) -> bool:
        """Deliver a video of so many bytes; whether it was still this worker's."""
        now = time.time()
        with self.database.write() as connection:
            words = (
                "UPDATE videos SET status = 'completed', frames_done = frames, bytes = ?, "
                "completed_at = ?, expires_at = ?, worker = NULL, lease = NULL "
                "WHERE id = ? AND worker = ? AND status = 'in_progress'"
            )
            values = (size, now, now + self.limits.keep, video_id, worker)
            return connection.execute(words, values).rowcount == 1

    def fail(self, video_id: str, worker: str, code: str, message: str) -> bool:
        """Give up a video; whether it was still this worker's."""
        where = "id = ? AND worker = ? AND status = 'in_progress'"
        return self._end(where, (video_id, worker), code, message) == 1

    def hand_back(self, worker: str | None = None, died: bool = False) -> int:
        """Put what a worker holds (or any worker) back into the queue; how many there were.

        Args:
            died: the worker died, perhaps of these videos, which are given up after some deaths. A
                server that ends or is killed is not their fault.
        """
        where = "status = 'in_progress' AND (? IS NULL OR worker = ?)"
        return self._requeue(where, (worker, worker), died)

    # ---- housekeeping ----

    def hand_back_expired(self) -> int:
        """The same for what no worker has shown progress on."""
        where = "status = 'in_progress' AND lease < ?"
        return self._requeue(where, (time.time(),), died=True)

    def give_up_waiting(self) -> int:
        """Fail what has waited too long."""
        where = "status = 'queued' AND expires_at <= ?"
        message = "the video waited too long; ask again when less is waiting"
        return self._end(where, (time.time(),), "expired", message)

    def forget_expired(self) -> list[str]:
        """Forget what has been kept long enough; the ids, so that files can go."""
        with self.database.write() as connection:
            words = (
                "DELETE FROM videos WHERE status IN ('completed', 'failed') AND expires_at <= ? "
                "RETURNING id"
            )
            return [row["id"] for row in connection.execute(words, (time.time(),)).fetchall()]

    def known_ids(self) -> set[str]:
        words = "SELECT id FROM videos"
        return {row["id"] for row in self.database.connection.execute(words)}

    def counts(self) -> dict[str, int]:
        """How many videos have which status."""
        words = "SELECT status, count(*) AS found FROM videos GROUP BY status"
        counts = {"queued": 0, "in_progress": 0, "completed": 0, "failed": 0}
        return counts | {
            row["status"]: row["found"] for row in self.database.connection.execute(words)
        }

    def _requeue(self, where: str, values: Sequence[Any], died: bool) -> int:
        message = f"{ATTEMPTS} workers died while they drew this video"
        with self.database.write() as connection:
            if died:
                connection.execute(
                    "UPDATE videos SET status = 'failed', error_code = 'worker_died', "
                    "error_message = ?, completed_at = ?, worker = NULL "
                    f"WHERE {where} AND attempts >= {ATTEMPTS}",
                    (message, time.time(), *values),
                )
            return connection.execute(
                "UPDATE videos SET status = 'queued', worker = NULL, lease = NULL, "
                f"frames_done = 0, attempts = attempts - ? WHERE {where}",
                (0 if died else 1, *values),
            ).rowcount

    def _end(self, where: str, values: Sequence[Any], code: str, message: str) -> int:
        now = time.time()
        with self.database.write() as connection:
            return connection.execute(
                "UPDATE videos SET status = 'failed', error_code = ?, error_message = ?, "
                "completed_at = ?, expires_at = ?, worker = NULL, lease = NULL "
                f"WHERE {where}",
                (code, message, now, now + self.limits.keep, *values),
            ).rowcount


def new_id() -> str:
    """A name that cannot be guessed."""
    return f"video_{secrets.token_hex(16)}"


def _video(row: sqlite3.Row) -> Video:
    values = {name: row[name] for name in Video.__dataclass_fields__}
    values["request"] = json.loads(values["request"])
    return Video(**values)
