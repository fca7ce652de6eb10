"""How much moves and how much trembles, in steps of 255, for clips alone."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..clips.feature_store import Rows
from .base import Batch, Metric, mean_of


class Motion(Metric):
    """Mean |x(t + 1) - x(t)| of the generated set; the reference's stands beside it."""

    name = "motion"
    title = "frame difference, of 255"
    better = "nearer the reference's"

    @torch.inference_mode()
    def rows(self, batch: Batch) -> Tensor:
        return batch.video.float().diff(dim=2).abs().flatten(1).mean(1, keepdim=True)

    def value(self, rows: Mapping[str, Rows]) -> float:
        return mean_of(rows["generated"])

    def details(self, rows: Mapping[str, Rows]) -> dict[str, float]:
        return {"reference": mean_of(rows["reference"])}


class Flicker(Motion):
    """Mean |x(t) - (x(t - 1) + x(t + 1)) / 2|: steady motion of soft edges adds little, a
    pixel that jumps to and fro adds all of its jump."""

    name = "flicker"
    title = "flicker, of 255"

    @torch.inference_mode()
    def rows(self, batch: Batch) -> Tensor:
        video = batch.video.float()
        middle = (video[:, :, :-2] + video[:, :, 2:]) / 2
        return (video[:, :, 1:-1] - middle).abs().flatten(1).mean(1, keepdim=True)
