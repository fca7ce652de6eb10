"""Multi-scale structural similarity (Wang et al. 2003), per frame, five scales; by torchmetrics."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..clips.feature_store import Rows
from .base import PAIRS, Batch, Metric, mean_of
from .psnr import frame_pairs

SMALLEST = 176  # pixels a side: a window of 11 after four halvings


class MSSSIM(Metric):
    """Mean over frames and clips, which must be at least 176 pixels a side."""

    name = "ms_ssim"
    title = "MS-SSIM, per frame"
    better = "higher"
    of = PAIRS

    @torch.inference_mode()
    def rows(self, batch: Batch) -> Tensor:
        from torchmetrics.functional.image import (
            multiscale_structural_similarity_index_measure as measure,
        )

        if min(batch.video.shape[-2:]) < SMALLEST:
            raise ValueError(
                f"MS-SSIM needs frames of at least {SMALLEST} pixels a side; got "
                f"{' x '.join(map(str, batch.video.shape[-2:]))}; leave out ms_ssim or give --size"
            )
        video, reference = (frames.squeeze(2) for frames in frame_pairs(batch))
        found = measure(video, reference, data_range=2.0, reduction="none")
        return found.view(len(batch.video), -1)

    def value(self, rows: Mapping[str, Rows]) -> float:
        return mean_of(rows["pairs"])
