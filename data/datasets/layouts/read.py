"""Frames of a video however it lies: a file, a span of one, a member of a tar file, or pictures."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ...video import VideoError, VideoInfo, first_look, probe, read_clip
from ..listed_video import ListedVideo
from .base import LaidVideo

PICTURE_RATE = 25.0  # frames per second of folders of pictures, which say none


@contextlib.contextmanager
def local_file(video: ListedVideo) -> Iterator[Path]:
    """A file that holds this video alone: FFmpeg cannot read one inside a tar file."""
    if video.member is None:
        yield video.path
        return
    with tempfile.NamedTemporaryFile(suffix=Path(video.name).suffix) as file:
        with open(video.path, "rb") as tar:
            tar.seek(video.member[0])
            file.write(tar.read(video.member[1]))
        file.flush()
        yield Path(file.name)


def measure(video: ListedVideo) -> VideoInfo:
    """Size, length and rate of what counts of a video. VideoError if it cannot be read."""
    if isinstance(video, LaidVideo) and video.pictures:
        info = probe(video.pictures[0])
        count = len(video.pictures)
        return dataclasses.replace(
            info, fps=PICTURE_RATE, frames=count, seconds=count / PICTURE_RATE
        )
    with local_file(video) as path:
        info = probe(path)
    if video.span is not None:
        begin, end = video.span
        seconds = min(end, info.seconds) - begin
        if seconds <= 0:
            raise VideoError(
                f"'{video.name}' begins at {begin:g} seconds, and its file ends after "
                f"{info.seconds:.2f}"
            )
        frames = max(1, round(seconds * info.fps))
        return dataclasses.replace(info, frames=frames, seconds=seconds)
    return info


def measure_and_look(video: ListedVideo) -> tuple[VideoInfo, Tensor]:
    """What `measure` says, and the first frame uint8 `[3, Y, X]`; files are opened once."""
    is_whole = video.span is None and not (isinstance(video, LaidVideo) and video.pictures)
    if is_whole:
        with local_file(video) as path:
            return first_look(path)
    info = measure(video)
    return info, read_frames(video, 0, 1, 1, info.fps)[:, 0]


def read_frames(
    video: ListedVideo, first: int, frames: int, stride: int, fps: float, threads: int = 1
) -> Tensor:
    """uint8 `[3, F, Y, X]` from frame `first` on, every `stride`-th; fewer where the video ends."""
    if isinstance(video, LaidVideo) and video.pictures:
        chosen = video.pictures[first : first + (frames - 1) * stride + 1 : stride]
        if not chosen:
            raise VideoError(f"'{video.name}' has no frame {first}")
        return torch.cat([read_clip(path, frames=1).video for path in chosen], 1)
    begin = video.span[0] if video.span else 0.0
    with local_file(video) as path:
        return read_clip(path, begin + first / fps, frames, stride=stride, threads=threads).video
