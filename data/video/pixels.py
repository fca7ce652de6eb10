"""From a decoded frame to the pixels that a viewer would see: padding off, transparency laid on a
background, square pixels, upright, scaled and cut."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import av
import numpy as np
import torch
from av.sidedata.sidedata import SideDataContainer
from av.video.reformatter import Interpolation, VideoReformatter
from torch import Tensor
from torch.nn import functional

from .frames import VideoSource

# else colours lose half their columns
FULL_COLOUR = Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND
UNIT = 1 << 16  # 1.0 in a display matrix
WHITE = "white"


def background_colour(name: str) -> tuple[int, int, int]:
    """Red, green and blue of a colour such as "white" or "#20c0ff". ValueError if there is none
    of this name."""
    if name == WHITE:
        return 255, 255, 255
    from PIL import ImageColor

    try:
        return ImageColor.getrgb(name)[:3]
    except ValueError:
        raise ValueError(
            f"background must be a colour such as white, black or #20c0ff; got {name!r}"
        ) from None


@dataclass(frozen=True)
class View:
    """What is cut out of a picture; see `read_clip`."""

    size: int | tuple[int, int] | None
    crop: tuple[float, float]
    zoom: float

    def scaled(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """(height, width) of the whole picture after scaling, and of the window cut out of it."""
        if self.size is None:
            return (height, width), (height, width)
        if isinstance(self.size, int):
            scale = self.size / min(height, width)
            whole = (
                max(self.size, round(height * scale)),
                max(self.size, round(width * scale)),
            )
            return whole, whole
        scale = max(self.size[0] / height, self.size[1] / width) * self.zoom
        whole = (
            max(self.size[0], round(height * scale)),
            max(self.size[1], round(width * scale)),
        )
        return whole, self.size


@dataclass(frozen=True)
class Turn:
    """How a decoded picture is brought upright: transposed, then mirrored; and by what angle
    (degrees clockwise) it is turned inside its frame where the angle is none of a right one."""

    transpose: bool = False
    flip_y: bool = False
    flip_x: bool = False
    degrees: float = 0.0


class Renderer:
    """Turns the frames of one video into tensors."""

    def __init__(self, source: VideoSource, background: str, threads: int = 0) -> None:
        self.source = source
        self.background = background_colour(background)
        self.threads = threads
        self._reformatter = VideoReformatter()  # sets up filters once for all frames
        self._turn: Turn | None = None

    def size(self, frame: Any) -> tuple[int, int]:
        """Height and width as a viewer shows the frame."""
        height, width = self._unpadded_size(frame)
        width = max(1, round(width * self.source.aspect))
        return (width, height) if self._turn_of(frame).transpose else (height, width)

    def tensor(self, frame: Any, view: View) -> Tensor:
        """uint8 `[3, Y, X]` of one frame."""
        turn = self._turn_of(frame)
        whole, window = view.scaled(*self.size(frame))
        height, width = whole[::-1] if turn.transpose else whole
        image_YX3 = self._scaled(self._plain(frame), height, width)
        if turn.degrees:
            image_YX3 = _slanted(image_YX3, turn.degrees)
        image_3YX = torch.from_numpy(image_YX3).permute(2, 0, 1)
        image_3YX = image_3YX.transpose(1, 2) if turn.transpose else image_3YX
        flips = [axis for axis, flip in ((1, turn.flip_y), (2, turn.flip_x)) if flip]
        image_3YX = image_3YX.flip(flips) if flips else image_3YX
        top, left = (round((whole[axis] - window[axis]) * view.crop[axis]) for axis in (0, 1))
        return image_3YX[:, top : top + window[0], left : left + window[1]]

    def _unpadded_size(self, frame: Any) -> tuple[int, int]:
        """Height and width without the row or column that `VideoWriter` added to an odd size."""
        if self.source.own_size is None:
            return frame.height, frame.width
        width, height = self.source.own_size
        if (frame.width - width, frame.height - height) not in {(0, 1), (1, 0), (1, 1)}:
            return frame.height, frame.width  # re-encoded by another program since
        return height, width

    def _plain(self, frame: Any) -> Any:
        """The frame without padding and transparency."""
        height, width = self._unpadded_size(frame)
        is_padded = (height, width) != (frame.height, frame.width)
        if _has_alpha(frame.format.name):
            pixels = frame.to_ndarray(format="rgba")
            is_clear = pixels[:, :, 3].min() < 255
            pixels = self._laid_on_background(pixels) if is_clear else pixels[:, :, :3]
        elif is_padded:
            pixels = frame.to_ndarray(format="rgb24")
        else:
            return frame
        pixels = np.ascontiguousarray(pixels[:height, :width])
        return av.VideoFrame.from_ndarray(pixels, format="rgb24")

    def _laid_on_background(self, pixels_YX4: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        from PIL import Image

        image = Image.fromarray(pixels_YX4)
        below = Image.new("RGBA", image.size, (*self.background, 255))
        return np.asarray(Image.alpha_composite(below, image).convert("RGB"))

    def _scaled(self, frame: Any, height: int, width: int) -> np.ndarray[Any, Any]:
        shrinks = height < frame.height or width < frame.width
        interpolation = (Interpolation.AREA if shrinks else Interpolation.BICUBIC) | FULL_COLOUR
        scaled = self._reformatter.reformat(
            frame, width, height, "rgb24", interpolation=interpolation, threads=self.threads
        )
        return np.asarray(scaled.to_ndarray())

    def _turn_of(self, frame: Any) -> Turn:
        if self._turn is None:
            self._turn = _turn(_display_matrix(frame))
        return self._turn


def _slanted(image_YX3: np.ndarray[Any, Any], degrees: float) -> np.ndarray[Any, Any]:
    from PIL import Image

    image = Image.fromarray(image_YX3)
    return np.array(image.rotate(-degrees, resample=Image.Resampling.BILINEAR))


@lru_cache
def _has_alpha(pixel_format: str) -> bool:
    components = av.VideoFormat(pixel_format).components
    return any(component.is_alpha for component in components)


def _display_matrix(frame: Any) -> tuple[int, ...]:
    """The first two rows of the matrix that says how a frame is shown, [a b u; c d v] of a column
    (x, y): x' = a x + c y, y' = b x + d y."""
    try:
        # `frame.side_data` would make the frame refer to itself: its pixels would then stay until
        # Python next looks for such garbage, which over many files is a lot of memory
        container: Any = SideDataContainer  # its stub does not know what it takes
        matrix = container(frame).get("DISPLAYMATRIX")
        values = struct.unpack("=9i", bytes(matrix)) if matrix is not None else None
    except ValueError:  # side data of a kind that PyAV does not know
        values = None
    if values is not None:
        return values[0], values[1], values[3], values[4]
    angle = math.radians(frame.rotation)  # counterclockwise
    a, b = round(math.cos(angle) * UNIT), round(-math.sin(angle) * UNIT)
    return a, b, -b, a


def _turn(matrix: tuple[int, ...]) -> Turn:
    """What FFmpeg's players do with a display matrix."""
    a, b, c, d = matrix
    theta = math.degrees(math.atan2(b, a)) % 360  # clockwise
    nearest = round(theta / 90) % 4
    if min(theta % 90, 90 - theta % 90) > 1:
        return Turn(degrees=theta)
    if nearest % 2:
        return Turn(transpose=True, flip_y=b < 0, flip_x=c < 0)
    return Turn(flip_y=d < 0, flip_x=a < 0)


def scaled_to_fill(frames_F3YX: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of pictures, float [F, 3, Y, X], scaled so that they fill a height and width."""
    Y, X = frames_F3YX.shape[2:]
    scale = max(size[0] / Y, size[1] / X)
    large = (max(size[0], round(Y * scale)), max(size[1], round(X * scale)))
    if large != (Y, X):
        frames_F3YX = functional.interpolate(
            frames_F3YX, large, mode="bicubic", antialias=True, align_corners=False
        )
    top, left = ((have - want) // 2 for have, want in zip(large, size))
    return frames_F3YX[..., top : top + size[0], left : left + size[1]]


def to_uint8(video: Tensor) -> Tensor:
    """Float video in [-1, 1] (clamped) to uint8."""
    return video.float().add(1.0).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def to_float(video: Tensor) -> Tensor:
    """uint8 video to float32 in [-1, 1]."""
    return video.to(torch.float32, copy=True).div_(127.5).sub_(1.0)
