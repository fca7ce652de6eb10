"""Structural similarity (Wang et al. 2004), per frame and colour, window of 11 and sigma of 1.5."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...tokenizer.metrics import ssim
from ..clips.feature_store import Rows
from .base import PAIRS, Batch, Metric, mean_of
from .psnr import frame_pairs


class SSIM(Metric):
    """Mean over colours, frames and clips; on colours, not on grey as some code does."""

    name = "ssim"
    title = "SSIM, per frame"
    better = "higher"
    of = PAIRS

    @torch.inference_mode()
    def rows(self, batch: Batch) -> Tensor:
        video, reference = frame_pairs(batch)
        return ssim(video, reference).view(len(batch.video), -1)

    def value(self, rows: Mapping[str, Rows]) -> float:
        return mean_of(rows["pairs"])
