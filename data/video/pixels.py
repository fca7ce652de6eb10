"""From a decoded frame to the pixels that a viewer would see: padding off, square pixels,
upright, scaled and cut."""

from __future__ import annotations

from typing import Any

import av
import torch
from av.video.reformatter import Interpolation
from torch import Tensor

from .write import SIZE_TAG

# else colours lose half their columns
FULL_COLOUR = Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND


def unpadded(container: Any, frame: Any) -> Any:
    """The frame without the row or column that `VideoWriter` added to an odd size."""
    width, _, height = container.metadata.get(SIZE_TAG, "").partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        return frame
    if (frame.width - int(width), frame.height - int(height)) not in {(0, 1), (1, 0), (1, 1)}:
        return frame  # re-encoded by another program since
    pixels = frame.to_ndarray(format="rgb24")[: int(height), : int(width)]
    return av.VideoFrame.from_ndarray(pixels.copy(), format="rgb24")


def shown_size(stream: Any, frame: Any) -> tuple[int, int]:
    """Height and width as a viewer shows the frame: square pixels, rotation applied."""
    width = max(1, round(frame.width * float(stream.sample_aspect_ratio or 1)))
    return (width, frame.height) if frame.rotation % 180 else (frame.height, width)


def to_tensor(
    frame: Any,
    shown: tuple[int, int],
    size: int | tuple[int, int] | None,
    crop: tuple[float, float],
    zoom: float,
) -> Tensor:
    """uint8 `[3, Y, X]` of one frame, scaled, turned and cut."""
    height, width = shown
    if size is None:
        scaled = window = shown
    elif isinstance(size, int):
        scale = size / min(shown)
        scaled = window = (max(size, round(height * scale)), max(size, round(width * scale)))
    else:
        scale = max(size[0] / height, size[1] / width) * zoom
        scaled = (max(size[0], round(height * scale)), max(size[1], round(width * scale)))
        window = size
    turned = frame.rotation % 180 != 0
    frame_height, frame_width = scaled[::-1] if turned else scaled
    shrinks = frame_height < frame.height or frame_width < frame.width
    interpolation = (Interpolation.AREA if shrinks else Interpolation.BICUBIC) | FULL_COLOUR
    pixels = frame.reformat(
        frame_width, frame_height, "rgb24", interpolation=interpolation
    ).to_ndarray()
    image_3YX = torch.from_numpy(pixels).permute(2, 0, 1)
    image_3YX = torch.rot90(image_3YX, round(frame.rotation / 90), dims=(1, 2))
    top, left = (round((scaled[axis] - window[axis]) * crop[axis]) for axis in (0, 1))
    return image_3YX[:, top : top + window[0], left : left + window[1]]
