"""Muon for matrices and AdamW for the rest, as one optimizer with one state; and their schedule.

Muon (https://kellerjordan.github.io/posts/muon) takes steps of equal size in all directions of a
weight matrix. With its rate scaled to the typical step of AdamW (arXiv:2502.16982) both follow one
schedule. torch has it for matrices alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn


class MuonAdamW(torch.optim.Optimizer):
    """Weights of linear layers go to Muon at `muon_lr`, everything else to AdamW at `lr`.

    `muon_lr=0` gives all to AdamW.
    Weight decay applies to matrices. Parameters that do not require gradients are left out.
    `others` are more groups of parameters for AdamW, with settings of their own.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float,
        muon_lr: float,
        weight_decay: float,
        others: Sequence[dict[str, Any]] = (),
    ) -> None:
        linear = (
            {id(layer.weight) for layer in model.modules() if isinstance(layer, nn.Linear)}
            if muon_lr
            else set()
        )
        trained = [p for p in model.parameters() if p.requires_grad]
        matrices = [p for p in trained if p.dim() > 1 and id(p) not in linear]
        vectors = [p for p in trained if p.dim() <= 1]
        groups = [
            {"params": matrices, "weight_decay": weight_decay},
            {"params": vectors, "weight_decay": 0.0},
            *others,
        ]
        self._parts: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), foreach=True)
        ]
        muon = [p for p in trained if id(p) in linear]
        if muon:
            part = torch.optim.Muon(
                muon, lr=muon_lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
            )
            self._parts.append(part)
        super().__init__([group for part in self._parts for group in part.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Give all parts one list of groups and one state to read and write."""
        start = 0
        for part in self._parts:
            end = start + len(part.param_groups)
            part.param_groups = self.param_groups[start:end]
            part.state = self.state
            start = end

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            part.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._share()


def total_steps(trainer: Any) -> int:
    """Steps of a whole run, which a schedule falls over.

    Raises:
        ValueError: the run has no end, or epochs of data that have none.
    """
    total = trainer.estimated_stepping_batches
    if math.isinf(total):
        raise ValueError(
            "the schedule of the learning rate needs an end: set trainer.max_steps or "
            "trainer.max_epochs"
        )
    if total < 1:  # what Lightning says of epochs that never end
        raise ValueError(
            "these clips come in an endless order, which has no epochs: set trainer.max_steps (and "
            "trainer.max_epochs to -1)"
        )
    return int(total)


def warm_cosine(step: int, warmup: int, total: int) -> float:
    """Factor of the learning rate: linear warm-up, then half a cosine down to 1/50 at `total`."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    return 0.02 + 0.98 * (1 + math.cos(math.pi * min(1.0, done))) / 2
