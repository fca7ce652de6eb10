"""How the studio writes a video: the one place that does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from ...data.video import VideoWriter

WATCHABLE = 256  # small pictures are enlarged to about this many pixels
MADE_BY = "made by a generative model"


@contextlib.contextmanager
def saved_video(
    path: Path, fps: float, about: Mapping[str, object]
) -> Iterator[Callable[[Tensor], None]]:
    """A function that appends uint8 [3, f, Y, X] to a video, which is there when the block has
    ended well and is not when it has not.

    Args:
        about: how it was made, for its metadata.
    """
    tags = {"comment": MADE_BY, "version": f"kinetoscope {version('kinetoscope')}", **about}
    with VideoWriter(path, fps, tags) as writer:
        yield lambda chunk: writer.write(enlarged(chunk))


def enlarged(chunk: Tensor) -> Tensor:
    """Small pictures at a size at which they can be watched: uint8 [3, f, Y, X]."""
    times = max(1, WATCHABLE // min(chunk.shape[2:]))
    if times == 1:
        return chunk
    frames = torch.nn.functional.interpolate(
        chunk.transpose(0, 1).float(), scale_factor=times, mode="bicubic"
    )
    return frames.round().clamp(0, 255).to(torch.uint8).transpose(0, 1)
