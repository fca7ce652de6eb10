"""Seams and flicker: errors at the borders of codes, and changes that the video does not have.

Legend: B batch, T H W latent grid, F Y X frames and pixels, k frames per latent, p patch side.
Videos are float `[B, 3, F, Y, X]` in [-1, 1].

A seam is an error that changes more across a border than elsewhere. So every seam is a ratio of two
mean jumps of the error (reconstruction minus video) between neighbours, and 1 means that the border
cannot be found. Flicker is the mean change of the reconstruction from frame to frame, compared with
that of the video.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..tokenizer.metrics import still_cells

GREY_LEVELS = 127.5  # of 255, in one unit of video


def error_jumps(video: Tensor, target: Tensor, axis: int) -> Tensor:
    """Absolute change of the error from each pixel to the next one along an axis (n to n - 1)."""
    return (video.float() - target.float()).diff(dim=axis).abs()


def border_places(size: int, period: int, first: int) -> Tensor:
    """Bool `[size - 1]`: which steps between neighbours enter a new group (at first + i*period)."""
    return (torch.arange(1, size) - first) % period == 0


class Ratio:
    """A ratio of two means over everything that was added."""

    def __init__(self) -> None:
        self.sums = [0.0, 0.0]
        self.counts = [0, 0]

    def add(self, upper: Tensor, lower: Tensor) -> None:
        for place, values in enumerate((upper, lower)):
            self.sums[place] += float(values.sum(dtype=torch.float64))
            self.counts[place] += values.numel()

    @property
    def means(self) -> tuple[float, float]:
        """The two means; NaN where nothing was added."""
        upper, lower = (
            total / count if count else float("nan") for total, count in zip(self.sums, self.counts)
        )
        return upper, lower

    @property
    def value(self) -> float:
        """The ratio; NaN where there is nothing to divide, or nothing to divide by."""
        upper, lower = self.means
        return upper / lower if lower else float("nan")


class Steadiness:
    """Adds up seams and flicker over many clips."""

    def __init__(self, frames_per_latent: int, patch: int) -> None:
        self.cell = frames_per_latent, patch
        self.latent_seam = Ratio()
        self.patch_seam = Ratio()
        self.chunk_seam = Ratio()
        self.flicker = Ratio()
        self.still_flicker = Ratio()

    def update(self, video: Tensor, target: Tensor) -> None:
        """Add reconstructions of whole clips and the clips themselves."""
        k, p = self.cell
        # the first latent frame is one frame
        into_latent = border_places(video.shape[2], k, first=1)
        jumps = error_jumps(video, target, axis=2)
        self.latent_seam.add(jumps[:, :, into_latent], jumps[:, :, ~into_latent])
        for axis in (3, 4):
            into_patch = border_places(video.shape[axis], p, first=0)
            jumps = error_jumps(video, target, axis).movedim(axis, -1)
            self.patch_seam.add(jumps[..., into_patch], jumps[..., ~into_patch])
        shown = video.float().diff(dim=2).abs()
        real = target.float().diff(dim=2).abs()
        self.flicker.add(shown, real)
        still = self._still_pixels(target)
        F, Y, X = still.shape[1:]
        self.still_flicker.add(
            *(changes[:, :, :F, :Y, :X].movedim(1, -1)[still] for changes in (shown, real))
        )

    def update_chunks(
        self, streamed: Tensor, whole: Tensor, target: Tensor, chunk_frames: Sequence[int]
    ) -> None:
        """Add clips decoded in chunks of so many frames, and the same clips decoded at once."""
        begins = torch.tensor(chunk_frames).cumsum(0)
        into_chunk = begins[begins < target.shape[2]] - 1
        jumps = (
            error_jumps(video, target, axis=2)[:, :, into_chunk] for video in (streamed, whole)
        )
        self.chunk_seam.add(*jumps)

    def _still_pixels(self, target: Tensor) -> Tensor:
        """Bool `[B, F - 1, Y, X]`, over whole cells only: steps between frames in still cells."""
        k, p = self.cell
        F, Y, X = target.shape[2:]
        if p > Y or p > X:
            return torch.zeros(len(target), 0, 0, 0, dtype=torch.bool, device=target.device)
        whole = target[:, :, : 1 + (F - 1) // k * k, : Y // p * p, : X // p * p]
        return (
            still_cells(whole, k, p)
            .repeat_interleave(k, 1)
            .repeat_interleave(p, 2)
            .repeat_interleave(p, 3)
        )

    def table(self) -> dict[str, float]:
        """The numbers by name; NaN where nothing was added."""
        shown, real = self.still_flicker.means
        return {
            "seam between latent frames": self.latent_seam.value,
            "seam between streamed chunks": self.chunk_seam.value,
            "seam between patches": self.patch_seam.value,
            "flicker, of the video's own change": self.flicker.value,
            "flicker of still cells, of 255": shown * GREY_LEVELS,
            "the video's own change there": real * GREY_LEVELS,
        }
