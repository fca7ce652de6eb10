"""How much trembles, in steps of 255, for clips alone."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import Batch
from .motion import Motion


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
