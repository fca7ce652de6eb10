"""Read video files and images as uint8 tensors `[3, F, Y, X]`; write them as MP4 (see
`video_writer`).

Everything goes through PyAV, whose wheel carries FFmpeg. An image is a video of one frame. Sizes
are those a viewer shows: rotation flags are applied and pixels are square. Times are seconds from
the first frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .frames import (
    VideoError,
    declared_seconds,
    decode,
    file_seconds,
    frame_rate,
    reading,
    select_frames,
)
from .pixels import shown_size, to_tensor, unpadded
from .write import VideoWriter, write_video

__all__ = [
    "VideoClip",
    "VideoError",
    "VideoInfo",
    "VideoWriter",
    "iterate_frames",
    "probe",
    "read_clip",
    "read_metadata",
    "to_float",
    "to_uint8",
    "write_video",
]

VIDEO_SUFFIXES = frozenset(
    {
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".gif",
        ".mpg",
        ".mpeg",
        ".m2v",
        ".ts",
        ".mts",
        ".m2ts",
        ".wmv",
    }
    | {".flv", ".ogv", ".3gp", ".vob"}
)
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})
CENTRE = (0.5, 0.5)
TIMED_FORMATS = {"matroska,webm", "flv", "asf"}  # know their length but not their number of frames
CONTAINER_TAGS = {"major_brand", "minor_version", "compatible_brands"}


@dataclass(frozen=True)
class VideoClip:
    """`video` uint8 `[3, F, Y, X]` and the frames per second at which it plays."""

    video: Tensor
    fps: float


@dataclass(frozen=True)
class VideoInfo:
    """What a file says about itself; `frames` may be off by one in formats that store only their
    length (Matroska)."""

    path: Path
    width: int
    height: int
    fps: float
    frames: int
    seconds: float
    codec: str
    has_audio: bool


def to_uint8(video: Tensor) -> Tensor:
    """Float video in [-1, 1] (clamped) to uint8."""
    return video.float().add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def to_float(video: Tensor) -> Tensor:
    """uint8 video to float32 in [-1, 1]."""
    return video.to(torch.float32, copy=True).div_(127.5).sub_(1.0)


def probe(path: str | Path) -> VideoInfo:
    """Size, length and rate of a video or image, from its header and its first frame."""
    with reading(path) as (container, stream):
        _, frame = next(decode(container, stream), (0.0, None))
        if frame is None:
            raise VideoError(
                f"'{path}' holds no frame that can be decoded; it is empty or truncated"
            )
        height, width = shown_size(stream, unpadded(container, frame))
        fps = frame_rate(stream)
        seconds = declared_seconds(container, stream) or file_seconds(container)
        frames = stream.frames
        if not frames and container.format.name in TIMED_FORMATS:
            frames = max(1, round(seconds * fps))
        elif not frames:
            frames = _count_packets(path)
            seconds = frames / fps
        return VideoInfo(
            path=Path(path),
            width=width,
            height=height,
            fps=fps,
            frames=frames,
            seconds=seconds or frames / fps,
            codec=stream.codec_context.name,
            has_audio=bool(container.streams.audio),
        )


def _count_packets(path: str | Path) -> int:
    with reading(path) as (container, stream):
        return max(1, sum(packet.size > 0 for packet in container.demux(stream)))


def read_metadata(path: str | Path) -> dict[str, str]:
    """The key-value pairs stored in a file, such as the prompt and seed of a generated video."""
    with reading(path) as (container, _):
        return {
            key: value for key, value in container.metadata.items() if key not in CONTAINER_TAGS
        }


def read_clip(
    path: str | Path,
    start_seconds: float = 0.0,
    frames: int | None = None,
    *,
    fps: float | None = None,
    stride: int = 1,
    size: int | tuple[int, int] | None = None,
    crop: tuple[float, float] = CENTRE,
    zoom: float = 1.0,
    threads: int = 0,
) -> VideoClip:
    """Read frames into one uint8 tensor `[3, F, Y, X]`. Fewer than `frames` come back when the
    video ends before.

    Args:
        path: any video or image that FFmpeg reads.
        start_seconds: where to start; the first frame is the one shown at that time.
        frames: how many frames at most; None reads to the end (`iterate_frames` does so at bounded
            memory).
        fps: sample by time at this rate, whatever the rate of the file (frames are left out or
            repeated).
        stride: without `fps`, keep every stride-th frame of the file.
        size: None keeps the size; a number scales the shorter side to it; (height, width) scales to
            cover that size, keeping the proportions, and cuts off the rest.
        crop: where that cut window lies, from (0, 0) top left to (1, 1) bottom right.
        zoom: with (height, width), scale up this many times further, so that the window shows a
            part of the picture.
        threads: decoder threads; 0 lets FFmpeg choose.

    Raises:
        VideoError: the file is missing, not a video, empty, truncated or without pictures, or ends
            before the start.
        ValueError: a number is out of range.
    """
    chunks = iterate_frames(
        path,
        start_seconds,
        frames,
        fps=fps,
        stride=stride,
        size=size,
        crop=crop,
        zoom=zoom,
        threads=threads,
    )
    video = torch.cat(list(chunks), dim=1)
    return VideoClip(video, clip_rate(path, fps, stride))


def clip_rate(path: str | Path, fps: float | None = None, stride: int = 1) -> float:
    """Frames per second of what `read_clip` and `iterate_frames` return with these settings."""
    if fps is not None:
        return float(fps)
    with reading(path) as (_, stream):
        return frame_rate(stream) / stride


def iterate_frames(
    path: str | Path,
    start_seconds: float = 0.0,
    frames: int | None = None,
    *,
    fps: float | None = None,
    stride: int = 1,
    size: int | tuple[int, int] | None = None,
    crop: tuple[float, float] = CENTRE,
    zoom: float = 1.0,
    chunk: int = 16,
    threads: int = 0,
) -> Iterator[Tensor]:
    """As `read_clip`, but yields uint8 chunks `[3, f, Y, X]` of up to `chunk` frames, so memory
    stays bounded."""
    _check(start_seconds, frames, fps, stride, size, crop, zoom, chunk)
    batch: list[Tensor] = []
    count = 0
    with reading(path, threads) as (container, stream):
        for frame in select_frames(path, container, stream, start_seconds, frames, fps, stride):
            frame = unpadded(container, frame)
            batch.append(to_tensor(frame, shown_size(stream, frame), size, crop, zoom))
            count += 1
            if len(batch) == chunk:
                yield torch.stack(batch, dim=1)
                batch = []
    if batch:
        yield torch.stack(batch, dim=1)


def _check(
    start: float,
    frames: int | None,
    fps: float | None,
    stride: int,
    size: int | tuple[int, int] | None,
    crop: tuple[float, float],
    zoom: float,
    chunk: int,
) -> None:
    if not start >= 0:
        raise ValueError(f"start_seconds must be at least 0; got {start}")
    sides = () if size is None else (size,) if isinstance(size, int) else size
    for name, value in [
        ("frames", frames),
        ("stride", stride),
        ("chunk", chunk),
        *(("size", side) for side in sides),
    ]:
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")
    if not zoom >= 1:
        raise ValueError(f"zoom must be at least 1; got {zoom}")
    if fps is not None and not fps > 0:
        raise ValueError(f"fps must be above 0; got {fps}")
    if fps is not None and stride != 1:
        raise ValueError(f"give either fps or stride; got fps={fps} and stride={stride}")
    if not all(0 <= part <= 1 for part in crop):
        raise ValueError(f"crop must lie between (0, 0) and (1, 1); got {tuple(crop)}")
