"""The small networks of the judge of pictures: one for single frames, one for courses in time.

Facts of these networks
- FrameNet is a convolutional hourglass on pictures of 64 x 64 pixels. For every second pixel it
  says whether an object is there, where that object's centre lies, and what the object is (as in
  Panoptic-DeepLab, Cheng et al. 2020); for the whole picture ground, light, weather, style, place
  and the pose of the camera. It never sees two frames at once.
- CloseUpNet (`close_ups`) reads the look of each object that FrameNet found, from nearer.
- CourseNet reads one course in time: of an object, of a pair of objects, or of the camera. It sees
  no picture, and a clip can have any number of frames.

Legend: M frames of any clips, Y X places of a map (half the picture's), K courses, F frames,
D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ..colours import BASIC
from ..scene import GROUNDS, MATERIALS, PLACES, SHAPES, SIZES, STYLES, TIMES, WEATHERS

TURN = 14  # numbers that say how an object is turned, see `targets.turned`
POSE = 6  # of the camera, see `targets.pose_of`

# What a place of a map says, and of how many numbers.
PIXEL_HEADS = {
    "object": 1,
    "centre": 1,  # how near the middle of an object is
    "offset": 2,  # to that middle, across and down, as shares of the picture
    "shape": len(SHAPES),
    "material": len(MATERIALS),
    "size": len(SIZES),
    "colour": len(BASIC) + 1,  # the last is every other colour
    "ahead": 1,  # logarithm of metres along the view
    "turn": TURN,
}
FRAME_HEADS = {
    "ground": len(GROUNDS),
    "time": len(TIMES),
    "weather": len(WEATHERS),
    "style": len(STYLES),
    "place": len(PLACES),
    "pose": POSE,
}


@dataclass(frozen=True)
class PixelJudgeConfig:
    """Widths of the networks, and the thresholds of what counts as there."""

    LIMITS: ClassVar = {
        "size": (16, 1024),
        "channels": (8, 4096),
        "near": (8, 1024),
        "near_channels": (8, 4096),
        "course_channels": (1, 4096),
        "centre": (0, 1),
        "min_pixels": (1, 1 << 20),
        "min_share": (0, 1),
        "touch": (0, 1),
    }

    size: int = 64  # pictures of another size are resized to this
    channels: tuple[int, int, int] = (32, 64, 96)
    near: int = 48  # pixels a side of a close-up of an object
    near_channels: tuple[int, int, int] = (32, 64, 96)
    course_channels: int = 64
    centre: float = 0.2  # the least value of a peak in the map of middles
    min_pixels: int = 6  # places of the map; fewer are a stain, not an object
    min_share: float = 0.2  # share of frames in which an object must be seen
    touch: float = 0.5  # chance of a touch that counts


class FrameNet(nn.Module):
    """Maps of objects, and what holds for the whole picture, from pictures in [-1, 1]."""

    def __init__(self, config: PixelJudgeConfig) -> None:
        super().__init__()
        a, b, c = config.channels
        self.enter = nn.Sequential(nn.PixelUnshuffle(2), conv(12, a), conv(a, a))
        self.down1 = nn.Sequential(conv(a, b, stride=2), conv(b, b))
        self.down2 = nn.Sequential(conv(b, c, stride=2), conv(c, c), conv(c, c))
        self.up1 = nn.Conv2d(c, b, 1)
        self.mix1 = nn.Sequential(conv(b, b), conv(b, b))
        self.up2 = nn.Conv2d(b, a, 1)
        self.mix2 = conv(a, 2 * a)
        self.pixels = nn.Conv2d(2 * a, sum(PIXEL_HEADS.values()), 1)
        grid = (config.size // 8) ** 2
        self.squeeze = nn.Sequential(
            nn.Conv2d(c, 16, 1), nn.Flatten(), nn.Linear(16 * grid, 96), nn.GELU()
        )
        # a mean over the picture of what is fine shows weather and style
        self.whole = nn.Linear(96 + a + b, sum(FRAME_HEADS.values()))

    def forward(self, x_M3YX: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Maps [M, n, Y, X] by PIXEL_HEADS, and rows [M, n] by FRAME_HEADS."""
        fine, middle, coarse = self.encode(x_M3YX)
        flat = [x.mean((2, 3)) for x in (fine, middle)]
        whole = self.whole(torch.cat([self.squeeze(coarse), *flat], 1)).float()
        middle = self.mix1(middle + functional.interpolate(self.up1(coarse), scale_factor=2.0))
        fine = self.mix2(fine + functional.interpolate(self.up2(middle), scale_factor=2.0))
        maps = self.pixels(fine).float()
        pixels = dict(zip(PIXEL_HEADS, maps.split(list(PIXEL_HEADS.values()), 1), strict=True))
        frames = dict(zip(FRAME_HEADS, whole.split(list(FRAME_HEADS.values()), 1), strict=True))
        return pixels, frames

    def encode(self, x_M3YX: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Feature maps at a half, a quarter and an eighth of the size."""
        fine = self.enter(x_M3YX)
        middle = self.down1(fine)
        return fine, middle, self.down2(middle)


class CourseNet(nn.Module):
    """Dilated convolutions over 61 frames of standardised features [K, F, D].

    It gives numbers for each frame [K, F, `frame_outputs`], and from the mean and the maximum over
    the frames that count [K, F] numbers for the whole [K, `outputs`].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, features: int, channels: int, frame_outputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))
        self.begin = nn.Linear(features, channels)
        self.convs = nn.ModuleList(
            nn.Conv1d(channels, channels, 5, padding=2 * step, dilation=step)
            for step in (1, 2, 4, 8)
        )
        self.each = nn.Linear(channels, frame_outputs)
        self.middle = nn.Linear(2 * channels, channels)
        self.whole = nn.Linear(channels, outputs)

    def forward(self, x_KFD: Tensor, valid_KF: Tensor) -> tuple[Tensor, Tensor]:
        counts = valid_KF[..., None].float()
        x = self.begin((x_KFD - self.mean) / self.std * counts) * counts
        for conv in self.convs:
            change = conv(functional.gelu(x).transpose(1, 2)).transpose(1, 2)
            x = (x + change) * counts
        mean = x.sum(1) / counts.sum(1).clamp_min(1)
        most = torch.where(valid_KF[..., None], x, -1e4).amax(1)
        whole = functional.gelu(self.middle(torch.cat([mean, most], -1)))
        return self.each(functional.gelu(x)), self.whole(whole)


def resized(frames_M3YX: Tensor, size: int) -> Tensor:
    """uint8 frames as networks see them: in [-1, 1], of `size` pixels a side."""
    x = frames_M3YX.float() / 127.5 - 1
    if x.shape[-2:] != (size, size):
        x = functional.interpolate(x, (size, size), mode="bilinear", antialias=True)
    return x


def conv(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    """A layer of 3 x 3; batch norm costs a processor little beside other norms, and nothing more
    than a scale once it is trained."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(),
    )
