"""Training of the tokenizer as a LightningModule.

A batch is a dict: `video` uint8 `[B, 3, F, Y, X]`, and optionally `foreground` bool or uint8 `[B, 1, F, Y, X]`.
"""

import math
from itertools import islice
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from .grids import reconstruction_grid, save_png
from .losses import LossWeights, reconstruction_loss
from .metrics import CodeUsage, psnr, ssim
from .model import TokenizerConfig, VideoTokenizer
from .optimizer import MuonAdamW

Batch = dict[str, Any]


def to_float(video: Tensor) -> Tensor:
    """uint8 video to float in [-1, 1]."""
    return video.float() / 127.5 - 1


class TokenizerModule(pl.LightningModule):
    """Fits a `VideoTokenizer`; at every checkpoint and at the end exports a folder for `from_pretrained`.

    Args:
        tokenizer: sizes of the model; those of `TokenizerConfig` if not given.
        loss: weights of the loss terms.
        lr: peak learning rate of AdamW, reached after `warmup_steps`, then a cosine down to a fiftieth of it.
        muon_lr: that of Muon, which takes the linear layers; 0 leaves them to AdamW.
        warmup_steps: steps of linear warm-up.
        weight_decay: of matrices and kernels only.
        quantizer_warmup: share of the steps, at the start, without quantizer (none if there is an `init_from`).
        ema_decay: of the averaged weights that are validated and exported; 0 turns averaging off.
        whitening_batches: batches that the patch statistics are measured on before the first step.
        grid_every: steps between pictures of reconstructions; 0 for none.
        usage_every: steps between reports of code usage.
        init_from: a tokenizer to start from (shipped name, folder or hub id), not from `tokenizer` and noise.
        decoder_only: keep the encoder, and with it every code, and train what turns codes into pixels (no averaging).
        export_dir: where to export to; `tokenizer` in the log folder if not given.
    """

    def __init__(
        self,
        tokenizer: TokenizerConfig | None = None,
        loss: LossWeights = LossWeights(),  # noqa: B008 (frozen)
        lr: float = 1e-3,
        muon_lr: float = 0.0,
        warmup_steps: int = 200,
        weight_decay: float = 0.01,
        quantizer_warmup: float = 0.1,
        ema_decay: float = 0.999,
        whitening_batches: int = 16,
        grid_every: int = 500,
        usage_every: int = 100,
        init_from: str | None = None,
        decoder_only: bool = False,
        export_dir: str | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= quantizer_warmup < 1:
            raise ValueError(f"quantizer_warmup is a share of the steps, from 0 to below 1; got {quantizer_warmup}")
        self.loss, self.lr, self.muon_lr = loss, lr, muon_lr
        self.warmup_steps, self.weight_decay = warmup_steps, weight_decay
        self.quantizer_warmup, self.ema_decay = 0.0 if init_from else quantizer_warmup, ema_decay
        self.whitening_batches, self.grid_every, self.usage_every = whitening_batches, grid_every, usage_every
        self.export_dir = export_dir
        if init_from is None:
            self.model = VideoTokenizer(tokenizer)
        else:
            self.model = VideoTokenizer.from_pretrained(init_from).train()
            if tokenizer not in (None, self.model.config):
                raise ValueError(f"{init_from} has other sizes than `tokenizer`; leave that out to take them over")
        if decoder_only and init_from is None:
            raise ValueError("decoder_only needs a trained encoder: set init_from")
        self.decoder_only = decoder_only
        for part in (self.model.embed, self.model.encoder, self.model.quantizer) if decoder_only else ():
            part.requires_grad_(False)
        self.usage = {stage: CodeUsage(self.model.codebook_size) for stage in ("train", "val")}

    # ---- set-up ----

    def configure_callbacks(self) -> list[Callback]:
        if not self.ema_decay or self.decoder_only:  # averaging would round weights that must not change
            return []
        # averaging buffers would round the integer tables of the quantizer down
        return [EMAWeightAveraging(decay=self.ema_decay, use_buffers=False)]

    def configure_optimizers(self) -> Any:
        optimizer = MuonAdamW(self.model, self.lr, self.muon_lr, self.weight_decay)
        total = self._total_steps()

        def factor(step: int) -> float:
            if step < self.warmup_steps:
                return (step + 1) / self.warmup_steps
            done = (step - self.warmup_steps) / max(1, total - self.warmup_steps)
            return 0.02 + 0.98 * (1 + math.cos(math.pi * min(1.0, done))) / 2

        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}}

    def _total_steps(self) -> int:
        total = self.trainer.estimated_stepping_batches
        if math.isinf(total):
            raise ValueError("the learning rate needs to know its end: set trainer.max_steps or trainer.max_epochs")
        return int(total)

    def on_train_start(self) -> None:
        if self.model.whitening.fitted:
            return
        loader: Any = self.trainer.train_dataloader
        self.model.fit_whitening(to_float(batch["video"]) for batch in islice(loader, self.whitening_batches))
        for name in ("mean", "scale"):  # every process must see the same patches
            buffer = getattr(self.model.whitening, name)
            buffer.copy_(self.trainer.strategy.broadcast(buffer))

    # ---- steps ----

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        target = to_float(batch["video"])
        quantize = self.global_step >= self.quantizer_warmup * self._total_steps()
        result = self.model(target, quantize)
        loss, terms = reconstruction_loss(result.video, target, self.loss, batch.get("foreground"))
        self.log("train/loss", loss)
        self.log_dict({f"train/{name}": term for name, term in terms.items()})
        self._log_quality("train", result.video.detach(), target, batch)
        self._count_codes(result.indices)
        if self.grid_every and self.global_step % self.grid_every == 0:
            self._show(reconstruction_grid(result.video, target))
        return loss + result.loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        target = to_float(batch["video"])
        result = self.model(target)
        self._log_quality("val", result.video, target, batch)
        self.log("val/ssim", ssim(result.video, target).mean(), batch_size=len(target))
        self.usage["val"].update(result.indices)

    def on_validation_epoch_end(self) -> None:
        self._log_usage("val")

    def _log_quality(self, stage: str, video: Tensor, target: Tensor, batch: Batch) -> None:
        size, bar = len(target), stage == "train"
        self.log(f"{stage}/psnr", psnr(video, target).mean(), prog_bar=bar, batch_size=size, sync_dist=not bar)
        if "foreground" in batch:
            foreground = psnr(video, target, batch["foreground"])
            if not foreground.isnan().all():
                self.log(f"{stage}/psnr_fg", foreground.nanmean(), prog_bar=bar, batch_size=size)

    def _count_codes(self, indices: Tensor) -> None:
        self.usage["train"].update(indices)
        if (self.global_step + 1) % self.usage_every == 0:
            self._log_usage("train")

    def _log_usage(self, stage: str) -> None:
        usage = self.usage[stage]
        self.log(f"{stage}/codes_used", float(usage.used))
        self.log(f"{stage}/perplexity", usage.perplexity, prog_bar=stage == "train")
        usage.reset()

    @rank_zero_only
    def _show(self, grid: Tensor) -> None:
        if isinstance(self.logger, TensorBoardLogger):
            self.logger.experiment.add_image("reconstructions", grid, self.global_step)
        else:
            save_png(grid, self._log_dir() / "reconstructions" / f"{self.global_step:07d}.png")

    # ---- what a run leaves behind ----

    def _log_dir(self) -> Path:
        return Path(self.trainer.log_dir or self.trainer.default_root_dir)

    def export(self, folder: Path | str | None = None) -> Path:
        """Write the present weights as a folder for `VideoTokenizer.from_pretrained`, in half precision."""
        folder = Path(folder or self.export_dir or self._log_dir() / "tokenizer")
        self.model.save_pretrained(folder)
        return folder

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # by now the averaging callback has put its weights under "state_dict"
        if self.trainer.is_global_zero:
            averaged = VideoTokenizer(self.model.config)
            prefix = "model."
            weights = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
            averaged.load_state_dict(weights)
            averaged.save_pretrained(Path(self.export_dir or self._log_dir() / "tokenizer"))

    def on_fit_end(self) -> None:
        # and here the averaged weights are those of the module
        if self.trainer.is_global_zero:
            self.export()
