"""Read video files and images as uint8 tensors `[3, F, Y, X]`; write them as MP4 (see `video_writer`).

Everything goes through PyAV, whose wheel carries FFmpeg. An image is a video of one frame. Sizes are those a viewer
shows: rotation flags are applied and pixels are square. Times are seconds from the first frame.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import torch
from torch import Tensor

from .frame_pixels import shown_size, to_tensor, unpadded
from .video_writer import VideoWriter, write_video

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
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".mpg", ".mpeg", ".m2v", ".ts", ".mts", ".m2ts", ".wmv"}
    | {".flv", ".ogv", ".3gp", ".vob"}
)
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})
CENTRE = (0.5, 0.5)
SEEK_SECONDS = 1.0  # below this, decoding from the start is quicker than seeking
TIMED_FORMATS = {"matroska,webm", "flv", "asf"}  # know their length but not their number of frames
CONTAINER_TAGS = {"major_brand", "minor_version", "compatible_brands"}


class VideoError(ValueError):
    """A file cannot be read as video; the message is one line that names the file, the reason and the way out."""


@dataclass(frozen=True)
class VideoClip:
    """`video` uint8 `[3, F, Y, X]` and the frames per second at which it plays."""

    video: Tensor
    fps: float


@dataclass(frozen=True)
class VideoInfo:
    """What a file says about itself; `frames` may be off by one in formats that store only their length (Matroska)."""

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
    return video.float().add(1.0).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def to_float(video: Tensor) -> Tensor:
    """uint8 video to float32 in [-1, 1]."""
    return video.float().div(127.5).sub(1.0)


def probe(path: str | Path) -> VideoInfo:
    """Size, length and rate of a video or image, from its header and its first frame."""
    with _reading(path) as (container, stream):
        _, frame = next(_decode(container, stream), (0.0, None))
        if frame is None:
            raise VideoError(f"'{path}' holds no frame that can be decoded; it is empty or truncated")
        height, width = shown_size(stream, unpadded(container, frame))
        fps = _rate(stream)
        seconds = _declared_seconds(container, stream) or _file_seconds(container)
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
    with _reading(path) as (container, stream):
        return max(1, sum(packet.size > 0 for packet in container.demux(stream)))


def read_metadata(path: str | Path) -> dict[str, str]:
    """The key-value pairs stored in a file, such as the prompt and seed of a generated video."""
    with _reading(path) as (container, _):
        return {key: value for key, value in container.metadata.items() if key not in CONTAINER_TAGS}


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
    """Read frames into one uint8 tensor `[3, F, Y, X]`. Fewer than `frames` come back when the video ends before.

    Args:
        path: any video or image that FFmpeg reads.
        start_seconds: where to start; the first frame is the one shown at that time.
        frames: how many frames at most; None reads to the end (`iterate_frames` does so at bounded memory).
        fps: sample by time at this rate, whatever the rate of the file (frames are left out or repeated).
        stride: without `fps`, keep every stride-th frame of the file.
        size: None keeps the size; a number scales the shorter side to it; (height, width) scales to cover that size,
            keeping the proportions, and cuts off the rest.
        crop: where that cut window lies, from (0, 0) top left to (1, 1) bottom right.
        zoom: with (height, width), scale up this many times further, so that the window shows a part of the picture.
        threads: decoder threads; 0 lets FFmpeg choose.

    Raises:
        VideoError: the file is missing, not a video, empty, truncated or without pictures, or ends before the start.
        ValueError: a number is out of range.
    """
    chunks = iterate_frames(
        path, start_seconds, frames, fps=fps, stride=stride, size=size, crop=crop, zoom=zoom, threads=threads
    )
    video = torch.cat(list(chunks), dim=1)
    return VideoClip(video, clip_rate(path, fps, stride))


def clip_rate(path: str | Path, fps: float | None = None, stride: int = 1) -> float:
    """Frames per second of what `read_clip` and `iterate_frames` return with these settings."""
    if fps is not None:
        return float(fps)
    with _reading(path) as (_, stream):
        return _rate(stream) / stride


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
    """As `read_clip`, but yields uint8 chunks `[3, f, Y, X]` of up to `chunk` frames, so memory stays bounded."""
    _check(start_seconds, frames, fps, stride, size, crop, zoom, chunk)
    batch: list[Tensor] = []
    count = 0
    with _reading(path, threads) as (container, stream):
        for frame in _select(path, container, stream, start_seconds, frames, fps, stride):
            frame = unpadded(container, frame)
            batch.append(to_tensor(frame, shown_size(stream, frame), size, crop, zoom))
            count += 1
            if len(batch) == chunk:
                yield torch.stack(batch, dim=1)
                batch = []
    if batch:
        yield torch.stack(batch, dim=1)


@contextlib.contextmanager
def _reading(path: str | Path, threads: int = 0) -> Iterator[tuple[Any, Any]]:
    """Open a file, give (container, video stream), close it, and turn FFmpeg's errors into one clear line."""
    path = Path(path)
    if not path.exists():
        raise VideoError(f"'{path}' does not exist; check the name")
    if path.is_dir():
        raise VideoError(f"'{path}' is a folder; give one video file")
    if path.stat().st_size == 0:
        raise VideoError(f"'{path}' is empty (0 bytes); export or download it again")
    try:
        # Tags in another encoding than UTF-8 must not make a film unreadable.
        with av.open(str(path), metadata_errors="replace") as container:
            if not container.streams.video:
                raise VideoError(f"'{path}' has no video stream, only {_kinds(container)}; give a file with pictures")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = threads
            yield container, stream
    except PermissionError:
        raise VideoError(f"'{path}' may not be read; check its permissions") from None
    except av.FFmpegError as error:
        message = (
            f"'{path}' cannot be read as video: it is not a video, or it is truncated or damaged ({error.strerror})"
        )
        raise VideoError(message) from None
    except UnicodeDecodeError:
        raise VideoError(f"'{path}' cannot be read as video: its header is damaged") from None


def _kinds(container: Any) -> str:
    return " and ".join(sorted({stream.type for stream in container.streams})) or "an empty container"


def _decode(container: Any, stream: Any) -> Iterator[tuple[float, Any]]:
    """(seconds from the first frame, frame) in the order they are shown."""
    origin = _origin(stream)
    step = 1 / _rate(stream)
    time = -step
    for frame in container.decode(stream):
        # Some formats (raw H.264, old AVI) leave frames without a time.
        time = frame.time - origin if frame.time is not None else time + step
        yield time, frame


def _decode_from(path: str | Path, container: Any, stream: Any, start: float) -> Iterator[tuple[float, Any]]:
    """As `_decode`, from a frame at or before `start`, quickly where the format can seek."""
    if start >= SEEK_SECONDS and container.format.name != "gif":  # a GIF frame needs all the frames before it
        with contextlib.suppress(av.FFmpegError):
            offset = round(start / stream.time_base) + (stream.start_time or 0)
            container.seek(offset, stream=stream)
            decoded = _decode(container, stream)
            first = next(decoded, None)
            if first is not None and first[0] <= start:
                yield first
                yield from decoded
                return
    # Nothing was sought, or the format overshot.
    with _reading(path, stream.codec_context.thread_count) as (container, stream):
        yield from _decode(container, stream)


def _intervals(frames: Iterator[tuple[float, Any]], step: float) -> Iterator[tuple[float, Any]]:
    """(second at which the next frame takes over, frame); the last frame is shown for `step` seconds."""
    time, shown = 0.0, None
    for following, frame in frames:
        if shown is not None:
            yield following, shown
        time, shown = following, frame
    if shown is not None:
        yield time + step, shown


def _select(
    path: str | Path, container: Any, stream: Any, start: float, limit: int | None, fps: float | None, stride: int
) -> Iterator[Any]:
    """The frames that a clip consists of, each as often as it is shown."""
    step = 1 / _rate(stream)
    slack = step / 4  # times are rounded, to milliseconds in Matroska and to hundredths in GIF
    count, passed, end = 0, 0, 0.0
    for end, frame in _intervals(_decode_from(path, container, stream, start), step):
        if fps is not None:
            repeats = 0
            while start + (count + repeats) / fps < end - slack:
                repeats += 1
        else:
            repeats = int(end > start + slack and passed % stride == 0)
            passed += end > start + slack
        for _ in range(repeats):
            yield frame
            count += 1
            if count == limit:
                return
    declared = _declared_seconds(container, stream)
    if declared and end < declared - max(0.5, 0.02 * declared):
        raise VideoError(
            f"'{path}' is truncated: {end:.2f} of {declared:.2f} seconds are there; export or download it again"
        )
    if count == 0:
        raise VideoError(f"'{path}' has no frame at {start:g} seconds: it ends after {end:.2f}; start earlier")


def _declared_seconds(container: Any, stream: Any) -> float:
    """The length of the pictures that the header promises; 0 where it promises none."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    tag = stream.metadata.get("DURATION", "")  # Matroska: the time of the end, as hours:minutes:seconds
    if tag.count(":") == 2:
        with contextlib.suppress(ValueError):
            hours, minutes, seconds = (float(part) for part in tag.split(":"))
            return 3600 * hours + 60 * minutes + seconds - _origin(stream)
    # The length of the whole file says little about the pictures when there is sound as well.
    return 0.0 if container.streams.audio else _file_seconds(container)


def _file_seconds(container: Any) -> float:
    return container.duration / av.time_base if container.duration else 0.0


def _origin(stream: Any) -> float:
    """The time stamp of the first frame, in seconds."""
    return float(stream.start_time * stream.time_base) if stream.start_time else 0.0


def _rate(stream: Any) -> float:
    # FFmpeg's average for a GIF counts neither the last delay nor the rounding.
    average = None if stream.codec_context.name == "gif" else stream.average_rate
    return float(average or stream.guessed_rate or stream.base_rate or 25)


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
    for name, value in [("frames", frames), ("stride", stride), ("chunk", chunk), *(("size", side) for side in sides)]:
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
