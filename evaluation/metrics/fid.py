"""Fréchet inception distance (Heusel et al. 2017) over the frames of clips."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..clips.feature_store import Rows
from ..distances.frechet import distance_of_rows, rank_notes
from .base import Batch, Metric


class FID(Metric):
    """The distance of features of single frames; blind to motion."""

    name = "fid"
    title = "Fréchet inception distance, per frame"
    role = "picture"
    sees = "pictures"

    @property
    def key(self) -> str:
        assert self.network is not None
        # KID shares the rows
        return f"frames {self.network.fingerprint}"

    @torch.inference_mode()
    def rows(self, batch: Batch) -> Tensor:
        assert self.network is not None
        B, _, F = batch.video.shape[:3]
        frames = batch.video.transpose(1, 2).flatten(0, 1)
        features = self.network.call(frames)
        if features.dim() != 2 or len(features) != B * F:
            raise ValueError(
                f"'{self.network.name}' must return one row of features for each picture, "
                f"[{B * F}, D]; got {list(features.shape)}"
            )
        return features.unflatten(0, (B, F))

    def value(self, rows: Mapping[str, Rows]) -> float:
        reference = rows["reference"]
        return distance_of_rows(reference, rows["generated"], self.protocol.covariance)

    def notes(self, rows: Mapping[str, Rows]) -> list[str]:
        return rank_notes(rows["reference"], rows["generated"], "frames")
