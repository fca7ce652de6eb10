"""Fréchet audio distance (Kilgour et al. 2019) with the user's network.

Legend: B clips, S samples, W windows, D features.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..clips.feature_store import Rows
from ..distances.frechet import distance_of_rows, rank_notes
from .base import Batch, Metric, check_sounds


class FrechetAudio(Metric):
    """The network gets waveforms `[B, S]` at 16 kHz and returns `[B, D]` or `[B, W, D]`."""

    name = "fad"
    title = "Fréchet audio distance"
    role = "sound"
    sees = "sounds"
    needs_sound = True

    @torch.inference_mode()
    def rows(self, batch: Batch) -> Tensor:
        assert self.network is not None
        check_sounds(batch.sounds)
        return torch.stack([self.network.call(sound[None])[0] for sound in batch.sounds])

    def value(self, rows: Mapping[str, Rows]) -> float:
        reference = rows["reference"]
        return distance_of_rows(reference, rows["generated"], self.protocol.covariance)

    def notes(self, rows: Mapping[str, Rows]) -> list[str]:
        return rank_notes(rows["reference"], rows["generated"], "windows")
