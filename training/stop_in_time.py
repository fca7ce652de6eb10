"""Stops a run between two steps when it gets SIGUSR1 or SIGTERM, with a checkpoint and exit status
75.

Clusters send SIGUSR1 some time before a job's time is up, and SIGTERM when a machine is taken away.
Lightning's own handlers save wherever each process happens to be, which leaves several processes
waiting for each other, or do not save at all. Here the processes agree on a step first.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Checkpoint

log = logging.getLogger(__name__)
AGAIN = 75  # the exit status that says "try again later" (EX_TEMPFAIL)
EVERY = 10  # steps between two times that several processes ask one another


class StopInTime(Checkpoint):
    """Writes `stopped-step=N.ckpt` after SIGUSR1 or SIGTERM; `--ckpt_path last` resumes from it.

    As a callback of checkpoints it comes after all others, which average the weights of a step, for
    example. It must stand behind those that Lightning asks for the best checkpoint.
    """

    def __init__(self) -> None:
        self.asked = False
        self.stopped = False
        self._path: Path | None = None
        # Lightning's count of steps, which several optimizers raise by more than 1, and our own
        self._step = self._steps = 0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if hasattr(signal, "SIGUSR1") and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGUSR1, self._ask)  # Lightning keeps an existing handler

    def on_sanity_check_start(self, *_: Any) -> None:
        self._listen()

    def on_train_start(self, *_: Any) -> None:
        self._listen()

    def _listen(self) -> None:
        """Take the place of Lightning's handler of SIGTERM, which stops without a checkpoint.
        Lightning puts back the one before it when the run ends."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._ask)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == self._step:  # gradients of several batches are added up
            return
        self._step = trainer.global_step
        self._steps = self._steps + 1
        if trainer.world_size > 1 and self._steps % EVERY:
            return
        if trainer.strategy.reduce_boolean_decision(self.asked, all=False):
            self._stop(trainer)

    def _stop(self, trainer: pl.Trainer) -> None:
        folder = Path(trainer.default_root_dir)
        before = list(folder.glob("stopped-step=*.ckpt"))
        path = folder / f"stopped-step={trainer.global_step}.ckpt"
        trainer.save_checkpoint(path)
        if trainer.is_global_zero:
            for old in before:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            log.warning(
                "asked to stop: step %d is in '%s'; --ckpt_path last resumes from it",
                trainer.global_step,
                path,
            )
        self._path = path
        self.stopped = True
        trainer.should_stop = True

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Be the newest: a checkpoint that another callback makes of the end counts an epoch as
        done that was not."""
        if self._path is not None and trainer.is_global_zero:
            os.utime(self._path)

    def _ask(self, *_: Any) -> None:
        self.asked = True
