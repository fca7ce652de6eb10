"""Resizing as published code does it: the filters have the same names everywhere and differ.

Legend: N frames, C colours, Y X pixels.
"""

from __future__ import annotations

import math

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from ..protocols import FILTERS


def resize(frames_NCYX: Tensor, size: tuple[int, int], kind: str = "bilinear") -> Tensor:
    """Frames scaled to `size` (height, width), float32, in the range of the input.

    Args:
        frames_NCYX: uint8, or float.
        size: height and width of the result.
        kind: "bilinear" as PyTorch does (`align_corners=False`, pixel centres, no smoothing when it
            shrinks), "bilinear-tf1" as TensorFlow 1 does (`tf.image.resize_bilinear`: pixels'
            corners, which shifts the picture), "bilinear-antialiased", "bicubic" and "area" of
            PyTorch, "lanczos" of Pillow (uint8 only).

    Raises:
        ValueError: another kind, or "lanczos" of floats.
    """
    if kind not in FILTERS:
        raise ValueError(f"the filter must be one of {', '.join(FILTERS)}; got {kind!r}")
    if tuple(frames_NCYX.shape[2:]) == tuple(size):
        return frames_NCYX.float()
    if kind == "lanczos":
        return _lanczos(frames_NCYX, size)
    frames = frames_NCYX.float()
    if kind == "bilinear-tf1":
        return _corner_bilinear(_corner_bilinear(frames, size[0], 2), size[1], 3)
    if kind == "area":
        return functional.interpolate(frames, size, mode="area")
    smooth = kind == "bilinear-antialiased"
    mode = "bicubic" if kind == "bicubic" else "bilinear"
    return functional.interpolate(frames, size, mode=mode, align_corners=False, antialias=smooth)


def _corner_bilinear(frames_NCYX: Tensor, length: int, axis: int) -> Tensor:
    """Along one axis, where output pixel i lies at i * old / new."""
    old = frames_NCYX.shape[axis]
    place = torch.arange(length, dtype=torch.float32, device=frames_NCYX.device) * (old / length)
    low = place.floor().long().clamp(max=old - 1)
    high = (low + 1).clamp(max=old - 1)
    shape = [1, 1, 1, 1]
    shape[axis] = length
    share = (place - low).view(shape)
    below = frames_NCYX.index_select(axis, low)
    return below + (frames_NCYX.index_select(axis, high) - below) * share


def _lanczos(frames_NCYX: Tensor, size: tuple[int, int]) -> Tensor:
    if frames_NCYX.dtype != torch.uint8:
        raise ValueError("lanczos is Pillow's filter and needs uint8 frames")
    height, width = size
    scaled = []
    for frame_CYX in frames_NCYX.cpu():
        picture = Image.fromarray(frame_CYX.permute(1, 2, 0).numpy())
        small = picture.resize((width, height), Image.Resampling.LANCZOS)
        pixels = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8)
        scaled.append(pixels.view(height, width, -1).permute(2, 0, 1))
    return torch.stack(scaled).float()


def fit(
    frames_NCYX: Tensor,
    side: int | tuple[int, int],
    kind: str,
    crop: str = "centre",
    crop_first: bool = False,
) -> Tensor:
    """Frames as squares of `side` pixels (or of another height and width), float32.

    `crop` "none" squeezes the whole picture; "centre" keeps proportions: the middle square is cut
    out after scaling the shorter side (up, as published code does: the longer side is rounded up),
    or before it with `crop_first`.
    """
    Y, X = frames_NCYX.shape[2:]
    if isinstance(side, tuple):
        return _cover(frames_NCYX, side, kind)
    if crop == "none":
        return resize(frames_NCYX, (side, side), kind)
    if crop_first:
        return resize(_middle(frames_NCYX, min(Y, X)), (side, side), kind)
    scale = side / min(Y, X)
    size = (side, math.ceil(X * scale)) if Y < X else (math.ceil(Y * scale), side)
    return _middle(resize(frames_NCYX, size, kind), side)


def _cover(frames_NCYX: Tensor, size: tuple[int, int], kind: str) -> Tensor:
    """Scaled, with its proportions, to cover a height and width; the rest is cut off."""
    Y, X = frames_NCYX.shape[2:]
    scale = max(size[0] / Y, size[1] / X)
    larger = (max(size[0], round(Y * scale)), max(size[1], round(X * scale)))
    return _middle(resize(frames_NCYX, larger, kind), *size)


def _middle(frames_NCYX: Tensor, height: int, width: int | None = None) -> Tensor:
    width = height if width is None else width
    top = (frames_NCYX.shape[2] - height) // 2
    left = (frames_NCYX.shape[3] - width) // 2
    return frames_NCYX[:, :, top : top + height, left : left + width]
