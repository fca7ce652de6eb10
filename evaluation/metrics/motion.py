"""How much moves, in steps of 255, for clips alone."""

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
