"""Write H.264 MP4 files chunk by chunk: bounded memory, and never a half-written file.

Any error, a full disk or Ctrl-C leaves the folder as it was.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import torch
from av.video.reformatter import ColorRange, Colorspace
from torch import Tensor

from ...files.atomic import whole_path
from ...files.output_path import check_output

# H.264 with 4:2:0 colour needs even sizes, so an odd video is padded by one repeated row or column;
# this tag (width x height) lets the reader of this package return it at its own size.
SIZE_TAG = "kinetoscope_size"
# primaries, transfer and matrix; untagged small videos would be shown with other colours than they
# were made in
BT709 = 1
SMALL_PIXELS = 256 * 256  # up to here quality costs next to nothing in bytes
SMALL_CRF = 12
LARGE_CRF = 18
BRIEF = {
    "rc-lookahead": "10"
}  # frames that the encoder holds back: at 720p 130 MB less than the usual 40, no larger file


class VideoWriter:
    """A context manager that writes uint8 `[3, f, Y, X]` chunks to an MP4 file and publishes it on
    leaving the block.

    Args:
        path: the file to write; it must end in `.mp4` and its folder must exist. An existing file
            is replaced.
        fps: frames per second.
        metadata: free key-value pairs stored in the file (`read_metadata` returns them).
        upscale: enlarge each pixel to a square of this many pixels, so that a 64x64 clip can be
            watched.
        crf: H.264 quality, 0 (lossless) to 51; by default 12 for small pictures and 18 for large
            ones.

    Raises:
        ValueError: for settings that cannot work, a folder that does not exist, or chunks of
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
    ) -> None:
        self.path = check_output(path)
        if not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"fps must be above 0; got {fps}")
        if upscale < 1:
            raise ValueError(f"upscale must be at least 1; got {upscale}")
        if crf is not None and not 0 <= crf <= 51:
            raise ValueError(f"crf must be between 0 (lossless) and 51; got {crf}")
        self.fps = fps
        self.metadata = {key: str(value) for key, value in (metadata or {}).items()}
        self.upscale = upscale
        self.crf = crf
        self.frames = 0
        self._size: tuple[int, int] | None = None
        self._whole = whole_path(self.path)
        self._container: Any = None
        self._stream: Any = None

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
            chunk = chunk.repeat_interleave(self.upscale, dim=2).repeat_interleave(
                self.upscale, dim=3
            )
        height, width = chunk.shape[2:]
        if self._size is None:
            if not height or not width:
                raise ValueError(f"a video needs at least one pixel; got {height} x {width}")
            self._size = (height, width)
            self._open(height, width)
        elif self._size != (height, width):
            raise ValueError(
                f"every chunk must be {self._size[0]} x {self._size[1]}; got {height} x {width}"
            )
        chunk = torch.cat([chunk, chunk[:, :, -1:]], dim=2) if height % 2 else chunk
        chunk = torch.cat([chunk, chunk[:, :, :, -1:]], dim=3) if width % 2 else chunk
        for image_3YX in chunk.unbind(dim=1):
            frame = av.VideoFrame.from_ndarray(
                image_3YX.permute(1, 2, 0).contiguous().numpy(), format="rgb24"
            )
            frame = frame.reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            self._container.mux(self._stream.encode(frame))
            self.frames += 1

    def _open(self, height: int, width: int) -> None:
        # faststart moves the index to the front, so that a browser plays the file while it loads.
        options = {"movflags": "use_metadata_tags+faststart"}
        self._container = av.open(str(self._beside), mode="w", format="mp4", options=options)
        self._container.metadata.update(self.metadata)
        if height % 2 or width % 2:
            self._container.metadata[SIZE_TAG] = f"{width}x{height}"
        crf = (
            self.crf
            if self.crf is not None
            else SMALL_CRF
            if height * width <= SMALL_PIXELS
            else LARGE_CRF
        )
        rate = Fraction(self.fps).limit_denominator(1001)
        self._stream = self._container.add_stream(
            "libx264", rate=rate, options={"crf": str(crf), **BRIEF}
        )
        self._stream.width = width + width % 2
        self._stream.height = height + height % 2
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = ColorRange.MPEG

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        with contextlib.ExitStack() as leaving:
            leaving.push(self._whole)
            try:
                if error is not None:
                    raise error
                if self._container is None:
                    raise ValueError(f"no frames to write to '{self.path}'")
                self._container.mux(self._stream.encode(None))
                self._container.close()
            except av.FFmpegError as failure:
                raise _as_os_error(failure, self.path) from None
            finally:
                if self._container is not None:
                    with contextlib.suppress(av.FFmpegError):
                        self._container.close()


def write_video(
    path: str | Path,
    video: Tensor | Iterable[Tensor],
    fps: float,
    metadata: Mapping[str, object] | None = None,
    upscale: int = 1,
    crf: int | None = None,
) -> int:
    """Write a uint8 video `[3, F, Y, X]`, or an iterable of such chunks, as H.264 MP4; returns the
    number of frames.

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
