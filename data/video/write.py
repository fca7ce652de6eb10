"""Write videos chunk by chunk: bounded memory, and never a half-written file.

The ending of the name decides the container (see `formats`). Any error, a full disk or Ctrl-C
leaves the folder as it was.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import av
import torch
from torch import Tensor

from ...files.atomic import whole_new_folder, whole_path
from ...files.output_path import (
    PICTURE_SUFFIX,
    check_output,
    check_rate,
    is_one_picture,
    is_pictures,
)
from .containers import SIZE_TAG
from .formats import FORMATS, WORST_CRF, default_crf, holds_sound, tag_colours
from .sound import SoundTrack

JPEG_QUALITY = 95
LONGEST_COMMENT = 65_000  # bytes that a JPEG has place for
FINEST_RATE = 1001  # largest denominator of a rate, as in 30000 / 1001


def _in_utf_8(value: object) -> str:
    """Text for a file, with escapes in place of bytes of names that are no UTF-8."""
    return str(value).encode(errors="backslashreplace").decode()


class VideoWriter:
    """A context manager that writes uint8 `[3, f, Y, X]` chunks to a video file and publishes it on
    leaving the block.

    Args:
        path: the file to write, whose name ends in .mp4, .mov, .mkv, .webm, .gif or .webp; or
            numbered pictures in a folder of their own, such as frames/%05d.png; or, for one frame,
            a picture that ends in .png, .jpg or .jpeg. A missing folder is made, an existing file
            replaced.
        fps: frames per second.
        metadata: free key-value pairs stored in the file (`read_metadata` returns them). GIF and
            WebP have no place for them.
        upscale: enlarge each pixel to a square of this many pixels, so that a 64x64 clip can be
            watched.
        crf: quality, 0 (lossless) to 51; by default 12 for small pictures and 18 for large ones.
        sound_rate: samples per second of the sound that `write_sound` adds; None for a silent
            video. GIF, WebP and pictures hold no sound.
        before_publishing: gets the finished file, or the folder of pictures, under the name that it
            has until then, and may change it.
        frames: that will be written, if that is known; one picture is for 1.

    Raises:
        ValueError: for settings that cannot work, a place that cannot be written to, or chunks of
            another size or type.
        OSError: when the disk is full or refuses to be written.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float,
        metadata: Mapping[str, object] | None = None,
        upscale: int = 1,
        crf: int | None = None,
        sound_rate: int | None = None,
        before_publishing: Callable[[Path], object] = lambda _: None,
        frames: int | None = None,
    ) -> None:
        self.before_publishing = before_publishing
        self.path = check_output(path, frames=frames)
        self.sound_rate = sound_rate
        if sound_rate is not None and not holds_sound(self.path):
            raise ValueError(
                f"'{self.path}' holds no sound; give a name that ends in .mp4, .mov, .mkv or .webm"
            )
        self.fps = check_rate(fps, self.path)
        self.upscale = operator.index(upscale)
        self.crf = None if crf is None else operator.index(crf)
        if self.upscale < 1:
            raise ValueError(f"upscale must be at least 1; got {upscale}")
        if self.crf is not None and not 0 <= self.crf <= WORST_CRF:
            raise ValueError(f"crf must be between 0 (lossless) and {WORST_CRF}; got {crf}")
        self.metadata = {key: _in_utf_8(value) for key, value in (metadata or {}).items()}
        self.frames = 0
        self._size: tuple[int, int] | None = None
        self._encoder: _Encoder | None = None
        pictures = is_pictures(self.path)
        self._whole = whole_new_folder(self.path.parent) if pictures else whole_path(self.path)

    def __enter__(self) -> Self:
        self._beside = self._whole.__enter__()
        return self

    def write(self, chunk: Tensor) -> None:
        """Append the frames of a uint8 chunk `[3, f, Y, X]`; every chunk must have the Y and X
        of the first."""
        if chunk.dtype != torch.uint8 or chunk.ndim != 4 or chunk.shape[0] != 3:
            raise ValueError(
                f"a chunk must be uint8 [3, frames, height, width]; got {chunk.dtype} "
                f"{list(chunk.shape)}"
            )
        chunk = chunk.cpu()
        if self.upscale > 1:
            chunk = chunk.repeat_interleave(self.upscale, dim=2)
            chunk = chunk.repeat_interleave(self.upscale, dim=3)
        height, width = chunk.shape[2:]
        if self._encoder is None:
            if not height or not width:
                raise ValueError(f"a video needs at least one pixel; got {height} x {width}")
            self._size = (height, width)
            self._encoder = _kind(self.path)(self, height, width)
        elif self._size != (height, width):
            raise ValueError(
                f"every chunk must be {' x '.join(map(str, self._size or ()))}; got {height} x "
                f"{width}"
            )
        self._encoder.write(chunk)
        self.frames += chunk.shape[1]

    def write_sound(self, samples_L: Tensor) -> None:
        """Append samples, float [L] in [-1, 1], that are heard while the frames are seen. They come
        after the frames that they belong to."""
        if self.sound_rate is None:
            raise ValueError("this video is silent; give sound_rate to write sound")
        if samples_L.dim() != 1 or not samples_L.is_floating_point():
            raise ValueError(
                f"samples must be float [L]; got {samples_L.dtype} {list(samples_L.shape)}"
            )
        if not isinstance(self._encoder, _Video) or self._encoder.sound is None:
            raise ValueError("sound comes after the first frames; write those before")
        self._encoder.sound.write(samples_L)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        with contextlib.ExitStack() as leaving:
            leaving.push(self._whole)
            try:
                if error is not None:
                    raise error
                if self._encoder is None:
                    raise ValueError(f"no frames to write to '{self.path}'")
                self._encoder.finish()
                self.before_publishing(self._beside)
            except av.FFmpegError as failure:
                raise _as_os_error(failure, self.path) from None
            finally:
                if self._encoder is not None:
                    self._encoder.close()


class _Encoder(Protocol):
    def __init__(self, writer: VideoWriter, height: int, width: int) -> None: ...

    def write(self, chunk: Tensor) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


class _Video:
    """One file that FFmpeg encodes."""

    def __init__(self, writer: VideoWriter, height: int, width: int) -> None:
        self.format = FORMATS[writer.path.suffix.lower()]
        # "file:" since a name such as 12:30.mp4 looks like a protocol
        self.container = av.open(
            f"file:{writer._beside}",
            mode="w",
            format=self.format.container,
            options=dict(self.format.container_options),
        )
        self.container.metadata.update(writer.metadata)
        # The reader of this package cuts off what is added to odd sizes.
        self.added = (height % 2, width % 2) if self.format.halved else (0, 0)
        if any(self.added):
            self.container.metadata[SIZE_TAG] = f"{width}x{height}"
        crf = default_crf(height, width) if writer.crf is None else writer.crf
        options = self.format.quality(crf)
        rate = _fraction(writer.fps)
        stream: Any = self.container.add_stream(self.format.encoder, rate=rate, options=options)
        stream.height = height + self.added[0]
        stream.width = width + self.added[1]
        stream.pix_fmt = self.format.pixels
        if self.format.halved:
            tag_colours(stream)
        self.stream = stream
        self.sound: SoundTrack | None = None
        if writer.sound_rate is not None:
            self.sound = SoundTrack(self.container, self.format.sound, writer.sound_rate)
        self.step = 1 / rate
        self.count = 0

    def write(self, chunk: Tensor) -> None:
        rows, columns = self.added
        chunk = torch.cat([chunk, chunk[:, :, -1:]], dim=2) if rows else chunk
        chunk = torch.cat([chunk, chunk[:, :, :, -1:]], dim=3) if columns else chunk
        for frame in self.format.frames(chunk):
            frame.pts = self.count
            frame.time_base = self.step
            self.count += 1
            self.container.mux(self.stream.encode(frame))

    def finish(self) -> None:
        self.container.mux(self.stream.encode(None))
        if self.sound is not None:
            self.sound.finish()
        self.container.close()

    def close(self) -> None:
        """Give the encoder's memory back now: the writer may be in a cycle of references, which
        the garbage collector finds late."""
        with contextlib.suppress(av.FFmpegError):
            self.container.close()
        del self.container, self.stream, self.sound


class _Pictures:
    """A folder of PNGs, the first of which carries the metadata."""

    def __init__(self, writer: VideoWriter, height: int, width: int) -> None:
        self.writer = writer

    def write(self, chunk: Tensor) -> None:
        from PIL import Image, PngImagePlugin

        for place, image in enumerate(chunk.unbind(1)):
            number = self.writer.frames + place
            notes = PngImagePlugin.PngInfo()
            for key, value in self.writer.metadata.items() if number == 0 else ():
                notes.add_itxt(key, value)
            picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
            picture.save(self.writer._beside / (self.writer.path.name % number), pnginfo=notes)

    def finish(self) -> None: ...

    def close(self) -> None: ...


class _Picture:
    """One frame in a file of its own."""

    def __init__(self, writer: VideoWriter, height: int, width: int) -> None:
        self.writer = writer

    def write(self, chunk: Tensor) -> None:
        from PIL import Image, PngImagePlugin

        frames = self.writer.frames + chunk.shape[1]
        if frames > 1:
            raise ValueError(f"'{self.writer.path}' is one picture; got {frames} frames for it")
        picture = Image.fromarray(chunk[:, 0].permute(1, 2, 0).contiguous().numpy())
        told = self.writer.metadata
        if self.writer.path.suffix.lower() == PICTURE_SUFFIX:
            notes = PngImagePlugin.PngInfo()
            for key, value in told.items():
                notes.add_itxt(key, value)
            picture.save(self.writer._beside, "PNG", pnginfo=notes)
        else:
            comment = "\n".join(f"{key}: {value}" for key, value in told.items()).encode()
            comment = comment[:LONGEST_COMMENT]
            options = {"quality": JPEG_QUALITY, "subsampling": 0, "comment": comment}
            picture.save(self.writer._beside, "JPEG", **options)

    def finish(self) -> None: ...

    def close(self) -> None: ...


def _kind(path: Path) -> Callable[[VideoWriter, int, int], _Encoder]:
    """What writes a file of this name."""
    if is_pictures(path):
        return _Pictures
    return _Picture if is_one_picture(path) else _Video


def _fraction(fps: float) -> Fraction:
    if fps >= 1:
        return Fraction(fps).limit_denominator(FINEST_RATE)
    return 1 / Fraction(1 / fps).limit_denominator(FINEST_RATE)


def write_video(
    path: str | Path,
    video: Tensor | Iterable[Tensor],
    fps: float,
    metadata: Mapping[str, object] | None = None,
    upscale: int = 1,
    crf: int | None = None,
) -> int:
    """Write a uint8 video `[3, F, Y, X]`, or an iterable of such chunks; returns the number of
    frames.

    Arguments and errors are those of `VideoWriter`. An iterable is written as it comes, at bounded
    memory.
    """
    with VideoWriter(path, fps, metadata, upscale, crf) as writer:
        for chunk in [video] if isinstance(video, Tensor) else video:
            writer.write(chunk)
    return writer.frames


def _as_os_error(error: av.FFmpegError, path: Path) -> OSError | ValueError:
    if isinstance(error, OSError):
        return OSError(error.errno, error.strerror, str(path))
    return ValueError(f"cannot write '{path}': {error.strerror}")
