"""Checks of the arguments of the tokenizer, with errors that name the number and the way out.

Legend: B batch, F Y X frames and pixels, t H W latent grid, q codebooks of a cell.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

OVERSHOOT = 1.5


def as_tensor(value: Any, name: str) -> Tensor:
    """A tensor, or numpy's array as one. ValueError for anything else."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return torch.from_numpy(np.require(value, requirements=["C", "W"]))
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} must be a tensor or an array; got {type(value).__name__}")
    return value


def check_weights(weight: Tensor) -> None:
    """ValueError unless weights are float32: half precision merges neighbouring codes."""
    if weight.dtype != torch.float32:
        raise ValueError(
            f"a tokenizer computes in float32, and these weights are {weight.dtype}; call "
            "tokenizer.float()"
        )


def check_video(video: Tensor) -> None:
    """ValueError unless `video` is floating point `[B, 3, F, Y, X]` and not empty."""
    if video.dim() != 5 or video.shape[1] != 3 or 0 in video.shape:
        raise ValueError(
            f"video must be [B, 3, F, Y, X], none of them 0; got shape {list(video.shape)}"
        )
    if not video.is_floating_point():
        raise ValueError(
            f"video must be floating point in [-1, 1]; got {video.dtype}; use video / 127.5 - 1"
        )


def check_range(video: Tensor) -> None:
    """ValueError unless pixels are in [-1, 1]; resampling may overshoot up to `OVERSHOOT`."""
    low, high = video.aminmax()
    if not -OVERSHOOT <= low <= high <= OVERSHOOT:  # false for NaN too
        raise ValueError(
            f"pixels must be in [-1, 1]; got {low:.4g} to {high:.4g}; use video / 127.5 - 1 for "
            "those from 0 to 255"
        )


def check_indices(indices: Tensor, rates: int) -> None:
    """ValueError unless `indices` are `[B, t, H, W]`, or `[B, t, H, W, q]` with several `rates`."""
    fits = (
        indices.dim() == 4 if rates == 1 else indices.dim() == 5 and 1 <= indices.shape[-1] <= rates
    )
    if not fits or indices.shape[1] < 1:
        wanted = "[B, t, H, W]" if rates == 1 else f"[B, t, H, W, q] with q from 1 to {rates}"
        raise ValueError(
            f"indices must be {wanted}, and t at least 1; got shape {list(indices.shape)}"
        )


def check_table(indices: Tensor, codebook_size: int) -> None:
    """ValueError unless every code is one of a table of `codebook_size`."""
    if indices.numel() == 0:
        return
    for code in indices.aminmax():
        if not 0 <= code < codebook_size:
            raise ValueError(f"codes run from 0 to {codebook_size - 1}; got {int(code)}")


def check_same_size(before: Tensor, now: Tensor) -> None:
    """ValueError unless two padded chunks `[B, 3, F, Y, X]` of one video have the same size."""
    if before.shape[3:] != now.shape[3:]:
        first, then = (" x ".join(map(str, chunk.shape[3:])) for chunk in (before, now))
        raise ValueError(
            f"pictures of one video must have one size; after {first} (padded) came {then}"
        )


def check_tile(tile: int | None, smallest: int) -> None:
    """ValueError if a tile is narrower than a pixel, or than its halo, which would be wasteful."""
    if tile is not None and tile < max(1, smallest):
        raise ValueError(
            f"tile is the side of a tile in pixels and must be at least {max(1, smallest)}, as far "
            f"as the layers of this tokenizer see; got {tile}"
        )
