"""Video files to files of codes and back, of any length at bounded memory.

Reading, the network and writing overlap (see `prefetch`), and files are read and written in slices.
Files appear under their name when they are complete; an error or Ctrl-C leaves nothing behind.

The tokenizer is an argument: anything with the few members of `Codec`, such as
`kinetoscope.tokenizer.VideoTokenizer`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import EllipsisType
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from ...files.output_path import check_output
from ...tokenizer.codes import CodesFile, CodesWriter
from .allocator import return_large_buffers
from .pixels import WHITE, to_float, to_uint8
from .prefetch import prefetch
from .read import (
    Timing,
    even_timing,
    iterate_frames,
    probe,
    read_clip,
)
from .write import VideoWriter

Item = TypeVar("Item")
CHUNK_PIXELS = 1 << 20  # at most so many go through the tokenizer at once
CHUNK_FRAMES = 32
DEFAULT_FPS = 25.0  # of codes that do not know theirs


class Codec(Protocol):
    """What a tokenizer must offer: see `VideoTokenizer` for shapes."""

    @property
    def id(self) -> str: ...

    @property
    def rates(self) -> int: ...

    @property
    def codebook_size(self) -> int: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def stream_encode(
        self, frame_chunks: Iterable[Tensor], tile: int | None = None
    ) -> Iterator[Tensor]: ...

    def stream_decode(
        self,
        code_chunks: Iterable[Tensor],
        height: int | None,
        width: int | None,
        tile: int | None = None,
    ) -> Iterator[Tensor]: ...


@dataclass(frozen=True)
class FrameSource:
    """The frames of a file, scaled to `size` (shorter side), at most `max_frames` of them, sampled
    at `fps` or at the file's own rate (see `even_timing`), transparent ones on `background`."""

    path: str | Path
    size: int | None = None
    max_frames: int | None = None
    fps: float | None = None
    background: str = WHITE

    @cached_property
    def picture(self) -> tuple[int, int]:
        """Height and width of the frames."""
        video = read_clip(self.path, frames=1, size=self.size, fps=self.fps).video
        height, width = video.shape[2:]
        return height, width

    @cached_property
    def timing(self) -> Timing:
        return even_timing(self.path, self.fps)

    @property
    def note(self) -> str:
        """What somebody should know who did not ask for a rate, if anything."""
        if self.fps is not None or self.timing.sampled is None:
            return ""
        return (
            f"'{self.path}' has no constant frame rate; it is taken at {self.timing.fps:.3g} "
            "frames a second, another fps can be asked for"
        )

    def length(self) -> int:
        """About how many frames there are."""
        info = probe(self.path, self.fps)
        sampled = self.timing.sampled
        frames = info.frames if sampled is None else max(1, round(info.seconds * sampled))
        return min(frames, self.max_frames or sys.maxsize)

    def chunks(self) -> Iterator[Tensor]:
        """uint8 `[3, f, Y, X]`, fewer frames at once the larger they are."""
        height, width = self.picture
        yield from iterate_frames(
            self.path,
            frames=self.max_frames,
            fps=self.timing.sampled,
            size=self.size,
            chunk=_frames_at_once(height, width),
            background=self.background,
        )


def encode_file(
    tokenizer: Codec,
    path: str | Path,
    out: str | Path,
    *,
    size: int | None = None,
    max_frames: int | None = None,
    fps: float | None = None,
    background: str = WHITE,
    rate: int | None = None,
    tile: int | None = None,
    dtype: torch.dtype = torch.float32,
    model: str = "",
    notes: Mapping[str, str] | None = None,
    progress: Callable[[int], object] | None = None,
) -> CodesFile:
    """Write the codes of a video or image of any length, and return what the file says about
    itself.

    The codes are those of `tokenizer.encode` on the whole video.

    Args:
        tokenizer: on the device where it shall work.
        path: any video or image.
        out: the file to write; it must end in `.safetensors`. A missing folder is made.
        size: scale the shorter side to this many pixels first.
        max_frames: stop after this many frames.
        fps: sample by time at this rate; by default the file's own frames, or, where these come at
            no constant rate, as `even_timing` says.
        background: the colour below transparent pictures.
        rate: keep this many codebooks of each cell, of a tokenizer that has several.
        tile: side in pixels of the tiles in which large frames are encoded; see
            `VideoTokenizer.encode`.
        dtype: bfloat16 computes in half precision where that is safe; the quantizer stays in
            float32.
        model: the name of the tokenizer, stored for those who read the file.
        notes: free key-value pairs stored in the file.
        progress: called with the number of frames that were finished since the last call.

    Raises:
        ValueError: the video cannot be read, a number is out of range, or `out` cannot be written.
        OSError: the disk is full.
    """
    out = check_output(out, ".safetensors")
    return_large_buffers()
    kept = first_codebooks(rate, tokenizer.rates, "this tokenizer")
    source = FrameSource(path, size, max_frames, fps, background)
    device = _device(tokenizer)
    frames = 0

    def video(chunks: Iterable[Tensor]) -> Iterator[Tensor]:
        nonlocal frames
        for chunk in chunks:
            frames += chunk.shape[1]
            yield to_float(chunk.to(device))[None]

    told = 0
    with (
        CodesWriter(out, *source.picture, source.timing.fps, tokenizer.id, model, notes) as writer,
        closing(prefetch(source.chunks())) as chunks,
        closing(
            prefetch(computed(tokenizer.stream_encode(video(chunks), tile), device, dtype))
        ) as codes,
    ):
        for indices in codes:
            writer.write(indices[kept])
            if progress is not None:
                told, news = frames, frames - told
                progress(news)
        writer.finish(frames)
    return CodesFile.open(out)


def decode_file(
    tokenizer: Codec,
    path: str | Path,
    out: str | Path,
    *,
    rate: int | None = None,
    tile: int | None = None,
    dtype: torch.dtype = torch.float32,
    upscale: int = 1,
    metadata: Mapping[str, object] | None = None,
    progress: Callable[[int], object] | None = None,
    stop: Callable[[], bool] | None = None,
) -> int:
    """Write the video of a file of codes, and return its number of frames.

    Args:
        tokenizer: the one that wrote the codes, on the device where it shall work.
        path: a file that `encode_file` or `VideoCodes.save` wrote.
        out: where to write, as in `VideoWriter`.
        rate: use this many codebooks of each cell, of codes that have several.
        tile, dtype, progress: as in `encode_file`.
        upscale: enlarge each pixel to a square of this many pixels.
        metadata: free key-value pairs stored in the file.
        stop: the video ends early, with the frames so far, once this returns True.

    Raises:
        ValueError: the codes cannot be read or are another tokenizer's, a number is out of range,
            or `out` cannot be written.
        OSError: the disk is full.
    """
    out = check_output(out)
    return_large_buffers()
    file = CodesFile.open(path)
    device = _device(tokenizer)
    if file.tokenizer != tokenizer.id:
        raise ValueError(
            f"'{path}' was written by {file.writer}, and this tokenizer is {tokenizer.id}"
        )
    if file.shape[0] != 1:
        raise ValueError(
            f"'{path}' holds {file.shape[0]} videos; only files with one can be decoded to a file"
        )
    kept = first_codebooks(rate, file.rates, f"'{path}'")
    frames_per_latent = file.num_frames / file.shape[1]

    def slices() -> Iterator[Tensor]:
        step = max(1, int(_frames_at_once(file.height, file.width) / frames_per_latent))
        for begin in range(0, file.shape[1], step):
            indices = file.read(begin, begin + step)[kept]
            if not 0 <= indices.min() <= indices.max() < tokenizer.codebook_size:
                raise ValueError(
                    f"'{path}' is damaged: codes run from 0 to {tokenizer.codebook_size - 1}"
                )
            yield indices.to(device)

    def shown(pixels: Tensor) -> Tensor:
        return to_uint8(pixels[0]).cpu()

    decoded = computed(
        tokenizer.stream_decode(slices(), file.height, file.width, tile), device, dtype
    )
    with (
        VideoWriter(out, file.fps or DEFAULT_FPS, metadata, upscale) as writer,
        closing(prefetch(map(shown, decoded))) as chunks,
    ):
        for chunk in chunks:
            # the last group of frames may be filled up
            chunk = chunk[:, : file.num_frames - writer.frames]
            writer.write(chunk)
            if progress is not None:
                progress(chunk.shape[1])
            if stop is not None and stop():
                return writer.frames
        if writer.frames < file.num_frames:
            raise ValueError(
                f"'{path}' is damaged: {writer.frames} of its {file.num_frames} frames are there"
            )
    return writer.frames


def computed(
    items: Iterator[Item], device: torch.device, dtype: torch.dtype
) -> Generator[Item, None, None]:
    """Yield `items`, computed in `dtype` where that is safe; what the caller does in between is
    left alone."""
    while True:
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            item = next(items, None)
        if item is None:
            return
        yield item
        del item  # the next one is not made with this one in hand


def first_codebooks(rate: int | None, rates: int, owner: str) -> tuple[EllipsisType | slice, ...]:
    """The index that keeps the first `rate` of the `rates` codebooks per cell. ValueError if
    `owner` has fewer."""
    if rate is not None and not 1 <= rate <= rates:
        raise ValueError(
            f"rate must be at least 1 and at most {rates}, the codebooks per cell of {owner}; got "
            f"{rate}"
        )
    return (...,) if rate is None or rates == 1 else (..., slice(rate))


def _frames_at_once(height: int, width: int) -> int:
    return min(CHUNK_FRAMES, max(1, CHUNK_PIXELS // (height * width)))


def _device(tokenizer: Codec) -> torch.device:
    return next(tokenizer.parameters()).device
