"""Put the mark into pixels.

Every frame gets the same pattern, equally in red, green and blue: still cells stay still, a codec
keeps the pattern where nothing moves, and the detector may add up all frames, in any order and at
any rate. A pixel's change depends on its place alone, so that chunks and tiles give the same pixels
as the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .owner import Owner, owner_spectrum
from .pattern import draw, spectrum

OPEN_KEY = b"made by Kinetoscope"  # everyone knows it, so that everyone can check
DECIBELS = 45.0  # PSNR of the mark before rounding
OWNER_POWER = 0.4  # of the mark's power, where there is an owner


@dataclass(frozen=True)
class MarkState:
    """What `apply` hands from one chunk of a video to the next: the pattern of its pictures, in
    units of 1 / 255, for these settings."""

    pattern: Tensor
    settings: tuple[object, ...]


def apply(
    video: Tensor,
    state: MarkState | None = None,
    *,
    owner: Owner | None = None,
    decibels: float = DECIBELS,
    size: tuple[int, int] | None = None,
    corner: tuple[int, int] = (0, 0),
) -> tuple[Tensor, MarkState]:
    """Mark a video, a chunk of its frames or a tile of its pictures as made by a model.

    Args:
        video: float `[..., 3, F, Y, X]` in [-1, 1], or uint8.
        state: what the chunk before returned; it saves making the pattern again.
        owner: also write 16 bits that only the holder of this key can read.
        decibels: PSNR of the marked video against the unmarked one, before rounding to uint8.
        size: (height, width) of the whole picture, where `video` is a tile of it.
        corner: (top, left) of that tile.

    Returns:
        The marked video, of the same type and shape, and the state for the next chunk.

    Raises:
        ValueError: for other shapes and types, and tiles that lie outside of the picture.
    """
    check_video(video)
    rows, columns = video.shape[-2:]
    height, width = size or (rows, columns)
    top, left = corner
    if top < 0 or left < 0 or top + rows > height or left + columns > width:
        raise ValueError(
            f"a tile of {rows} x {columns} at {top}, {left} does not lie in a picture of "
            f"{height} x {width}"
        )
    settings = (owner, decibels, height, width, rows, columns, top, left, video.device)
    if state is None or state.settings != settings:
        # The whole picture is drawn, so that a tile gets the same numbers bit for bit.
        whole = _pattern(owner, decibels, height, width)
        tile = whole[top : top + rows, left : left + columns].contiguous()
        state = MarkState(tile.to(video.device), settings)
    return _add(video, state.pattern), state


class Mark:
    """Marks the chunks of one video in their order: `mark(chunk) -> chunk`, of the types and shapes
    of `apply`."""

    def __init__(self, owner: Owner | None = None, decibels: float = DECIBELS) -> None:
        self.owner = owner
        self.decibels = decibels
        self._state: MarkState | None = None

    def __call__(self, chunk: Tensor) -> Tensor:
        marked, self._state = apply(chunk, self._state, owner=self.owner, decibels=self.decibels)
        return marked


def check_video(video: Tensor) -> None:
    """Raise ValueError unless a tensor has the shape and type of a video."""
    right_type = video.dtype == torch.uint8 or video.is_floating_point()
    if not right_type or video.ndim < 4 or video.shape[-4] != 3:
        raise ValueError(
            "a video must be uint8, or float in [-1, 1], of shape [..., 3, frames, height, width]; "
            f"got {video.dtype} {list(video.shape)}"
        )


def _pattern(owner: Owner | None, decibels: float, height: int, width: int) -> Tensor:
    strength = 255 * 10 ** (-decibels / 20)
    opened = draw(spectrum(OPEN_KEY), height, width)
    if owner is None:
        return strength * opened
    private = draw(owner_spectrum(owner), height, width)
    return strength * ((1 - OWNER_POWER) ** 0.5 * opened + OWNER_POWER**0.5 * private)


def _add(video: Tensor, pattern_YX: Tensor) -> Tensor:
    if video.dtype != torch.uint8:
        return video.add(pattern_YX.to(video.dtype) / 127.5).clamp_(-1, 1)
    # A whole number and the pattern round to the number plus the rounded pattern. Bytes take a
    # quarter of the time of floats; what would pass 0 or 255 stops there.
    whole = pattern_YX.round().clamp(-255, 255)
    darker = whole.neg().clamp_min(0).to(torch.uint8)
    lighter = whole.clamp_min(0).to(torch.uint8)
    lowered = torch.maximum(video, darker).sub_(darker)
    return torch.minimum(lowered, 255 - lighter).add_(lighter)
