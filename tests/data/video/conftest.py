"""Videos whose frames carry their number, written by PyAV alone."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch import Tensor

HEIGHT, WIDTH = 32, 48


@pytest.fixture(autouse=True)
def as_for_people(usual_encoder: None) -> None:
    """What is written here is looked at closely."""


def picture(number: int) -> Tensor:
    """Frame `number` as [Y, X, 3]: its upper half is as bright as its last digit, its lower half
    as the digit before."""
    image = torch.empty(HEIGHT, WIDTH, 3, dtype=torch.uint8)
    image[: HEIGHT // 2] = 20 + 20 * (number % 10)
    image[HEIGHT // 2 :] = 20 + 20 * (number // 10)
    return image


def as_frame(image_YX3: Tensor, pixel_format: str) -> Any:
    if pixel_format == "pal8":
        greys = np.arange(256, dtype=np.uint8)
        palette = np.stack([np.full(256, 255, np.uint8), greys, greys, greys], axis=1)
        levels = np.ascontiguousarray(image_YX3[:, :, 0].numpy())
        return av.VideoFrame.from_ndarray((levels, palette), "pal8")
    frame = av.VideoFrame.from_ndarray(image_YX3.numpy(), "rgb24")
    return frame.reformat(format=pixel_format)


def mux(container: Any, stream: Any, frame: Any) -> None:
    for packet in stream.encode(frame):
        container.mux(packet)


def encode(
    path: Path,
    codec: str,
    times: Iterable[int],
    rate: int = 25,
    pixel_format: str = "yuv420p",
    container_format: str | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    reordered: int = 0,
    first: int = 0,
) -> Path:
    """Frames `first`, `first` + 1, … shown at `times`, in units of 1 / rate seconds; `reordered`
    B-frames between others."""
    with av.open(
        f"file:{path}", "w", format=container_format, options=container_options or {}
    ) as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        stream.width = WIDTH
        stream.height = HEIGHT
        stream.pix_fmt = pixel_format
        stream.time_base = stream.codec_context.time_base = Fraction(1, rate)
        stream.codec_context.max_b_frames = reordered
        stream.codec_context.thread_count = 1
        for index, time in enumerate(times):
            frame = as_frame(picture(first + index), pixel_format)
            frame.pts = time
            frame.time_base = Fraction(1, rate)
            mux(container, stream, frame)
        mux(container, stream, None)
    return path


def remux(
    source: Path,
    target: Path,
    change: Callable[[Any], None] = lambda packet: None,
    options: dict[str, str] | None = None,
) -> Path:
    """The same packets in another file, each after `change` saw it."""
    with (
        av.open(f"file:{source}") as reader,
        av.open(f"file:{target}", "w", options=options or {}) as writer,
    ):
        video = reader.streams.video[0]
        copy = writer.add_stream_from_template(video)
        for packet in reader.demux(video):
            if packet.size:
                packet.stream = copy
                change(packet)
                writer.mux(packet)
    return target


def numbers(video: Tensor) -> list[int]:
    """Which frames a (decoded) video shows."""
    height = video.shape[2]
    rows = (slice(height // 8, 3 * height // 8), slice(5 * height // 8, 7 * height // 8))
    last, before = (video[:, :, part].float().mean(dim=(0, 2, 3)) for part in rows)
    return (((before - 20) / 20).round() * 10 + ((last - 20) / 20).round()).int().tolist()


@pytest.fixture(name="encode")
def encode_fixture() -> Callable[..., Path]:
    return encode


@pytest.fixture(name="remux")
def remux_fixture() -> Callable[..., Path]:
    return remux


@pytest.fixture(name="numbers")
def numbers_fixture() -> Callable[[Tensor], list[int]]:
    return numbers


@pytest.fixture(name="picture")
def picture_fixture() -> Callable[[int], Tensor]:
    return picture
