"""What the routes of `/v1/videos` ask of whoever draws: a server with a queue, or the studio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..store.keys import Client
from ..store.queue import Status


@dataclass(frozen=True)
class ShownVideo:
    """A video as a client sees it.

    Args:
        size: of its pictures in pixels, "256x256", width first.
        created_at, completed_at, expires_at: seconds since 1970; None where there is no such time.
        error: a word for programs and a line for people, if it has failed.
    """

    id: str
    model: str
    status: Status
    prompt: str
    frames: int
    frames_done: int
    fps: float
    seed: int | None
    size: str
    created_at: float
    completed_at: float | None = None
    expires_at: float | None = None
    error: tuple[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        error = None
        if self.error is not None:
            error = {"code": self.error[0], "message": self.error[1]}
        return {
            "id": self.id,
            "object": "video",
            "model": self.model,
            "status": self.status,
            "progress": 100 * self.frames_done // self.frames,
            "created_at": int(self.created_at),
            "completed_at": _whole(self.completed_at),
            "expires_at": _whole(self.expires_at),
            "prompt": self.prompt,
            "seconds": f"{self.frames / self.fps:g}",
            "size": self.size,
            "error": error,
            "remixed_from_video_id": None,
            "frames": self.frames,
            "fps": self.fps,
            "seed": self.seed,
        }


class VideoService(Protocol):
    """Makes and keeps videos. What is wrong with a request is an `ApiError`."""

    def client(self, authorization: str | None) -> Client:
        """Who sends this header."""
        ...

    def count(self, client: Client) -> None:
        """Note that a client asks for a video."""
        ...

    def accept(
        self,
        client: Client,
        raw: Mapping[str, Any],
        files: Mapping[str, bytes],
        retry_key: str | None,
    ) -> ShownVideo:
        """Take a request in. With a `retry_key` that this client has used before it is the video
        of that time.

        Args:
            raw: its fields.
            files: of a form, by the names of their fields.
        """
        ...

    def get(self, client: Client, video_id: str) -> ShownVideo | None:
        """A video of this client, if it is there."""
        ...

    def page(
        self, client: Client, limit: int, after: str | None, newest_first: bool
    ) -> Sequence[ShownVideo]:
        """At most `limit` videos of a client, those that follow `after`."""
        ...

    def path(self, video_id: str) -> Path:
        """Where the file of a completed video is."""
        ...

    def cancel(self, client: Client, video_id: str) -> ShownVideo | None:
        """End a video of a client that is not completed."""
        ...

    def delete(self, client: Client, video_id: str) -> bool:
        """Forget a video of a client; whether there was one."""
        ...

    def models(self) -> list[str]:
        """That a request may name."""
        ...

    def body_schema(self) -> dict[str, Any]:
        """Of a request's fields, as JSON has it, for the page that documents them."""
        ...


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)
