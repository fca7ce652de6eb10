"""Training of the tokenizer as a LightningModule.

A batch is a dict: `video` is uint8 `[B, 3, F, Y, X]`; `foreground` (optional) is bool or uint8 `[B,
1, F, Y, X]`; `kind` (optional) is a word, and validation also measures the clips of each kind
alone.
"""

from functools import partial
from itertools import islice
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from ...training.logged_pictures import log_picture
from ...training.optimizer import MuonAdamW, total_steps, warm_cosine
from ..blocks import StackConfig
from ..config import TokenizerConfig
from ..enlarge import enlarge, with_quantizer
from ..metrics import CodeUsage, calm_rate, psnr, ssim, still_cells
from ..model import VideoTokenizer
from ..quantizer import QuantizerConfig
from .adversarial import Adversary
from .averaged_module import AveragedModule
from .collapse import check_usage
from .losses import LossWeights, calm_loss, reconstruction_loss
from .perceptual import PerceptualLoss
from .pictures import as_image, reconstruction_grid

Batch = dict[str, Any]


def to_float(video: Tensor) -> Tensor:
    """uint8 video to float in [-1, 1]."""
    return video.float() / 127.5 - 1


class TokenizerModule(AveragedModule):
    """Fits a `VideoTokenizer`; at every checkpoint and at the end exports a folder for
    `from_pretrained`, in float16.

    With several codebooks each clip is trained at a random rate, and validation measures all rates.

    Args:
        tokenizer: sizes of the model; those of `TokenizerConfig` if not given.
        loss: weights of the loss terms.
        perceptual: file of the network of `loss.perceptual`, see `PerceptualLoss`.
        still_tolerance: largest change of a pixel (black to white is 2) at which `loss.calm`
            counts a cell as still.
        lr: peak learning rate of AdamW, reached after `warmup_steps`, then a cosine down to a
            fiftieth of it.
        muon_lr: peak learning rate of Muon for the linear layers; 0 leaves them to AdamW.
        discriminator_lr: learning rate of the discriminator of `loss.adversarial`, which during
            warm-up learns alone.
        warmup_steps: steps of linear warm-up.
        weight_decay: decay of matrices and kernels; there is none for other parameters.
        quantizer_warmup: share of the steps, at the start, without the quantizer (0 with
            `init_from`).
        rate_weights: how often a clip is trained with 1, 2, ... codebooks, one number each; equally
            often if not given.
        ema_decay: decay of the average of the weights, which is validated and exported; 0 turns
            averaging off.
        whitening_batches: number of batches that patch statistics are measured on before training.
        grid_every: steps between pictures of reconstructions; 0 for none.
        usage_every: steps between reports of code usage.
        init_from: a tokenizer to start from (shipped name, folder or hub id), in place of random
            weights and the sizes in `tokenizer`.
        decoder_only: keep the encoder, and with it every code, and train only the decoder
            (without averaging). The tokenizer keeps the id, so it decodes what a generator draws
            that has learned these codes.
        patch: with `init_from`, larger patches than its own, see `enlarge`: the same codes for more
            pixels. The statistics of what is new in them are measured before the first step.
        refine_channels: with `init_from`, another pixel refiner, which begins as the identity.
        refine_stride: with `init_from`, the stride of the refiner, see `TokenizerConfig`.
        quantizer: with `init_from`, an FSQ of more dimensions, see `with_quantizer`.
        encoder: with `init_from`, another encoder that takes over the weights that fit, see
            `VideoTokenizer.with_stacks`.
        decoder: with `init_from`, another decoder, such as a deeper one.
        export_dir: folder to export to; `tokenizer` in the log folder if not given.
    """

    part = "tokenizer"
    model: VideoTokenizer

    def __init__(
        self,
        tokenizer: TokenizerConfig | None = None,
        loss: LossWeights = LossWeights(),
        perceptual: str | None = None,
        still_tolerance: float = 2 / 255,
        lr: float = 1e-3,
        muon_lr: float = 0.0,
        discriminator_lr: float = 2e-4,
        warmup_steps: int = 200,
        weight_decay: float = 0.01,
        quantizer_warmup: float = 0.1,
        rate_weights: list[float] | None = None,
        ema_decay: float = 0.999,
        whitening_batches: int = 16,
        grid_every: int = 500,
        usage_every: int = 100,
        init_from: str | None = None,
        decoder_only: bool = False,
        patch: int | None = None,
        refine_channels: int | None = None,
        refine_stride: int | None = None,
        quantizer: QuantizerConfig | None = None,
        encoder: StackConfig | None = None,
        decoder: StackConfig | None = None,
        export_dir: str | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= quantizer_warmup < 1:
            raise ValueError(
                "quantizer_warmup is a share of the steps, from 0 to below 1; got "
                f"{quantizer_warmup}"
            )
        if bool(perceptual) != bool(loss.perceptual):
            raise ValueError(
                f"loss.perceptual ({loss.perceptual}) and its file ({perceptual}) go together; set "
                "both"
            )
        if loss.adversarial and not decoder_only:
            raise ValueError(
                "loss.adversarial would spoil the codes: set decoder_only, in a run after the first"
            )
        self.loss = loss
        self.still_tolerance = still_tolerance
        self.lr = lr
        self.muon_lr = muon_lr
        self.discriminator_lr = discriminator_lr
        self.warmup_steps = warmup_steps
        self.weight_decay = weight_decay
        self.quantizer_warmup = 0.0 if init_from else quantizer_warmup
        # averaging would round weights that must not change
        self.ema_decay = 0.0 if decoder_only else ema_decay
        self.whitening_batches = whitening_batches
        self.grid_every = grid_every
        self.usage_every = usage_every
        self.export_dir = export_dir
        self.base = init_from
        if init_from is None:
            self.model = VideoTokenizer(tokenizer)
        else:
            self.model = VideoTokenizer.from_pretrained(init_from).train()
            if tokenizer not in (None, self.model.config):
                raise ValueError(
                    f"{init_from} has other sizes than `tokenizer`; leave that out to take them "
                    "over"
                )
        if decoder_only and init_from is None:
            raise ValueError("decoder_only needs a trained encoder: set init_from")
        changes = (patch, refine_channels, refine_stride, quantizer, encoder, decoder)
        if init_from is None and any(change is not None for change in changes):
            raise ValueError(
                "patch, refine_channels, refine_stride, quantizer, encoder and decoder change what "
                "init_from names; without it, set those of `tokenizer`"
            )
        if decoder_only and (encoder is not None or quantizer is not None):
            raise ValueError(
                "decoder_only keeps encoder and quantizer; leave out one of the two settings"
            )
        owner = self.model.id if decoder_only else ""  # whose codes these will be
        self._measured = self.model.config.patch  # rows and columns with trained statistics
        if any(asked is not None for asked in (patch, refine_channels, refine_stride)):
            self.model = enlarge(
                self.model, patch or self._measured, refine_channels, refine_stride
            )
        if quantizer is not None:
            self.model = with_quantizer(self.model, quantizer)
        if encoder or decoder:
            self.model = self.model.with_stacks(encoder, decoder)
        self.model.sharing_codes(owner)
        self.decoder_only = decoder_only
        for part in (
            (self.model.embed, self.model.encoder, self.model.quantizer) if decoder_only else ()
        ):
            part.requires_grad_(False)
        self.adversary = Adversary(loss.adversarial) if loss.adversarial else None
        # torch does not find it in a tuple, so it is neither trained nor saved
        self._perceptual = (PerceptualLoss.from_file(perceptual) if perceptual else None,)
        self.rate_weights = rate_weights or [1.0] * self.model.rates
        if (
            len(self.rate_weights) != self.model.rates
            or min(self.rate_weights) < 0
            or not any(self.rate_weights)
        ):
            raise ValueError(
                f"rate_weights needs {self.model.rates} numbers of 0 or more; got {rate_weights}"
            )
        codes = self.model.codebook_size
        self.usage = {
            stage: [CodeUsage(codes) for _ in range(self.model.rates)] for stage in ("train", "val")
        }

    # ---- set-up ----

    def configure_optimizers(self) -> Any:
        others = [self.adversary.parameter_group(self.discriminator_lr)] if self.adversary else []
        optimizer = MuonAdamW(self.model, self.lr, self.muon_lr, self.weight_decay, others)
        factor = partial(warm_cosine, warmup=self.warmup_steps, total=self._total_steps())
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"},
        }

    def _total_steps(self) -> int:
        return total_steps(self.trainer)

    def on_train_epoch_start(self) -> None:
        if self.decoder_only:
            # in training mode some quantizers move their codebook without a gradient
            self.model.quantizer.eval()

    def on_fit_start(self) -> None:
        if self._perceptual[0] is not None:
            self._perceptual[0].to(self.device)

    def on_train_start(self) -> None:
        whitening = self.model.whitening
        enlarged = self._measured < whitening.p and self.global_step == 0
        if whitening.fitted and not enlarged:
            return
        loader: Any = self.trainer.train_dataloader
        self.model.fit_whitening(
            (to_float(batch["video"]) for batch in islice(loader, self.whitening_batches)),
            whitening.low(self._measured) if enlarged else None,
        )
        for name in ("mean", "scale"):  # every process must see the same patches
            buffer = getattr(whitening, name)
            buffer.copy_(self.trainer.strategy.broadcast(buffer))

    # ---- steps ----

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        target = to_float(batch["video"])
        quantize = self.global_step >= self.quantizer_warmup * self._total_steps()
        result = self.model(target, quantize, self._draw_rates(len(target)))
        loss, terms = reconstruction_loss(
            result.video, target, self.loss, batch.get("foreground"), self._perceptual[0]
        )
        if self.loss.calm:
            still = still_cells(
                self.model.pad(target), *self.model.config.cell, self.still_tolerance
            )
            terms["calm"] = calm_loss(result.vectors, still)
            loss = loss + self.loss.calm * terms["calm"]
        self.log("train/loss", loss)
        if self.adversary is not None:
            pulling = self.global_step >= self.warmup_steps
            added, terms["discriminator"] = self.adversary(result.video, target, loss, pulling)
            loss = loss + added
        self.log_dict({f"train/{name}": term.detach() for name, term in terms.items()})
        self._log_quality("train", result.video.detach(), target, batch)
        self._count_codes("train", result.indices)
        if (self.global_step + 1) % self.usage_every == 0:
            self._log_usage("train")
        if self.grid_every and self.global_step % self.grid_every == 0:
            self._show(reconstruction_grid(result.video, target))
        return loss + result.loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        target = to_float(batch["video"])
        result = self.model(target)
        self._count_codes("val", result.indices)
        self._log_validation(result.video, result.indices, target, batch)
        F, Y, X = target.shape[2:]
        for rate in range(1, self.model.rates):
            indices = result.indices[..., :rate]
            video = self.model.decode_step(indices, {})[0][:, :, :F, :Y, :X]
            self._log_validation(video, indices, target, batch, f"_rate{rate}")

    def on_validation_epoch_end(self) -> None:
        self._log_usage("val")

    def _draw_rates(self, clips: int) -> Tensor | None:
        """How many codebooks each clip is decoded from, `[B]`; the same draws after a restart."""
        if self.model.rates == 1:
            return None
        generator = torch.Generator().manual_seed(self.global_step)
        weights = torch.tensor(self.rate_weights, dtype=torch.float)
        return 1 + torch.multinomial(weights, clips, replacement=True, generator=generator)

    def _log_quality(
        self, stage: str, video: Tensor, target: Tensor, batch: Batch, suffix: str = ""
    ) -> None:
        size = len(target)
        self._log_kinds(
            f"{stage}/psnr{suffix}",
            psnr(video, target).mean(),
            batch,
            size,
            prog_bar=stage == "train",
        )
        if "foreground" in batch:
            foreground = psnr(video, target, batch["foreground"])
            if not foreground.isnan().all():
                self.log(
                    f"{stage}/psnr_fg{suffix}",
                    foreground.nanmean(),
                    prog_bar=stage == "train",
                    batch_size=size,
                )

    def _log_validation(
        self, video: Tensor, indices: Tensor, target: Tensor, batch: Batch, suffix: str = ""
    ) -> None:
        self._log_quality("val", video, target, batch, suffix)
        self._log_kinds(f"val/ssim{suffix}", ssim(video, target).mean(), batch, len(target))
        still = still_cells(self.model.pad(target), *self.model.config.cell)
        if still.any():
            self._log_kinds(f"val/calm{suffix}", calm_rate(indices, still), batch, int(still.sum()))

    def _log_kinds(
        self, name: str, value: Any, batch: Batch, size: int, prog_bar: bool = False
    ) -> None:
        """Log a mean over everything, and one over clips of this kind."""
        for key in (name, f"{name}_{batch['kind']}") if "kind" in batch else (name,):
            self.log(
                key, value, prog_bar=prog_bar, batch_size=size, sync_dist=name.startswith("val")
            )

    def _count_codes(self, stage: str, indices: Tensor) -> None:
        for usage, codebook in zip(
            self.usage[stage], indices.unflatten(-1, (-1, self.model.rates)).unbind(-1)
        ):
            usage.update(codebook)

    def _log_usage(self, stage: str) -> None:
        for number, usage in enumerate(self.usage[stage], start=1):
            suffix = str(number) if self.model.rates > 1 else ""
            self.log(f"{stage}/codes_used{suffix}", float(usage.used))
            self.log(f"{stage}/perplexity{suffix}", usage.perplexity, prog_bar=stage == "train")
            if (
                stage == "train"
                and self.global_step
                >= self.quantizer_warmup * self._total_steps() + self.usage_every
            ):
                check_usage(usage)
            usage.reset()

    @rank_zero_only
    def _show(self, grid: Tensor) -> None:
        name = "reconstructions"
        folder = self.log_folder / name
        log_picture(self.trainer.loggers, name, as_image(grid), self.global_step, folder)
