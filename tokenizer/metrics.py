"""Measures of the quality of a tokenizer.

Legend: B batch, T H W latent grid, Q codebooks of a cell, F Y X frames and pixels, k frames per
latent, p patch side, V codebook size. Videos are float `[B, 3, F, Y, X]` in [-1, 1]; measures of
quality come per clip, `[B]`.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

PEAK = 2.0  # from -1 to 1


def psnr(video: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in dB, `[B]`; 100 at most, so that a perfect clip does not turn a
    mean into infinity.

    With a mask `[B, 1, F, Y, X]` only its pixels count; a clip without any gives NaN (take
    `nanmean`).
    """
    error = (video.float().clamp(-1, 1) - target.float()).square().mean(1, keepdim=True).flatten(1)
    if mask is None:
        mean = error.mean(1)
    else:
        inside = mask.to(error.dtype).flatten(1)
        mean = (error * inside).sum(1) / inside.sum(1)
    return 10 * torch.log10(PEAK**2 / mean.clamp_min(PEAK**2 * 1e-10))


def ssim(video: Tensor, target: Tensor) -> Tensor:
    """Structural similarity, `[B]`, mean over frames and colours (Wang et al. 2004: Gaussian window
    of 11, sigma 1.5).

    Frames smaller than the window get a window of their own size.
    """
    # variances are differences of squares: half precision turns them into noise
    with torch.autocast(video.device.type, enabled=False):
        Y, X = video.shape[-2:]
        a, b = (
            ((x.float().clamp(-1, 1) + 1) / 2).movedim(2, 1).reshape(-1, 1, Y, X)
            for x in (video, target)
        )
        mean_a = _blur(a)
        mean_b = _blur(b)
        var_a = _blur(a * a) - mean_a.square()
        var_b = _blur(b * b) - mean_b.square()
        covariance = _blur(a * b) - mean_a * mean_b
        c1 = 0.01**2
        c2 = 0.03**2
        luminance = (2 * mean_a * mean_b + c1) / (mean_a.square() + mean_b.square() + c1)
        contrast = (2 * covariance + c2) / (var_a + var_b + c2)
        return (luminance * contrast).reshape(len(video), -1).mean(1)


def _blur(images: Tensor) -> Tensor:
    """Gaussian window over `[N, 1, Y, X]`, without padding."""
    for side, shape in ((images.shape[-2], (1, 1, -1, 1)), (images.shape[-1], (1, 1, 1, -1))):
        size = min(11, side)
        position = torch.arange(size, device=images.device, dtype=images.dtype) - (size - 1) / 2
        window = torch.exp(-position.square() / (2 * 1.5**2))
        images = functional.conv2d(images, (window / window.sum()).view(shape))
    return images


def bits_per_pixel(
    indices: Tensor, codebook_size: int, num_frames: int, height: int, width: int
) -> float:
    """Bits per pixel that the codes of one video take, `[B, T, H, W]` or `[B, T, H, W, q]`."""
    return math.log2(codebook_size) * indices[0].numel() / (num_frames * height * width)


def still_cells(
    video: Tensor, frames_per_latent: int, patch: int, tolerance: float = 1 / 255
) -> Tensor:
    """Cells whose pixels stay the same from one latent frame to the next, bool `[B, T-1, H, W]`.

    F must be 1 + k(T - 1), and Y and X multiples of the patch. `tolerance` is in units of video in
    [-1, 1].
    """
    k = frames_per_latent
    p = patch
    first = video[:, :, :1].expand(-1, -1, k - 1, -1, -1)
    groups = torch.cat([first, video], dim=2).unflatten(2, (-1, k))
    reference = groups[:, :, :-1, -1:]
    changes = torch.maximum(
        (groups[:, :, 1:] - reference).abs().amax((1, 3)),
        (groups[:, :, :-1] - reference).abs().amax((1, 3)),
    )
    cells = changes.unflatten(-1, (-1, p)).unflatten(-3, (-1, p)).amax((-3, -1))
    return cells <= tolerance


def calm_rate(indices: Tensor, still: Tensor) -> float:
    """Share of still cells `[B, T-1, H, W]` whose code stays the same too; NaN without still cells.

    Indices are `[B, T, H, W]`, or `[B, T, H, W, q]`, where all codebooks must stay the same.
    """
    same = indices[:, 1:] == indices[:, :-1]
    if same.dim() == 5:
        same = same.all(-1)
    return float((same & still).sum() / still.sum())


class CodeUsage:
    """Counts the codes of one codebook: how many of V were used, and how evenly (perplexity)."""

    def __init__(self, codebook_size: int) -> None:
        self.counts = torch.zeros(codebook_size, dtype=torch.int64)

    def update(self, indices: Tensor) -> None:
        self.counts += torch.bincount(indices.flatten().cpu(), minlength=len(self.counts))

    def reset(self) -> None:
        self.counts.zero_()

    @property
    def used(self) -> int:
        return int((self.counts > 0).sum())

    @property
    def perplexity(self) -> float:
        """Exponential of the entropy of the codes counted so far; 1 if there are none."""
        share = self.counts[self.counts > 0].double()
        share = share / share.sum()
        return float(torch.exp(-(share * share.log()).sum()))
