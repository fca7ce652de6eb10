"""Losses of a reconstruction: plain functions of two videos, and their weighted sum.

Legend: B batch, C colours, F Y X frames and pixels. Videos are float `[B, 3, F, Y, X]` in [-1, 1],
pixel weights `[B, 1, F, Y, X]`.

Squared error is the main term, because it is what PSNR measures and what keeps large areas right.
The others are small and keep edges and motion sharp. None of the default terms needs downloaded
weights.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..metrics import ssim

ALMOST_NOTHING = 1e-5  # squared error of a clip that is as good as perfect, 56 dB


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term; 0 leaves a term out (and costs nothing).

    `foreground` is added to the weight of object pixels, which is 1 as everywhere. `calm` is the
    weight of code changes where the video stands still. `log_squared` optimises PSNR itself: each
    clip counts by its relative error, so hard clips do not outweigh all others. `perceptual` needs
    a network of the user's (see `perceptual.py`). `adversarial` is not a weight in the sum: it
    scales the gradient of a discriminator relative to that of all other terms (see
    `adversarial.py`).
    """

    squared: float = 1.0
    log_squared: float = 0.0
    absolute: float = 0.02
    gradient: float = 0.02
    temporal: float = 0.02
    structure: float = 0.0
    foreground: float = 1.0
    calm: float = 0.0
    perceptual: float = 0.0
    adversarial: float = 0.0


def weighted_mean(error: Tensor, pixel_weight: Tensor | None) -> Tensor:
    """Mean of `[B, C, F, Y, X]`, weighted per pixel if there are weights."""
    if pixel_weight is None:
        return error.mean()
    return (error * pixel_weight).mean() / pixel_weight.mean()


def squared_error(video: Tensor, target: Tensor, pixel_weight: Tensor | None = None) -> Tensor:
    return weighted_mean((video - target).square(), pixel_weight)


def log_squared_error(video: Tensor, target: Tensor, pixel_weight: Tensor | None = None) -> Tensor:
    """Mean over clips of log10 of their squared error: PSNR as a loss (arXiv:2204.04676)."""
    error = (video - target).square().mean(1, keepdim=True)
    if pixel_weight is not None:
        error = error * pixel_weight / pixel_weight.mean((1, 2, 3, 4), keepdim=True)
    return (error.flatten(1).mean(1) + ALMOST_NOTHING).log10().mean()


def absolute_error(video: Tensor, target: Tensor, pixel_weight: Tensor | None = None) -> Tensor:
    return weighted_mean((video - target).abs(), pixel_weight)


def haar_gradient(video: Tensor, target: Tensor, scales: int = 3) -> Tensor:
    """Mean absolute error of the Haar details (across, down, diagonal) at octaves of the frame."""
    error = (video - target).movedim(2, 1).flatten(0, 2)
    total = error.new_zeros(())
    used = 0
    for _ in range(scales):
        Y = error.shape[-2] // 2 * 2
        X = error.shape[-1] // 2 * 2
        if Y < 2 or X < 2:
            break
        upper = error[:, 0:Y:2, :X]
        lower = error[:, 1:Y:2, :X]
        low = upper + lower
        high = upper - lower
        across = low[..., 0::2] - low[..., 1::2]
        diagonal = high[..., 0::2] - high[..., 1::2]
        down = high[..., 0::2] + high[..., 1::2]
        total = total + (across.abs().mean() + down.abs().mean() + diagonal.abs().mean()) / 3
        error = (low[..., 0::2] + low[..., 1::2]) / 4
        used += 1
    return total / max(used, 1)


def temporal_difference(video: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error of the change from frame to frame; 0 for a single frame."""
    if video.shape[2] < 2:
        return video.new_zeros(())
    error = video - target
    return (error[:, :, 1:] - error[:, :, :-1]).abs().mean()


def structure(video: Tensor, target: Tensor, scales: int = 3) -> Tensor:
    """1 - SSIM, averaged over octaves of the frame (as long as they hold the 11-pixel window)."""
    video, target = (x.movedim(2, 1).flatten(0, 1) for x in (video, target))
    losses = []
    for scale in range(scales):
        if scale and min(video.shape[-2:]) < 22:
            break
        if scale:
            video = functional.avg_pool2d(video, 2)
            target = functional.avg_pool2d(target, 2)
        losses.append(1 - ssim(video.unsqueeze(2), target.unsqueeze(2)).mean())
    return torch.stack(losses).mean()


def calm_loss(vectors: Tensor, still: Tensor) -> Tensor:
    """Mean squared change of code vectors `[B, T, H, W, d]` over still cells; 0 without any.

    `still` is bool `[B, T-1, H, W]`. Quantized vectors that agree cost nothing and get no gradient,
    so a cell that already keeps its code is left alone.
    """
    change = (vectors[:, 1:] - vectors[:, :-1]).square().sum(-1)
    return (change * still).sum() / still.sum().clamp_min(1)


def reconstruction_loss(
    video: Tensor,
    target: Tensor,
    weights: LossWeights,
    foreground: Tensor | None = None,
    perceptual: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum, and its terms (unweighted, detached) by name.

    `foreground` marks object pixels, bool or 0 to 1, `[B, 1, F, Y, X]`; `perceptual` is a distance
    of two videos. The weights `calm` and `adversarial` belong to losses that need more than two
    videos, so they are not part of this sum.
    """
    pixel_weight = None
    if foreground is not None and weights.foreground > 0:
        pixel_weight = 1 + weights.foreground * foreground.to(video.dtype)
    terms: dict[str, Tensor] = {}
    if weights.squared:
        terms["squared"] = squared_error(video, target, pixel_weight)
    if weights.log_squared:
        terms["log_squared"] = log_squared_error(video, target, pixel_weight)
    if weights.absolute:
        terms["absolute"] = absolute_error(video, target, pixel_weight)
    if weights.gradient:
        terms["gradient"] = haar_gradient(video, target)
    if weights.temporal:
        terms["temporal"] = temporal_difference(video, target)
    if weights.structure:
        terms["structure"] = structure(video, target)
    if weights.perceptual and perceptual is not None:
        terms["perceptual"] = perceptual(video, target)
    total = torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()
    return total, {name: term.detach() for name, term in terms.items()}
