"""Pictures of reconstructions, for a logger or a folder."""

import torch
from PIL import Image
from torch import Tensor


def reconstruction_grid(video: Tensor, target: Tensor, clips: int = 4, frames: int = 4) -> Tensor:
    """uint8 `[3, rows, columns]`: the original, reconstruction and error (times 4) of each clip.

    Both videos are float `[B, 3, F, Y, X]` in [-1, 1]; the frames shown are spread evenly over the
    clip.
    """
    shown = torch.linspace(0, video.shape[2] - 1, min(frames, video.shape[2])).round().long()
    a, b = (x[:clips].detach().float().cpu()[:, :, shown].clamp(-1, 1) for x in (target, video))
    error = ((b - a).abs() * 4 - 1).clamp(-1, 1)
    bands = torch.stack([a, b, error], dim=1)  # [B, 3 rows, 3 colours, F, Y, X]
    B, R, C, F, Y, X = bands.shape
    grid = bands.permute(2, 0, 1, 4, 3, 5).reshape(C, B * R * Y, F * X)
    return ((grid + 1) * 127.5).round().to(torch.uint8)


def as_image(grid: Tensor) -> Image.Image:
    """The picture uint8 `[3, rows, columns]` as an image in RGB."""
    return Image.fromarray(grid.permute(1, 2, 0).contiguous().numpy())
