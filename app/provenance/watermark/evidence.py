"""What the frames of a video say about a mark, added up in one small picture.

The mark is a weak pattern that stands still. Everything that is stronger is evened out: slow
changes of brightness are taken away, and what is left is divided by its own local strength, so that
edges and textures weigh no more than flat places. Then frames are added up: what moves averages
out.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .embed import check_video

ROOT = 160  # pixels of the square root of the small picture's area
SMOOTH = 3.6  # pixels; slower changes than this are taken away
AROUND = 2.4  # pixels; how local the local strength is
STILL = 1.0  # of 255; weaker pictures than this are not made stronger
RED, GREEN, BLUE = 0.2126, 0.7152, 0.0722
TOGETHER = 32  # frames at a time, which bounds the memory


class Evidence:
    """Adds up the frames of one video: `add` chunks, then read `picture` float32 [y, x]."""

    def __init__(self) -> None:
        self.frames = 0
        self._size: tuple[int, int] | None = None
        self._sum: Tensor | None = None

    def add(self, chunk: Tensor) -> None:
        """Add frames `[3, F, Y, X]`, uint8 or float in [-1, 1].

        Raises ValueError for other shapes, and for frames of another size than before.
        """
        check_video(chunk)
        size = (chunk.shape[-2], chunk.shape[-1])
        if chunk.ndim != 4 or self._size not in (None, size):
            raise ValueError(
                f"frames must be [3, frames, height, width] of one size; got {list(chunk.shape)}"
                + (f" after {self._size[0]} x {self._size[1]}" if self._size else "")
            )
        self._size = size
        for part in chunk.split(TOGETHER, dim=1):
            total = evened(brightness(part)).sum(0)
            self._sum = total if self._sum is None else self._sum + total
            self.frames += part.shape[1]

    @property
    def picture(self) -> Tensor:
        if self._sum is None or not self.frames:
            raise ValueError("there are no frames to look for a mark in")
        return self._sum / self.frames


def brightness(video: Tensor) -> Tensor:
    """Luma of BT.709 of frames `[3, F, Y, X]`, in units of 1 / 255, scaled to an area of
    ROOT x ROOT pixels: [F, y, x]."""
    red, green, blue = video.cpu().float().unbind(0)
    luma = RED * red + GREEN * green + BLUE * blue
    if video.is_floating_point():
        luma = (luma + 1) * 127.5
    height, width = luma.shape[-2:]
    root = math.sqrt(height * width)
    small = [max(1, round(ROOT * side / root)) for side in (height, width)]
    return F.interpolate(luma[:, None], size=small, mode="bilinear", antialias=True)[:, 0]


def evened(luma_FYX: Tensor) -> Tensor:
    """Frames without slow changes, divided by their local strength."""
    detail = luma_FYX - _blurred(luma_FYX, SMOOTH)
    strength = _blurred(detail.square(), AROUND).add(STILL**2).sqrt()
    return detail / strength


def _blurred(frames_FYX: Tensor, width: float) -> Tensor:
    """Gaussian blur of a standard deviation of `width` pixels; edges go on beyond the picture."""
    reach = math.ceil(3 * width)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width) ** 2)
    taps /= taps.sum()
    wide = F.pad(frames_FYX[:, None], (reach,) * 4, mode="replicate")
    down = F.conv2d(wide, taps.view(1, 1, -1, 1))
    return F.conv2d(down, taps.view(1, 1, 1, -1))[:, 0]
