"""Video files to files of codes and back, with their sound, of any length at bounded memory.

Reading, the network and writing overlap (see `prefetch`), and files are read and written in slices.
Files appear under their name when they are complete; an error or Ctrl-C leaves nothing behind.

The tokenizer is an argument: anything with the few members of `Codec`, such as
`kinetoscope.tokenizer.VideoTokenizer`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import EllipsisType
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from ...files.output_path import check_output
from ...tokenizer.codes import CodesFile, CodesWriter
from .allocator import return_large_buffers
from .frame_source import FrameSource, frames_at_once
from .pixels import WHITE, to_float, to_uint8
from .prefetch import prefetch
from .sound import has_track
from .sound.coded import (
    SoundCodec,
    SoundInStep,
    about_codes,
    check_writer,
    decoded_sound,
    fits,
    frame_rate,
    sound_codes,
)
from .write import VideoWriter

Item = TypeVar("Item")
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
    sound: SoundCodec | None = None,
) -> CodesFile:
    """Write the codes of a video or image of any length, and return what the file says about
    itself.

    The codes are those of `tokenizer.encode` on the whole video, and of `sound.encode` on the sound
    of its frames: as long as they are, whatever the length of the track.

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
        sound: the tokenizer of the first sound track, if the file has one; None leaves it out.

    Raises:
        ValueError: the video cannot be read, a number is out of range, its frames are not as long
            as those of `sound`, or `out` cannot be written.
        OSError: the disk is full.
    """
    out = check_output(out, ".safetensors")
    return_large_buffers()
    kept = first_codebooks(rate, tokenizer.rates, "this tokenizer")
    source = FrameSource(path, size, max_frames, fps, background)
    sound = _checked_sound(sound, source)
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
        about = None
        if sound is not None:
            for indices in sound_codes(sound, path, frames):
                writer.write_sound(indices)
            about = about_codes(sound, frames)
        writer.finish(frames, about)
    return CodesFile.open(out)


def _checked_sound(sound: SoundCodec | None, source: FrameSource) -> SoundCodec | None:
    """The tokenizer of sound if there is sound. ValueError if its frames have another length."""
    if sound is None:
        return None
    fps = source.timing.fps  # which says in its own words what is no video
    if not has_track(source.path):
        return None
    if not fits(sound, fps):
        wanted = frame_rate(sound)
        raise ValueError(
            f"'{source.path}' is read at {fps:.5g} frames a second, and its sound is kept at "
            f"{wanted:g}; give fps={wanted:g}, or leave the sound out"
        )
    return sound


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
    sound: SoundCodec | None = None,
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
        sound: the tokenizer that wrote the sound that the codes hold, if they hold any; None leaves
            it out.

    Raises:
        ValueError: the codes cannot be read or are another tokenizer's, a number is out of range,
            or `out` cannot be written, or holds no sound.
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
    if not file.sound_shape:
        sound = None
    if sound is not None:
        check_writer(sound, file)
    usual = DEFAULT_FPS if sound is None else frame_rate(sound)
    kept = first_codebooks(rate, file.rates, f"'{path}'")
    frames_per_latent = file.num_frames / file.shape[1]

    def slices() -> Iterator[Tensor]:
        step = max(1, int(frames_at_once(file.height, file.width) / frames_per_latent))
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
        VideoWriter(
            out,
            file.fps or usual,
            metadata,
            upscale,
            sound_rate=None if sound is None else sound.config.rate,
        ) as writer,
        closing(prefetch(map(shown, decoded))) as chunks,
    ):
        heard = None if sound is None else SoundInStep(writer, decoded_sound(sound, file))
        for chunk in chunks:
            # the last group of frames may be filled up
            chunk = chunk[:, : file.num_frames - writer.frames]
            writer.write(chunk)
            if heard is not None:
                heard.catch_up()
            if progress is not None:
                progress(chunk.shape[1])
            if stop is not None and stop():
                return writer.frames
        if writer.frames < file.num_frames:
            raise ValueError(
                f"'{path}' is damaged: {writer.frames} of its {file.num_frames} frames are there"
            )
        if heard is not None:
            heard.finish()
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


def _device(tokenizer: Codec) -> torch.device:
    return next(tokenizer.parameters()).device
