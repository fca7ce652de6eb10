"""Peak signal-to-noise ratio in dB: of each frame, then the mean over frames and clips."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...data.video import to_float
from ...tokenizer.metrics import psnr
from ..clips.feature_store import Rows
from .base import PAIRS, Batch, Metric, mean_of


def frame_pairs(batch: Batch) -> tuple[Tensor, Tensor]:
    """Generated and reference frames as clips of one frame, float `[B * F, 3, 1, Y, X]`."""
    assert batch.reference is not None
    if batch.video.shape != batch.reference.shape:
        sizes = [" x ".join(map(str, v.shape[2:])) for v in (batch.video, batch.reference)]
        raise ValueError(
            f"a generated clip is {sizes[0]} and its reference {sizes[1]}; give --size to bring "
            "both to one"
        )
    a, b = (
        to_float(video).transpose(1, 2).flatten(0, 1).unsqueeze(2)
        for video in (batch.video, batch.reference)
    )
    return a, b


class PSNR(Metric):
    """Equal frames count as 100 dB, so that one of them does not make the mean infinite."""

    name = "psnr"
    title = "PSNR in dB, per frame"
    better = "higher"
    of = PAIRS

    @torch.inference_mode()
    def rows(self, batch: Batch) -> Tensor:
        video, reference = frame_pairs(batch)
        return psnr(video, reference).view(len(batch.video), -1)

    def value(self, rows: Mapping[str, Rows]) -> float:
        return mean_of(rows["pairs"])
