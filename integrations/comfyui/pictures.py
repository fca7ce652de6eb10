"""Between ComfyUI's pictures, float [F, Y, X, 3] in [0, 1], and clips [B, 3, F, Y, X] in [-1, 1].

Legend: F Y X frames and pixels, k frames per latent.
"""

from __future__ import annotations

from kinetoscope.data.video.pixels import scaled_to_fill
from torch import Tensor


def to_clip(pictures_FYX3: Tensor, size: tuple[int, int] | None = None, k: int = 1) -> Tensor:
    """A clip [1, 3, F, Y, X].

    Args:
        size: the middle of each picture is scaled to fill it; None leaves pictures as they are.
        k: F becomes 1 plus a multiple of it; the last frames are taken.
    """
    frames = pictures_FYX3[..., :3].float().permute(0, 3, 1, 2)
    usable = (len(frames) - 1) // k * k + 1
    frames = frames[-usable:]
    if size is not None:
        frames = scaled_to_fill(frames, size)
    return frames.clamp(0, 1).transpose(0, 1)[None] * 2 - 1


def to_pictures(clip_B3FYX: Tensor) -> Tensor:
    """Pictures [F, Y, X, 3] of a clip of one video."""
    return (clip_B3FYX[0].permute(1, 2, 3, 0).float().cpu() / 2 + 0.5).clamp(0, 1).contiguous()
