"""What H.264 and AV1 keep of a clip in a given number of bits, to stand beside a tokenizer."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import av
import torch
from torch import Tensor

NOTE = 6  # the type of an H.264 unit that decoders ignore; x264 writes its settings into one


@dataclass(frozen=True)
class Codec:
    """An encoder of FFmpeg, its file format, the options of quality and its smallest picture."""

    title: str
    encoder: str
    container: str
    options: dict[str, str]
    worst: int  # constant rate factor: 0 is nearly lossless
    smallest: int


@dataclass(frozen=True)
class Kept:
    """What a codec keeps of a clip: uint8 `[3, F, Y, X]`, the bits that it spent, and the seconds
    that coding at this quality and decoding took."""

    video: Tensor
    bits: int
    encoding: float
    decoding: float


CODECS = {
    "h264": Codec("H.264", "libx264", "h264", {"preset": "slow"}, 51, 16),
    "av1": Codec("AV1", "libsvtav1", "ivf", {"preset": "6", "svtav1-params": "lp=1"}, 63, 64),
}


def fits(codec: Codec, clip: Tensor) -> bool:
    """Whether this codec takes clips of this size: large enough, with even sides."""
    Y, X = clip.shape[2:]
    known = codec.encoder in av.codecs_available
    return known and min(Y, X) >= codec.smallest and not (Y % 2 or X % 2)


def within_budget(codec: Codec, clip: Tensor, budget: float) -> Kept | None:
    """A clip uint8 `[3, F, Y, X]` coded as well as `budget` bits allow, and decoded; None if the
    codec needs more at its worst."""
    coded, spent, seconds = _timed_encode(codec, clip, codec.worst)
    if spent > budget:
        return None
    good = codec.worst
    bad = 0
    while good - bad > 1:
        middle = (good + bad) // 2
        other, bits, needed = _timed_encode(codec, clip, middle)
        if bits <= budget:
            good, coded, spent, seconds = middle, other, bits, needed
        else:
            bad = middle
    begin = time.monotonic()
    video = _decode(coded)
    return Kept(video, spent, seconds, time.monotonic() - begin)


def code_clips(codec: Codec, target: Tensor, budget: float) -> dict[int, Kept]:
    """By its place, each of the clips uint8 `[B, 3, F, Y, X]` that the codec can code in `budget`
    bits."""
    if not fits(codec, target[0]):
        return {}
    coded = {}
    for place, clip in enumerate(target):
        found = within_budget(codec, clip, budget)
        if found is not None:
            coded[place] = found
    return coded


def _timed_encode(codec: Codec, clip: Tensor, quality: int) -> tuple[bytes, int, float]:
    begin = time.monotonic()
    coded, bits = _encode(codec, clip, quality)
    return coded, bits, time.monotonic() - begin


def _encode(codec: Codec, clip: Tensor, quality: int) -> tuple[bytes, int]:
    os.environ.setdefault("SVT_LOG", "1")  # errors only; else it prints its settings every time
    file = io.BytesIO()
    spent = 0
    options = codec.options | {"crf": str(quality)}
    with _same_priority(), av.open(file, "w", format=codec.container) as container:
        stream: Any = container.add_stream(codec.encoder, rate=24, options=options)
        stream.pix_fmt = "yuv420p"
        stream.height, stream.width = clip.shape[2:]
        pictures = clip.permute(1, 2, 3, 0).contiguous().numpy()
        frames = [av.VideoFrame.from_ndarray(picture, format="rgb24") for picture in pictures]
        for frame in [*frames, None]:
            for packet in stream.encode(frame):
                spent += _bits(codec, bytes(packet))
                container.mux(packet)
    return file.getvalue(), spent


@contextmanager
def _same_priority() -> Iterator[None]:
    """SVT-AV1 makes the process of an administrator real-time, and others then wait for all that it
    does later. It gets its own priority back."""
    if not hasattr(os, "sched_getscheduler"):  # Linux alone has it
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != before[0]:
            os.sched_setscheduler(0, *before)


def _bits(codec: Codec, packet: bytes) -> int:
    if codec.encoder != "libx264":
        return 8 * len(packet)
    units = re.split(b"\x00\x00\x00?\x01", packet)[1:]
    return 8 * sum(len(unit) + 3 for unit in units if unit and unit[0] & 31 != NOTE)


def _decode(coded: bytes) -> Tensor:
    with av.open(io.BytesIO(coded), "r") as container:
        frames = [
            torch.from_numpy(frame.to_ndarray(format="rgb24"))
            for frame in container.decode(video=0)
        ]
    return torch.stack(frames).permute(3, 0, 1, 2)
