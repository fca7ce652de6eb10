"""Put the mark into pixels.

Every frame gets the same pattern, equally in red, green and blue: still cells stay still, a codec
keeps the pattern where nothing moves, and the detector may add up all frames, in any order and at
any rate. Pictures that are full of texture hide more and need more: they get it stronger. A pixel's
change depends on its place and on the texture of its own picture alone, so that chunks and tiles
give the same pixels as the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .owner import Owner, owner_spectrum
from .pattern import draw, spectrum

OPEN_KEY = b"made by Kinetoscope"  # everyone knows it, so that everyone can check
DECIBELS = 44.0  # PSNR of the mark before rounding
OWNER_POWER = 0.4  # of the mark's power, where there is an owner
MORE = 2.5  # decibels at most in pictures that are full of texture
STEPS = 10  # in which this is added
ROUGH = (18.0, 33.0)  # textures, of 255, at which the mark becomes stronger, and strongest
ACROSS = 160  # pixels of the square root of the area at which texture is looked at, about


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
    roughness: Tensor | None = None,
) -> tuple[Tensor, MarkState]:
    """Mark a video, a chunk of its frames or a tile of its pictures as made by a model.

    Args:
        video: float `[..., 3, F, Y, X]` in [-1, 1], or uint8.
        state: what the chunk before returned; it saves making the pattern again.
        owner: also write 16 bits that only the holder of this key can read.
        decibels: PSNR of the marked video against the unmarked one, before rounding to uint8; up to
            2.5 less in pictures that are full of texture.
        size: (height, width) of the whole picture, where `video` is a tile of it.
        corner: (top, left) of that tile.
        roughness: what `texture` says of the whole pictures, `[..., F]`; needed for tiles.

    Returns:
        The marked video, of the same type and shape, and the state for the next chunk.

    Raises:
        ValueError: for other shapes and types, tiles that lie outside of the picture, and tiles
            without the roughness of their pictures.
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
    if (rows, columns) != (height, width) and roughness is None:
        raise ValueError("a tile needs roughness, which `texture` tells of the whole pictures")
    settings = (owner, decibels, height, width, rows, columns, top, left, video.device)
    if state is None or state.settings != settings:
        # The whole picture is drawn, so that a tile gets the same numbers bit for bit.
        whole = _pattern(owner, decibels, height, width)
        tile = whole[top : top + rows, left : left + columns].contiguous()
        state = MarkState(tile.to(video.device), settings)
    gains = _gains(texture(video) if roughness is None else roughness)
    return _add(video, state.pattern, gains), state


def texture(video: Tensor) -> Tensor:
    """How rough each picture of a video `[..., 3, F, Y, X]` is: the mean difference of neighbours
    down and across in its green, in units of 1 / 255, float32 `[..., F]`."""
    check_video(video)
    height, width = video.shape[-2:]
    step = max(1, round((height * width) ** 0.5 / ACROSS))
    green = video.select(-4, 1)[..., ::step, ::step].float()
    rough = sum(green.diff(dim=axis).abs().mean((-2, -1)).nan_to_num() for axis in (-2, -1))
    assert isinstance(rough, Tensor)
    return rough if video.dtype == torch.uint8 else rough * 127.5


def _gains(roughness: Tensor) -> Tensor:
    """By how much the mark of each picture is stronger, in steps of a quarter of a decibel."""
    low, high = ROUGH
    share = ((roughness - low) / (high - low)).clamp(0, 1)
    return 10 ** ((share * STEPS).round() / STEPS * MORE / 20)


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


def _add(video: Tensor, pattern_YX: Tensor, gains: Tensor) -> Tensor:
    """Add the pattern to `[..., 3, F, Y, X]`, each picture with its own gain `[..., F]`."""
    different = gains.unique().tolist()
    if len(different) == 1:
        return _add_one(video, pattern_YX * different[0])
    marked = torch.empty_like(video)
    pictures = video.movedim(-4, -3)  # [..., F, 3, Y, X], as the gains are laid out
    for gain in different:
        here = gains == gain
        marked.movedim(-4, -3)[here] = _add_one(pictures[here], pattern_YX * gain)
    return marked


def _add_one(video: Tensor, pattern_YX: Tensor) -> Tensor:
    if video.dtype != torch.uint8:
        return video.add(pattern_YX.to(video.dtype) / 127.5).clamp_(-1, 1)
    # A whole number and the pattern round to the number plus the rounded pattern. Bytes take a
    # quarter of the time of floats; what would pass 0 or 255 stops there.
    whole = pattern_YX.round().clamp(-255, 255)
    darker = whole.neg().clamp_min(0).to(torch.uint8)
    lighter = whole.clamp_min(0).to(torch.uint8)
    lowered = torch.maximum(video, darker).sub_(darker)
    return torch.minimum(lowered, 255 - lighter).add_(lighter)
