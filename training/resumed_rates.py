"""Learning rates of a run that goes on from a checkpoint: those of its config.

A checkpoint holds the rates of the run that wrote it, and the rate of its next step, which is 0 at
the end of a schedule. A longer run, or one with another `--model.lr`, would take them over.
"""

from __future__ import annotations

import logging
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

log = logging.getLogger(__name__)
NAMES = {"initial_lr": "learning rate", "weight_decay": "weight decay"}  # of a group


class ResumedRates(Callback):
    """Puts the rates of this run in the place of those of the checkpoint, before the first
    step."""

    def __init__(self) -> None:
        self._wanted: list[list[dict[str, float]]] = []
        self._started = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # the checkpoint is read after this
        self._wanted = [
            [{name: group[name] for name in NAMES if name in group} for group in groups]
            for groups in (optimizer.param_groups for optimizer in trainer.optimizers)
        ]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started = True
        if trainer.global_step == 0:
            return
        changed: dict[str, None] = {}
        for optimizer, wanted in zip(trainer.optimizers, self._wanted):
            for group, settings in zip(optimizer.param_groups, wanted):
                for name, value in settings.items():
                    if group[name] != value:
                        changed[f"{NAMES[name]} {value:g} in place of {group[name]:g}"] = None
                        group[name] = value
        for config in trainer.lr_scheduler_configs:
            _follow(config.scheduler)
        if changed:
            log.warning("going on with %s", ", ".join(changed))

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._started or not trainer.global_step:
            return
        log.warning(
            "%d of %d steps are done, so there is nothing to train; a larger --trainer.max_steps "
            "goes on",
            trainer.global_step,
            trainer.max_steps,
        )


def _follow(scheduler: Any) -> None:
    """The rates of the next step, as the schedule of this run has them."""
    factors = getattr(scheduler, "lr_lambdas", None)
    if factors is None:
        return
    groups = scheduler.optimizer.param_groups
    scheduler.base_lrs = [group["initial_lr"] for group in groups]
    for group, base, factor in zip(groups, scheduler.base_lrs, factors):
        group["lr"] = base * factor(scheduler.last_epoch)
    scheduler._last_lr = [group["lr"] for group in groups]
