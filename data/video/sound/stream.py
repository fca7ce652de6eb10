"""The sound of a file in step with its pictures, chunk by chunk.

Times are seconds from the first picture. A container tells times of its sound only roughly, as
Matroska in thousandths of a second: samples follow one another as long as the times fit them, and
take a new place where these jump, as in a track that begins late or has a gap.

Legend: L samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ....files.image_files import is_image, numbered_pictures
from ..containers import picture_begin
from ..frames import VideoError
from ..timestamps import Clock
from .resample import Resampler

RUN_UP = 0.5  # seconds that are decoded before what is wanted, for codecs that remember
OFF = 0.010  # seconds by which times may be off without a gap
USUAL_FRAME = 1024  # samples
CHUNK = 1 << 15  # samples that are given at once
Pieces = Iterator[NDArray[np.float32]]


def has_track(path: str | Path) -> bool:
    """Whether a file has sound that can be decoded. VideoError if it cannot be read."""
    path = Path(path)
    if numbered_pictures(path) or (path.is_file() and is_image(path)):
        return False
    try:
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            return _stream(container) is not None
    except (av.FFmpegError, OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error


def iterate_sound(
    path: str | Path, rate: int = 24_000, start: float = 0.0, samples: int | None = None
) -> Iterator[Tensor]:
    """The first sound track of a file, mixed to one channel, in chunks at bounded memory.

    Args:
        rate: samples per second.
        start: seconds after the first picture at which to begin.
        samples: how many to give; by default all up to the end of the track.

    Yields:
        float32 [L] in [-1, 1], with zeros where the track has nothing.

    Raises:
        VideoError: the track cannot be read, or there is none.
    """
    path = Path(path)
    waiting: list[NDArray[np.float32]] = []
    count = 0
    try:
        for piece in _filled(_placed(path, rate, start), samples):
            waiting.append(piece)
            count += len(piece)
            if count >= CHUNK:
                yield _chunk(waiting)
                waiting = []
                count = 0
    except (av.FFmpegError, OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error
    if count:
        yield _chunk(waiting)


def unreadable(path: str | Path, error: Exception) -> VideoError:
    reason = getattr(error, "strerror", None) or error
    return VideoError(
        f"the sound of '{path}' cannot be read ({reason}); convert the file, or leave its sound out"
    )


def _chunk(pieces: list[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.concatenate(pieces)).clamp_(-1, 1)


def _filled(placed: Iterable[tuple[int, NDArray[np.float32]]], samples: int | None) -> Pieces:
    """Pieces one after the other, zeros between them: all from place 0 on, `samples` of them."""
    done = 0
    for place, piece in placed:
        if samples is not None and place >= samples:
            break
        yield from _zeros(place - done)
        done = max(done, place)
        rest = piece[done - place :]
        rest = rest if samples is None else rest[: samples - done]
        done += len(rest)
        if len(rest):
            yield rest
    if samples is not None:
        yield from _zeros(samples - done)


def _zeros(count: int) -> Pieces:
    for begin in range(0, count, CHUNK):
        yield np.zeros(min(CHUNK, count - begin), np.float32)


def _placed(path: Path, rate: int, start: float) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Pieces float32 [L] with the place of their first sample, counted from `start`, in rising
    order."""
    begin = start + picture_begin(path)
    with av.open(f"file:{path}", metadata_errors="replace") as container:
        stream = _stream(container)
        if stream is None:
            raise VideoError(f"'{path}' has no sound")
        if start > RUN_UP:
            container.seek(int((begin - RUN_UP) * av.time_base))
        clock = Clock(stream.time_base, USUAL_FRAME / (stream.rate or rate))
        resampler = Resampler(rate)
        place = 0
        expected: float | None = None  # time of the next frame
        first = 0.0  # time of the first one that follows no gap
        fed = 0.0  # seconds since then
        for frame in _decoded(container, stream):
            time = clock.read(frame)
            if expected is None or abs(time - expected) > OFF or not resampler.takes(frame):
                for piece in resampler.flush():
                    yield place, piece[0]
                    place += piece.shape[1]
                place = round((time - begin) * rate)
                first = time
                fed = 0.0
            fed += frame.samples / frame.sample_rate
            expected = first + fed
            for piece in resampler.feed(frame):
                yield place, piece[0]
                place += piece.shape[1]
        for piece in resampler.flush():
            yield place, piece[0]
            place += piece.shape[1]


def _stream(container: Any) -> Any:
    """The first sound track of a codec that is known, if there is one."""
    known = (each for each in container.streams.audio if each.codec_context is not None)
    return next(known, None)


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    """Frames of a track. Packets that cannot be decoded are left out, as at the beginning of a
    stream that was cut out of another, or after a seek."""
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue
