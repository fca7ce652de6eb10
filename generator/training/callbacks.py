"""Lightning callbacks that watch the training of the generator, and stop a run that is lost.

They log speed, gradients, codes and pictures of samples.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.distributed.tensor import DTensor

from ...data.video import to_uint8
from ...data.video.contact_sheet import contact_sheet
from ...tokenizer import frame_count
from ...tokenizer.metrics import CodeUsage
from ...tokenizer.training.collapse import check_usage
from ...training.guard import Guard
from ...training.logged_pictures import log_picture
from ...training.stopwatch import Stopwatch
from .sample_videos import show_videos


class TrainingMonitor(Guard):
    """Logs speed, waiting, gradients and codes, as often as the trainer logs.

    These are seconds per step, tokens per second, minutes left, the share of time spent waiting for
    data, the norm of the gradients (before clipping), codes used and their perplexity. A run stops
    with a ValueError when its loss is not a number, or when nearly all codes are the same. No
    checkpoint is written then, so the last ones on the disk are good.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stopwatch = Stopwatch()

    def on_train_start(self, *_: Any) -> None:
        self.stopwatch.rest()

    def on_train_batch_start(self, *_: Any) -> None:
        self.stopwatch.start()

    def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
        if (trainer.global_step + 1) % trainer.log_every_n_steps == 0:
            norm = torch.nn.utils.get_total_norm(
                [p.grad for p in module.model.parameters() if p.grad is not None]
            )
            module.log("train/grad_norm", norm.full_tensor() if isinstance(norm, DTensor) else norm)

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        codes: Tensor = batch["codes"]
        self.stopwatch.stop(codes.numel() * trainer.world_size)
        super().on_train_batch_end(trainer, module, outputs, batch, batch_idx)
        if trainer.global_step % trainer.log_every_n_steps:
            return
        usage = CodeUsage(module.config.codebook_size)
        usage.update(codes)
        check_usage(usage)
        module.log("train/codes_used", float(usage.used))
        module.log("train/code_perplexity", usage.perplexity)
        for name, value in self.stopwatch.read(
            trainer.estimated_stepping_batches - trainer.global_step
        ).items():
            module.log(f"train/{name}", value, prog_bar=name != "data_wait")

    def on_validation_end(self, *_: Any) -> None:
        self.stopwatch.rest()

    def on_save_checkpoint(self, trainer: Any, module: Any, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(trainer, module, checkpoint)
        self.stopwatch.rest()


class SampleImages(Callback):
    """Logs samples, from captions of the validation clips, every so many steps: as pictures and,
    of clips, as moving pictures.

    Pictures go to TensorBoard and Weights & Biases, otherwise to the folder `samples` of the run.
    Moving ones always lie there, and go to the loggers that take them. There are none while the
    decoder is divided over devices.
    """

    def __init__(self, every: int, stopwatch: Stopwatch) -> None:
        self.every = every
        self.stopwatch = stopwatch

    @rank_zero_only
    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        captions = getattr(getattr(trainer, "datamodule", None), "captions", [])
        if (
            module.divided
            or not captions
            or not trainer.global_step
            or trainer.global_step % self.every
        ):
            return
        frames = frame_count(batch["codes"].shape[1], module.config.frames_per_latent)
        with torch.autocast(module.device.type, enabled=False):
            video = to_uint8(module.generator().generate(captions, frames))
        sheet = contact_sheet(video, captions)
        folder = module.export_folder.parent / "samples"
        if frames > 1:
            show_videos(trainer.loggers, folder, video, captions, trainer.global_step)
        log_picture(trainer.loggers, "samples", sheet, trainer.global_step, folder)
        self.stopwatch.rest()
