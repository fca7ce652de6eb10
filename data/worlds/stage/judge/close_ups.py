"""What an object looks like from near: a small network on a picture of that object alone.

FrameNet finds objects in pictures of 64 x 64 pixels, where a small one covers ten. Its shape, its
surface and its colour are read here, from the frame as large as it is given, in a square around
the object that is always resized to the same number of pixels (as in Fast R-CNN, Girshick 2015).

Legend: M frames, K objects of any frames, Y X pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ..colours import BASIC
from ..scene import MATERIALS, SHAPES
from .network import conv

LOOK_HEADS = {"shape": len(SHAPES), "material": len(MATERIALS), "colour": len(BASIC) + 1}
AROUND = 1.4  # side of the square, in larger sides of the object's box
LEAST = 0.1  # side of the square, as a share of the picture
CHUNK = 256  # close-ups per forward pass


class CloseUpNet(nn.Module):
    """Words of the look of objects from close-ups in [-1, 1]."""

    def __init__(self, channels: tuple[int, int, int]) -> None:
        super().__init__()
        a, b, c = channels
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2),
            conv(12, a),
            conv(a, a),
            conv(a, b, stride=2),
            conv(b, b),
            conv(b, c, stride=2),
            conv(c, c),
            conv(c, c),
        )
        # a maximum keeps what shows at one place only: an edge, a highlight, a stripe
        self.words = nn.Sequential(
            nn.Linear(2 * c, 2 * c), nn.GELU(), nn.Linear(2 * c, sum(LOOK_HEADS.values()))
        )

    def forward(self, x_K3YX: Tensor) -> dict[str, Tensor]:
        """Logits [K, n] by LOOK_HEADS."""
        x = self.layers(x_K3YX).float()
        words = self.words(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)).float()
        return dict(zip(LOOK_HEADS, words.split(list(LOOK_HEADS.values()), 1), strict=True))

    def read(self, x_M3YX: Tensor, frame_K: Tensor, box_K6: Tensor, size: int) -> dict[str, Tensor]:
        """Logarithms of chances [K, n] of objects with boxes as in `detect.Found`."""
        parts = []
        for frame, box in zip(frame_K.split(CHUNK), box_K6.split(CHUNK)):
            parts.append(self(close_ups(x_M3YX, frame, *squares(box), size)))
        return {name: torch.cat([p[name] for p in parts]).log_softmax(-1) for name in LOOK_HEADS}


def squares(box_K6: Tensor) -> tuple[Tensor, Tensor]:
    """Middles [K, 2] and sides [K] of the squares around boxes, as shares of the picture."""
    _, _, left, right, top, bottom = box_K6.unbind(-1)
    middle = torch.stack([left + right, top + bottom], -1) / 2
    side = torch.maximum(right - left, bottom - top)
    return middle, (AROUND * side).clamp_min(LEAST)


def close_ups(
    x_M3YX: Tensor, frame_K: Tensor, middle_K2: Tensor, side_K: Tensor, size: int
) -> Tensor:
    """Squares out of frames, [K, 3, size, size]; what lies outside repeats the edge.

    Each pixel is the mean of four points, so that fine stripes do not alias.
    """
    line = (torch.arange(2 * size) + 0.5) / size - 1  # -1 to 1 over the square
    down, across = torch.meshgrid(line, line, indexing="ij")
    square = torch.stack([across, down], -1)
    grid = 2 * middle_K2[:, None, None] - 1 + square * side_K[:, None, None, None]
    points = functional.grid_sample(
        x_M3YX[frame_K], grid, padding_mode="border", align_corners=False
    )
    return functional.avg_pool2d(points, 2)
