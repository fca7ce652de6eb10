"""The three small networks of the judge: one for single frames, two for tracks of objects.

Facts of these networks
- FrameNet is a convolutional hourglass on 64x64 frames. It gives, per pixel, a colour (none or one
  of 8) and a shape, and per frame the pose of the camera on its known paths and the time of day. It
  never sees two frames at once.
- ObjectNet turns the track of a mask into places in metres and a motion. ContactNet reads from the
  places of two objects whether they touch. Neither sees a picture, and a clip can have any number
  of frames.

Legend: M frames of any clips, C colours + 1, S shapes, Y X pixels, K tracks, F frames, D features
of a track, E features of a pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ..scene import COLOURS, MOTIONS, SHAPES, TIMES

TRACK_FEATURES = 21
PAIR_FEATURES = 10
STATE = 4  # x, y, z and radius
POSE = 3  # pan, orbit, move in: each from -1 to 1 along its path


@dataclass(frozen=True)
class JudgeConfig:
    """Widths of the networks, and the thresholds of what counts as present."""

    LIMITS: ClassVar = {
        "size": (8, 1024),
        "channels": (1, 4096),
        "track_channels": (1, 4096),
        "min_pixels": (1, 1 << 20),
        "min_share": (0, 1),
        "touch_logit": (-100, 100),
    }

    size: int = 64  # pictures of another size are resized to this
    channels: tuple[int, int, int] = (32, 48, 64)
    track_channels: int = 48
    min_pixels: int = 30  # fewer pixels of a colour in a frame are a stain, not an object
    min_share: float = 0.5  # share of the frames in which an object must be seen
    # what counts as touching; above 0, since more pairs touch in the training set
    touch_logit: float = 1.0


class Looks(NamedTuple):
    """What FrameNet reads from frames: logits, and the pose of the camera."""

    colour_MCYX: Tensor
    shape_MSYX: Tensor
    pose_MP: Tensor
    time_MT: Tensor


class FrameNet(nn.Module):
    """Colour, shape, pose and time of day from one frame of 64x64 pixels in [-1, 1]."""

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        a, b, c = config.channels
        self.enter = nn.Sequential(nn.PixelUnshuffle(2), _conv(12, a), _conv(a, a))  # 32x32
        self.down1 = nn.Sequential(_conv(a, b, stride=2), _conv(b, b))  # 16x16
        self.down2 = nn.Sequential(_conv(b, c, stride=2), _conv(c, c), _conv(c, c))  # 8x8
        self.up1 = nn.Conv2d(c, b, 1)
        self.mix1 = _conv(b, b)
        self.up2 = nn.Conv2d(b, a, 1)
        self.mix2 = _conv(a, a)
        self.pixels = nn.Conv2d(a, 4 * (len(COLOURS) + 1 + len(SHAPES)), 1)
        grid = (config.size // 8) ** 2
        self.squeeze = nn.Sequential(
            nn.Conv2d(c, 12, 1), nn.Flatten(), nn.Linear(12 * grid, 48), nn.GELU()
        )
        self.whole = nn.Linear(48, POSE + len(TIMES))

    def forward(self, x_M3YX: Tensor) -> Looks:
        fine, middle, coarse = self.encode(x_M3YX)
        middle = self.mix1(middle + functional.interpolate(self.up1(coarse), scale_factor=2.0))
        fine = self.mix2(fine + functional.interpolate(self.up2(middle), scale_factor=2.0))
        pixels = functional.pixel_shuffle(self.pixels(fine), 2).float()
        whole = self.whole(self.squeeze(coarse)).float()
        return Looks(
            *pixels.split([len(COLOURS) + 1, len(SHAPES)], 1), *whole.split([POSE, len(TIMES)], 1)
        )

    def encode(self, x_M3YX: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Feature maps at a half, a quarter and an eighth of the size."""
        fine = self.enter(x_M3YX)
        middle = self.down1(fine)
        return fine, middle, self.down2(middle)

    def features(self, x_M3YX: Tensor) -> Tensor:
        """Frame features [M, channels[2]] for a Fréchet distance: the mean of the coarsest map."""
        return self.encode(x_M3YX)[2].float().mean((2, 3))


class TrackConvs(nn.Module):
    """Dilated convolutions over 29 frames of standardised features; invalid frames are zero."""

    mean: Tensor
    std: Tensor

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))
        self.convs = nn.ModuleList(
            nn.Conv1d(
                features if dilation == 1 else channels,
                channels,
                5,
                padding=2 * dilation,
                dilation=dilation,
            )
            for dilation in (1, 2, 4)
        )

    def forward(self, x_KFD: Tensor, valid_KF: Tensor) -> tuple[Tensor, Tensor]:
        """Features [K, channels, F]; their mean and maximum over valid frames [K, 2 channels]."""
        valid_K1F = valid_KF[:, None].float()
        x = ((x_KFD - self.mean) / self.std).clamp(-6, 6).transpose(1, 2) * valid_K1F
        for index, conv in enumerate(self.convs):
            y = functional.gelu(conv(x)) * valid_K1F
            x = y if index == 0 else x + y
        mean = x.sum(-1) / valid_K1F.sum(-1).clamp_min(1)
        return x, torch.cat([mean, x.masked_fill(valid_K1F == 0, -torch.inf).amax(-1)], -1)


class ObjectNet(nn.Module):
    """Track of one object to place and radius in metres [K, F, 4], and logits over MOTIONS."""

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        width = config.track_channels
        self.convs = TrackConvs(TRACK_FEATURES, width)
        self.direct = nn.Conv1d(TRACK_FEATURES, STATE, 1)
        self.state = nn.Sequential(
            nn.Conv1d(width, width, 1), nn.GELU(), nn.Conv1d(width, STATE, 1)
        )
        self.motion = nn.Sequential(
            nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, len(MOTIONS))
        )

    def forward(self, x_KFD: Tensor, valid_KF: Tensor) -> tuple[Tensor, Tensor]:
        x_KCF, pooled_KC = self.convs(x_KFD, valid_KF)
        plain = ((x_KFD - self.convs.mean) / self.convs.std).clamp(-6, 6).transpose(1, 2)
        return (self.state(x_KCF) + self.direct(plain)).transpose(1, 2), self.motion(pooled_KC)


class ContactNet(nn.Module):
    """Logit of "these two objects touch", from their distance in every frame."""

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        width = config.track_channels // 2
        self.convs = TrackConvs(PAIR_FEATURES, width)
        self.head = nn.Sequential(nn.Linear(2 * width + 1, width), nn.GELU(), nn.Linear(width, 1))

    def forward(self, x_KFE: Tensor, valid_KF: Tensor) -> Tensor:
        """Logits [K]; feature 0 is the gap between the two in metres."""
        closest = x_KFE[..., 0].masked_fill(~valid_KF, 9.0).amin(1, keepdim=True)
        pooled_KC = self.convs(x_KFE, valid_KF)[1]
        return self.head(torch.cat([pooled_KC, closest * 5], -1))[:, 0]


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GELU())
