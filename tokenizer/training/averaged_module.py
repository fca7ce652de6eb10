"""Averaged weights of a training, and their export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging

from ...training.guard import Guard
from .ledger_data_module import WithLedger


class AveragedModule(pl.LightningModule):
    """Trains `model`, averages its weights, and writes them at every checkpoint and at the end into
    a folder for `from_pretrained`, in float16, with what was learned from beside them.

    Attributes:
        part: what the folder is called in the log folder, unless `export_dir` says otherwise.
        model: made of its `config` alone.
        ema_decay: of the average; 0 turns averaging off.
        base: the tokenizer that the training began with, whose training data counts too.
    """

    part: str
    model: Any
    ema_decay: float
    export_dir: str | None
    base: str | None = None

    def configure_callbacks(self) -> list[Callback]:
        if not self.ema_decay:
            return [Guard()]
        # averaging buffers would round the integer tables of the quantizer down
        return [Guard(), EMAWeightAveraging(decay=self.ema_decay, use_buffers=False)]

    @property
    def log_folder(self) -> Path:
        return Path(self.trainer.log_dir or self.trainer.default_root_dir)

    @property
    def export_folder(self) -> Path:
        return Path(self.export_dir or self.log_folder / self.part)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # by now the averaging callback has put its weights under "state_dict"
        if self.trainer.is_global_zero:
            averaged = type(self.model)(self.model.config)
            prefix = "model."
            weights = {
                name.removeprefix(prefix): value
                for name, value in checkpoint["state_dict"].items()
                if name.startswith(prefix)
            }
            averaged.load_state_dict(weights)
            self._export(averaged)

    def on_fit_end(self) -> None:
        # The end of training makes the averaged weights those of the module. A finished run that is
        # asked for again has no such end.
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, EMAWeightAveraging):
                callback.on_train_end(self.trainer, self)
        if self.trainer.is_global_zero:
            self._export(self.model)

    def _export(self, model: Any) -> None:
        model.save_pretrained(self.export_folder)
        data = getattr(self.trainer, "datamodule", None)
        if isinstance(data, WithLedger):
            data.save_training_data(self.export_folder, self.base)
