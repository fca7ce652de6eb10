"""Stops a training run whose loss is no longer a number, before the next checkpoint."""

from typing import Any

from lightning.pytorch.callbacks import Callback

from .finite_loss import FiniteLoss


class Guard(Callback):
    """Raises ValueError at the next logged step, or in place of writing the next checkpoint."""

    def __init__(self) -> None:
        self.loss = FiniteLoss()

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.loss.watch(outputs["loss"], trainer.global_step - 1)
        if trainer.global_step % trainer.log_every_n_steps == 0:
            self._check(trainer)

    def on_save_checkpoint(self, trainer: Any, module: Any, checkpoint: dict[str, Any]) -> None:
        self._check(trainer)

    def _check(self, trainer: Any) -> None:
        lost = self.loss.lost.to(trainer.strategy.root_device)
        self.loss.check(trainer.strategy.reduce(lost, reduce_op="sum"))
