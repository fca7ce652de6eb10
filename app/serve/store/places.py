"""Where the files of a video lie in the folder of a server."""

from __future__ import annotations

from pathlib import Path


def video_path(folder: Path, video_id: str) -> Path:
    """The finished video."""
    return folder / "videos" / f"{video_id}.mp4"


def upload_path(folder: Path, video_id: str) -> Path:
    """The folder of what was sent with its request."""
    return folder / "uploads" / video_id
