"""Training of the sound tokenizer as a LightningModule.

A batch is a dict: `sound` int16 or float `[B, L]`, and optionally `kind`, a word for sounds that
validation should also measure apart from others.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from ....training.optimizer import MuonAdamW, total_steps, warm_cosine
from ...metrics import CodeUsage
from ...training.averaged_module import AveragedModule
from ..config import SoundTokenizerConfig
from ..model import SoundTokenizer
from ..spectra import mel_distance, si_sdr
from .losses import SoundLossWeights, parts_loss, sound_loss

Batch = dict[str, Any]


def to_float(sound: Tensor) -> Tensor:
    """Samples of 16 bits to float in [-1, 1]; others as they are."""
    return sound.float() / 32768 if sound.dtype == torch.int16 else sound


class SoundTokenizerModule(AveragedModule):
    """Fits a `SoundTokenizer`; at every checkpoint and at the end exports a folder for
    `from_pretrained`, in float16.

    With several codebooks each sound is trained at a rate drawn at random; validation measures
    every rate.

    Args:
        tokenizer: sizes of the model; those of `SoundTokenizerConfig` if not given.
        loss: weights of the loss terms.
        lr: peak learning rate of AdamW, reached after `warmup_steps`, then a cosine down to a
            fiftieth of it.
        muon_lr: that of Muon, which takes the linear layers; 0 leaves them to AdamW.
        warmup_steps: steps of linear warm-up.
        weight_decay: of matrices only.
        quantizer_warmup: share of the steps, at the start, without quantizer (none if there is an
            `init_from`).
        rate_weights: how often a sound is trained with 1, 2, ... codebooks, one number each;
            equally often if not given.
        parts_first: share of the steps, at the start, that learn the loudness of tones and noises
            alone, which is faster and easier than to learn them from spectra.
        ema_decay: of the averaged weights that are validated and exported; 0 turns averaging off.
        init_from: a sound tokenizer to start from (shipped name, folder or hub id).
        export_dir: where to export to; `sound` in the log folder if not given.
    """

    part = "sound"
    model: SoundTokenizer

    def __init__(
        self,
        tokenizer: SoundTokenizerConfig | None = None,
        loss: SoundLossWeights = SoundLossWeights(),
        lr: float = 1e-3,
        muon_lr: float = 0.0,
        warmup_steps: int = 100,
        weight_decay: float = 0.01,
        quantizer_warmup: float = 0.05,
        rate_weights: list[float] | None = None,
        parts_first: float = 0.5,
        ema_decay: float = 0.998,
        init_from: str | None = None,
        export_dir: str | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= quantizer_warmup < 1:
            raise ValueError(
                "quantizer_warmup is a share of the steps, from 0 to below 1; got "
                f"{quantizer_warmup}"
            )
        if not 0 <= parts_first < 1:
            raise ValueError(
                f"parts_first is a share of the steps, from 0 to below 1; got {parts_first}"
            )
        if init_from is None:
            self.model = SoundTokenizer(tokenizer)
        else:
            self.model = SoundTokenizer.from_pretrained(init_from).train()
            if tokenizer not in (None, self.model.config):
                raise ValueError(
                    f"{init_from} has other sizes than `tokenizer`; leave that out to take them "
                    "over"
                )
        self.loss = loss
        self.lr = lr
        self.muon_lr = muon_lr
        self.warmup_steps = warmup_steps
        self.weight_decay = weight_decay
        self.quantizer_warmup = 0.0 if init_from else quantizer_warmup
        self.parts_first = parts_first
        self.rate_weights = rate_weights or [1.0] * self.model.rates
        if len(self.rate_weights) != self.model.rates or min(self.rate_weights) < 0:
            raise ValueError(
                f"rate_weights needs {self.model.rates} numbers of 0 or more; got {rate_weights}"
            )
        self.ema_decay = ema_decay
        self.export_dir = export_dir
        codes = self.model.codebook_size
        self.usage = [CodeUsage(codes) for _ in range(self.model.rates)]

    def configure_optimizers(self) -> Any:
        optimizer = MuonAdamW(self.model, self.lr, self.muon_lr, self.weight_decay)
        factor = partial(warm_cosine, warmup=self.warmup_steps, total=self._total_steps())
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"},
        }

    def _total_steps(self) -> int:
        return total_steps(self.trainer)

    # ---- steps ----

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        target = self._whole(to_float(batch["sound"]))
        quantize = self.global_step >= self.quantizer_warmup * self._total_steps()
        result = self.model(target, quantize, self._draw_rates(len(target)))
        parts = parts_loss(result.mix, target, self.model.config)
        terms = {"parts": parts}
        loss = self.loss.parts * parts
        if self.global_step >= self.parts_first * self._total_steps():
            spectra, more = sound_loss(result.wave, target, self.loss, self.model.config.rate)
            loss = loss + spectra
            terms |= more
        self.log("train/loss", loss, prog_bar=True)
        self.log_dict({f"train/{name}": term.detach() for name, term in terms.items()})
        return loss + result.loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        target = self._whole(to_float(batch["sound"]))
        codes = self.model.encode(target)
        for rate in range(1, self.model.rates + 1):
            wave = self.model.decode(codes if rate == self.model.rates else codes.prefix(rate))
            suffix = f"_rate{rate}" if rate < self.model.rates else ""
            distance = mel_distance(wave, target, self.model.config.rate)
            self._log_kinds(f"val/mel_db{suffix}", distance.mean(), batch, len(target))
            sounds = target.abs().amax(1) > 0.01
            if sounds.any():
                ratio = si_sdr(wave[sounds], target[sounds]).mean()
                self._log_kinds(f"val/si_sdr{suffix}", ratio, batch, int(sounds.sum()))
        indices = codes.indices.unflatten(-1, (-1, self.model.rates)).unbind(-1)
        for usage, codebook in zip(self.usage, indices):
            usage.update(codebook)

    def on_validation_epoch_end(self) -> None:
        for number, usage in enumerate(self.usage, start=1):
            self.log(f"val/codes_used{number}", float(usage.used))
            self.log(f"val/perplexity{number}", usage.perplexity)
            usage.reset()

    def _whole(self, wave_BL: Tensor) -> Tensor:
        """Without the rest that fills no code."""
        step = self.model.config.latent_samples // self.model.config.codes_per_latent
        if wave_BL.shape[1] < step:
            raise ValueError(f"sounds must have at least {step} samples; got {wave_BL.shape[1]}")
        return wave_BL[:, : wave_BL.shape[1] // step * step]

    def _draw_rates(self, sounds: int) -> Tensor | None:
        """How many codebooks each sound is decoded from, `[B]`; the same draws after a restart."""
        if self.model.rates == 1:
            return None
        generator = torch.Generator().manual_seed(self.global_step)
        weights = torch.tensor(self.rate_weights, dtype=torch.float)
        return 1 + torch.multinomial(weights, sounds, replacement=True, generator=generator)

    def _log_kinds(self, name: str, value: Any, batch: Batch, size: int) -> None:
        """Log a mean over everything, and one over sounds of this kind."""
        for key in (name, f"{name}_{batch['kind']}") if "kind" in batch else (name,):
            self.log(key, value, batch_size=size, sync_dist=True)
