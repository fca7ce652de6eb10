"""The frames of a video file and the times at which they are shown.

Formats tell time in many ways, and some hardly at all; here every frame has one, in seconds from
the first frame.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from ...files.errors import UnreadableFile

SEEK_SECONDS = 1.0  # below this, decoding from the start is quicker than seeking


class VideoError(UnreadableFile):
    """A file cannot be read as video; the message is one line that names the file, the reason
    and the way out."""


@contextlib.contextmanager
def reading(path: str | Path, threads: int = 0) -> Iterator[tuple[Any, Any]]:
    """Open a file, give (container, video stream), close it, and turn FFmpeg's errors into one
    clear line."""
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
                raise VideoError(
                    f"'{path}' has no video stream, only {_kinds(container)}; give a file with "
                    "pictures"
                )
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = threads
            yield container, stream
    except PermissionError:
        raise VideoError(f"'{path}' may not be read; check its permissions") from None
    except av.FFmpegError as error:
        message = (
            f"'{path}' cannot be read as video: it is not a video, or it is truncated or damaged "
            f"({error.strerror})"
        )
        raise VideoError(message) from None
    except UnicodeDecodeError:
        raise VideoError(f"'{path}' cannot be read as video: its header is damaged") from None


def _kinds(container: Any) -> str:
    return (
        " and ".join(sorted({stream.type for stream in container.streams})) or "an empty container"
    )


def decode(container: Any, stream: Any) -> Iterator[tuple[float, Any]]:
    """(seconds from the first frame, frame) in the order they are shown."""
    origin = _origin(stream)
    step = 1 / frame_rate(stream)
    time = -step
    for frame in container.decode(stream):
        # Some formats (raw H.264, old AVI) leave frames without a time.
        time = frame.time - origin if frame.time is not None else time + step
        yield time, frame


def _decode_from(
    path: str | Path, container: Any, stream: Any, start: float
) -> Iterator[tuple[float, Any]]:
    """As `decode`, from a frame at or before `start`, quickly where the format can seek."""
    # a GIF frame needs all the frames before it
    if start >= SEEK_SECONDS and container.format.name != "gif":
        with contextlib.suppress(av.FFmpegError):
            offset = round(start / stream.time_base) + (stream.start_time or 0)
            container.seek(offset, stream=stream)
            decoded = decode(container, stream)
            first = next(decoded, None)
            if first is not None and first[0] <= start:
                yield first
                yield from decoded
                return
    # Nothing was sought, or the format overshot.
    with reading(path, stream.codec_context.thread_count) as (container, stream):
        yield from decode(container, stream)


def _intervals(frames: Iterator[tuple[float, Any]], step: float) -> Iterator[tuple[float, Any]]:
    """(second at which the next frame takes over, frame); the last frame is shown for `step`
    seconds."""
    time = 0.0
    shown = None
    for following, frame in frames:
        if shown is not None:
            yield following, shown
        time = following
        shown = frame
    if shown is not None:
        yield time + step, shown


def select_frames(
    path: str | Path,
    container: Any,
    stream: Any,
    start: float,
    limit: int | None,
    fps: float | None,
    stride: int,
) -> Iterator[Any]:
    """The frames that a clip consists of, each as often as it is shown."""
    step = 1 / frame_rate(stream)
    slack = step / 4  # times are rounded, to milliseconds in Matroska and to hundredths in GIF
    count = 0
    passed = 0
    end = 0.0
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
    declared = declared_seconds(container, stream)
    if declared and end < declared - max(0.5, 0.02 * declared):
        raise VideoError(
            f"'{path}' is truncated: {end:.2f} of {declared:.2f} seconds are there; export or "
            "download it again"
        )
    if count == 0:
        raise VideoError(
            f"'{path}' has no frame at {start:g} seconds: it ends after {end:.2f}; start earlier"
        )


def declared_seconds(container: Any, stream: Any) -> float:
    """The length of the pictures that the header promises; 0 where it promises none."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    # Matroska: the time of the end, as hours:minutes:seconds
    tag = stream.metadata.get("DURATION", "")
    if tag.count(":") == 2:
        with contextlib.suppress(ValueError):
            hours, minutes, seconds = (float(part) for part in tag.split(":"))
            return 3600 * hours + 60 * minutes + seconds - _origin(stream)
    # The length of the whole file says little about the pictures when there is sound as well.
    return 0.0 if container.streams.audio else file_seconds(container)


def file_seconds(container: Any) -> float:
    return container.duration / av.time_base if container.duration else 0.0


def _origin(stream: Any) -> float:
    """The time stamp of the first frame, in seconds."""
    return float(stream.start_time * stream.time_base) if stream.start_time else 0.0


def frame_rate(stream: Any) -> float:
    # FFmpeg's average for a GIF counts neither the last delay nor the rounding.
    average = None if stream.codec_context.name == "gif" else stream.average_rate
    return float(average or stream.guessed_rate or stream.base_rate or 25)
