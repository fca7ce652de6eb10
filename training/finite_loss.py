"""Detects a loss that is no longer a number."""

from __future__ import annotations

import math

import torch
from torch import Tensor

ADVICE = "the checkpoints so far are sound: resume with --ckpt_path last and a lower --model.lr"


class FiniteLoss:
    """Keeps the first step with a NaN or infinite loss, without waiting for the device."""

    def __init__(self) -> None:
        self._first: Tensor | None = None  # of the bad steps; infinite as long as there is none

    def watch(self, loss: Tensor, step: int) -> None:
        first = torch.full((), math.inf, device=loss.device) if self._first is None else self._first
        self._first = torch.where(loss.detach().isfinite(), first, first.clamp(max=step))

    @property
    def lost(self) -> Tensor:
        """1 if there was such a step, else 0."""
        return torch.zeros(()) if self._first is None else self._first.isfinite().float()

    def check(self, lost: Tensor | float) -> None:
        """ValueError if `lost` says that any process of the run has lost its loss."""
        if lost:
            first = math.inf if self._first is None else float(self._first)
            when = (
                f"since step {first:.0f}"
                if math.isfinite(first)
                else "in another process of this run"
            )
            raise ValueError(f"the loss is not a number {when}, so training has stopped; {ADVICE}")
