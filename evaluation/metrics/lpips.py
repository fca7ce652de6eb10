"""Learned perceptual similarity (Zhang et al. 2018), per frame, with the user's network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..clips.feature_store import Rows
from .base import PAIRS, Batch, Metric, mean_of
from .psnr import frame_pairs


class LPIPS(Metric):
    """The network is called with pairs `[N, 3, Y, X]` in [-1, 1] and returns a distance each.

    A safetensors file of a VGG (see `kinetoscope.tokenizer.training.perceptual`) or a TorchScript
    file that takes two pictures; which of the two common networks it is changes the number a lot.
    """

    name = "lpips"
    title = "LPIPS, per frame"
    of = PAIRS
    role = "lpips"
    sees = "pairs"

    @torch.inference_mode()
    def rows(self, batch: Batch) -> Tensor:
        assert self.network is not None
        video, reference = (frames.squeeze(2) for frames in frame_pairs(batch))
        found = self.network.model(video, reference).flatten()
        if len(found) != len(video):
            raise ValueError(
                f"'{self.network.name}' must return one distance for each pair, [{len(video)}]; "
                f"got {list(found.shape)}"
            )
        return found.view(len(batch.video), -1)

    def value(self, rows: Mapping[str, Rows]) -> float:
        return mean_of(rows["pairs"])
