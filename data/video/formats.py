"""Containers that videos are written in, by the ending of their names: what encodes them, and how
frames are handed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.video.reformatter import ColorRange
from torch import Tensor

# primaries, transfer and matrix; untagged small videos would be shown with other colours than they
# were made in
BT709 = 1
RED, GREEN, BLUE = 0.2126, 0.7152, 0.0722  # of which BT.709 makes its luma
BLACK, LUMA, CHROMA = 16.0, 219 / 255, 224 / 255  # studio range
SMALL_PIXELS = 256 * 256  # up to here quality costs next to nothing in bytes
SMALL_CRF = 12
LARGE_CRF = 18
WORST_CRF = 51
WORST_VP9 = 63
# frames that the encoder holds back: at 720p 130 MB less than the usual 40, no larger file
BRIEF = {"rc-lookahead": "10"}
# The same frames give the same file. Without it they depend on the processor, and below a width of
# 64 pixels now and then on what was in memory before.
SAME = {"x264-params": "cpu-independent=1"}

# low-pass filters of half the rate, for samples on the first of two pixels and between them
ON_FIRST = (-1, 0, 9, 16, 9, 0, -1)
BETWEEN = (-1, 9, 9, -1)

Frames = Iterator[Any]  # of `av.VideoFrame`


@dataclass(frozen=True)
class Format:
    """How videos of one ending are written.

    `frames` turns a chunk uint8 `[3, f, Y, X]` into what the encoder takes; `quality` gives the
    encoder's options for a crf of 0 (lossless) to 51; `halved` colours need even sizes; `sound` is
    the encoder of the sound, "" for formats that hold none.
    """

    container: str
    encoder: str
    pixels: str
    frames: Callable[[Tensor], Frames]
    quality: Callable[[int], dict[str, str]]
    halved: bool = True
    container_options: tuple[tuple[str, str], ...] = ()
    sound: str = ""


def default_crf(height: int, width: int) -> int:
    return SMALL_CRF if height * width <= SMALL_PIXELS else LARGE_CRF


def tag_colours(stream: Any) -> None:
    """Name the colours that `_yuv420` makes, so that no player has to guess."""
    context = stream.codec_context
    context.color_primaries = context.color_trc = context.colorspace = BT709
    context.color_range = ColorRange.MPEG


def _left_sited(chunk: Tensor) -> Frames:
    """As H.264 has it where it says nothing: a sample of colour lies on the first of two
    columns."""
    return _yuv420(chunk, ON_FIRST)


def _centred(chunk: Tensor) -> Frames:
    """As VP9 is read: a sample of colour lies in the middle of four pixels."""
    return _yuv420(chunk, BETWEEN)


def _yuv420(chunk: Tensor, across: tuple[int, ...]) -> Frames:
    """BT.709 in studio range, colours halved in both directions; a picture that stays as it was,
    such as a slide, is computed once."""
    before: Tensor | None = None
    rows: Any = None
    for image in chunk.unbind(1):
        if before is not None and torch.equal(before, image):
            yield av.VideoFrame.from_ndarray(rows, format="yuv420p")
            continue
        before = image
        picture = image.float()
        small = _halved(_halved(picture, BETWEEN, 1), across, 2)
        middle = _luma(small)
        blue = (small[2] - middle) / (2 * (1 - BLUE)) * CHROMA + 128
        red = (small[0] - middle) / (2 * (1 - RED)) * CHROMA + 128
        planes = [(_luma(picture) * LUMA + BLACK).flatten(), blue.flatten(), red.flatten()]
        values = torch.cat(planes).round_().clamp_(0, 255).to(torch.uint8)
        rows = values.view(-1, image.shape[2]).numpy()
        yield av.VideoFrame.from_ndarray(rows, format="yuv420p")


def _halved(picture: Tensor, taps: tuple[int, ...], axis: int) -> Tensor:
    """Every second sample along an axis of [3, Y, X] of what the taps make of its neighbours; the
    samples at the edges go on beyond them."""
    length = picture.shape[axis]
    before = (len(taps) - 1) // 2
    first = picture.narrow(axis, 0, 1)
    last = picture.narrow(axis, length - 1, 1)
    wide = torch.cat([first] * before + [picture] + [last] * (len(taps) - 1 - before), dim=axis)
    places = (slice(offset, offset + length, 2) for offset in range(len(taps)))
    indices = ((slice(None),) * axis + (place,) for place in places)
    parts = [
        wide[index] * (tap / sum(taps)) for index, tap in zip(indices, taps, strict=True) if tap
    ]
    total = parts[0]
    for part in parts[1:]:
        total += part
    return total


def _luma(image_3YX: Tensor) -> Tensor:
    red, green, blue = image_3YX.unbind(0)
    return RED * red + GREEN * green + BLUE * blue


def _with_palette(chunk: Tensor) -> Frames:
    """256 colours, chosen for each picture by the quickest way (0.8 dB below the best, which takes
    80 times as long)."""
    from PIL import Image

    for image in chunk.unbind(1):
        picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
        indexed = picture.quantize(256, method=Image.Quantize.FASTOCTREE)
        colours = np.zeros((256, 4), np.uint8)
        colours[:, 0] = 255  # opaque
        palette = np.asarray(indexed.getpalette("RGB"), np.uint8).reshape(-1, 3)
        colours[: len(palette), 1:] = palette
        indices = np.ascontiguousarray(np.asarray(indexed))
        both: Any = (indices, colours)
        yield av.VideoFrame.from_ndarray(both, format="pal8")


def _rgb(chunk: Tensor) -> Frames:
    for image in chunk.unbind(1):
        frame = av.VideoFrame.from_ndarray(image.permute(1, 2, 0).contiguous().numpy(), "rgb24")
        yield frame.reformat(format="bgra")


def _x264(crf: int) -> dict[str, str]:
    return {"crf": str(crf), **BRIEF, **SAME}


def _vp9(crf: int) -> dict[str, str]:
    quality = round(crf * WORST_VP9 / WORST_CRF)
    lossless = {"lossless": "1"} if crf == 0 else {}
    return {"crf": str(quality), "b": "0", "deadline": "good", "cpu-used": "4", **lossless}


def _webp(crf: int) -> dict[str, str]:
    lossless = {"lossless": "1"} if crf == 0 else {}
    return {"quality": str(round(100 - crf)), **lossless}


# faststart moves the index to the front, so that a browser plays the file while it loads
QUICKTIME = (("movflags", "use_metadata_tags+faststart"),)
FOREVER = (("loop", "0"),)

FORMATS = {
    ".mp4": Format("mp4", "libx264", "yuv420p", _left_sited, _x264, True, QUICKTIME, "aac"),
    ".mov": Format("mov", "libx264", "yuv420p", _left_sited, _x264, True, QUICKTIME, "aac"),
    ".mkv": Format("matroska", "libx264", "yuv420p", _left_sited, _x264, sound="aac"),
    ".webm": Format("webm", "libvpx-vp9", "yuv420p", _centred, _vp9, sound="libopus"),
    ".gif": Format("gif", "gif", "pal8", _with_palette, lambda crf: {}, False, FOREVER),
    ".webp": Format("webp", "libwebp_anim", "bgra", _rgb, _webp, False, FOREVER),
}


def holds_sound(path: Path) -> bool:
    """Whether a video of this name can have sound."""
    found = FORMATS.get(path.suffix.lower())
    return found is not None and bool(found.sound)
