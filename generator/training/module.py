"""Training of the generator as a LightningModule, on clips and captions tokenised before.

The decoder is whole on every device (one device, or several under DDP), or divided over them
(FSDP2), as Lightning's `ModelParallelStrategy` asks. Neither changes what is computed.

Legend: B batch, T latent frames, G cells of a frame, S text length, E text width, V vocabulary.
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor

from ...data.ledger.card import save_training_data
from ...tokenizer import VideoTokenizer
from ...tokenizer.sound import SoundTokenizer
from ...training.optimizer import MuonAdamW, total_steps
from ..conditions.text_encoder import TextEncoder, fit_once
from ..model.config import DecoderConfig, DecoderSize, check_shares
from ..model.decoder import Decoder
from ..pipeline import VideoGenerator
from ..sampling.params import SamplingParams
from ..tokens.data_modules import FolderTokens, ShardTokens, TokenDataModule
from .batch_parts import Batch, Sound, audible, given_in, sound_in
from .callbacks import SampleImages, TrainingMonitor
from .flaws import ContextFlaws, Uniform, disturb, uniform
from .fsdp import divide, gather, recompute_blocks
from .lora import LoraSize, add_lora, save_adapter
from .nats import Clips, Nats, nats_of
from .start import fresh_start, start_from
from .token_weights import TokenLoss

__all__ = [
    "DecoderSize",
    "FolderTokens",
    "GeneratorModule",
    "ShardTokens",
    "TokenDataModule",
    "TokenLoss",
]


class GeneratorModule(pl.LightningModule):
    """Fits a `Decoder` to the codes of one tokenizer; every checkpoint also exports a whole
    `VideoGenerator`.

    Args:
        tokenizer: shipped name, folder or hub id of the tokenizer.
        text: folder or hub id of a Hugging Face text encoder; it stays frozen.
        fit_text: first train an encoder for the captions of a `world` into the folder `text`, if it
            is not there yet.
        world: "physics" or "stage".
        size: sizes of the decoder.
        grid: latent rows and columns of the training clips, in cells.
        codebooks: number of codes of a cell to learn, for a tokenizer that has several; None for
            all.
        block: side of the square of the tokenizer's cells that the decoder draws as one of its own:
            2 needs a quarter of the tokens.
        depth_layers: depth of the network that draws the codes of a cell, where it has several.
        wavefront: the decode order, as in `DecoderConfig`; None for that of `init_from`, or raster.
        conditions: what the decoder takes beside text, by the names in `generator.conditions`, each
            with its size; batches hold their features under that name, and under the name with
            `_given` where there are any, or recorded actions. With `init_from` they are added to
            those of that model.
        sound: learn the sound of the clips too, which the data then hold.
        sound_tokenizer: shipped name, folder or hub id of the tokenizer of sound; with `init_from`
            that of the model, if it has one.
        sound_tokens: tokens that carry the codes of a latent frame's sound; None for one of four
            codes each.
        loss: weights of the tokens.
        lr: peak learning rate of AdamW (tables, norms).
        muon_lr: peak learning rate of Muon (matrices); 0 leaves them to AdamW.
        warmup_steps: steps of linear warm-up.
        cooldown: share of the steps, at the end, over which the rates fall to zero.
        caption_dropout: share of the clips that are trained without their caption (classifier-free
            guidance).
        sound_dropout: share of the clips with sound that are trained without it.
        hidden_clips: share of the clips with hidden codes in their input, a random share of codes
            in each. The model must then read from the caption what it cannot see in the past.
        flaws: how the past of clips is disturbed as well, for long roll-outs.
        ema_decay: decay of the average of the weights, which is validated and exported; 0 turns
            averaging off. It begins lower, at (1 + step) / (10 + step), so that an average over few
            steps holds nothing of the first weights (as in TensorFlow's and timm's averages).
        backend: backend of `attention.attend`.
        recompute: compute each block again in the backward pass, to save memory.
        lora: with a rank above 0, only low-rank adapters beside the layers of `init_from` are
            trained (by AdamW at `lr`) and exported, for `kinetoscope sample --adapter`.
        samples_every: steps between pictures of samples, from captions of the validation clips; 0
            for none.
        init_from: a model to start from (shipped name, folder or hub id) in place of fresh weights:
            its tokenizer, text encoder and sizes replace those given here.
        export_dir: folder to export to; `generator` in the log folder if not given.
        sampling: how videos of the exported model are drawn where nobody says otherwise; None for
            what `init_from` says, or the usual settings.
    """

    def __init__(
        self,
        tokenizer: str = "physics-64",
        text: str = "physics-64",
        fit_text: bool = False,
        world: str = "physics",
        size: DecoderSize = DecoderSize(),
        grid: tuple[int, int] = (8, 8),
        codebooks: int | None = None,
        block: int = 1,
        depth_layers: int = DecoderConfig.depth_layers,
        wavefront: int | None = None,
        conditions: dict[str, int] | None = None,
        sound: bool = False,
        sound_tokenizer: str = "stage-256",
        sound_tokens: int | None = None,
        loss: TokenLoss = TokenLoss(),
        lr: float = 2e-3,
        muon_lr: float = 0.0,
        warmup_steps: int = 100,
        cooldown: float = 0.4,
        weight_decay: float = 0.01,
        caption_dropout: float = 0.1,
        sound_dropout: float = 0.1,
        hidden_clips: float = 0.4,
        flaws: ContextFlaws = ContextFlaws(),
        ema_decay: float = 0.998,
        backend: str = "matmul",
        recompute: bool = False,
        lora: LoraSize = LoraSize(),
        samples_every: int = 500,
        init_from: str | None = None,
        export_dir: str | None = None,
        sampling: SamplingParams | None = None,
    ) -> None:
        super().__init__()
        check_shares(caption_dropout=caption_dropout, hidden_clips=hidden_clips, cooldown=cooldown)
        check_shares(sound_dropout=sound_dropout)
        if lora.rank and sound:
            raise ValueError("lora.rank cannot teach a model sound: leave sound out")
        if lora.rank and init_from is None:
            raise ValueError("lora.rank adapts a trained model: set init_from")
        if lora.rank and wavefront is not None:
            raise ValueError("lora.rank cannot change a model's decode order: leave wavefront out")
        sounds = (sound_tokenizer, sound_tokens) if sound else None
        if init_from is None:
            if fit_text:
                fit_once(Path(text), world)
            start = fresh_start(
                tokenizer,
                text,
                size,
                grid,
                sounds,
                codebooks=codebooks,
                block=block,
                depth_layers=depth_layers,
                wavefront=wavefront or 0,
                conditions=tuple((conditions or {}).items()),
            )
        else:
            start = start_from(init_from, conditions or {}, sounds, wavefront)
        self._start = start.decoder  # weights to begin with
        self.base = start.base
        self.codebooks = start.codebooks
        self.config = start.config
        # torch does not find them in a tuple, so they are not in checkpoints
        self.learns_sound = sound
        self._frozen = (start.tokenizer.requires_grad_(False), start.text, start.sound)
        self.loss = loss
        self.lr = lr
        self.muon_lr = muon_lr
        self.weight_decay = weight_decay
        self.warmup_steps = warmup_steps
        self.cooldown = cooldown
        self.caption_dropout = caption_dropout
        self.sound_dropout = sound_dropout
        self.hidden_clips = hidden_clips
        self.flaws = flaws
        self.ema_decay = ema_decay
        self.backend = backend
        self.export_dir = export_dir
        self.sampling = start.sampling if sampling is None else sampling
        self.recompute = recompute
        self.lora = lora
        self.samples_every = samples_every
        self.divided = False
        with torch.device("meta"):
            self.model = Decoder(self.config)
        self.averaged: Decoder | None = None

    @property
    def tokenizer(self) -> VideoTokenizer:
        """Frozen."""
        return self._frozen[0]

    @property
    def text(self) -> TextEncoder:
        """Frozen."""
        return self._frozen[1]

    @property
    def sound(self) -> SoundTokenizer | None:
        """Frozen; None where no sound is learned."""
        return self._frozen[2] if self.learns_sound else None

    # ---- set-up ----

    def configure_model(self) -> None:
        """Give the decoder, until now on "meta", its weights."""
        if not self.model.no_text.is_meta:
            return
        strategy = self.trainer.strategy if self._trainer else None
        self.divided = isinstance(strategy, ModelParallelStrategy)
        if self.divided and self.lora.rank:
            raise ValueError("lora.rank trains on whole models: use the strategy ddp")
        if not self.divided:
            self.model = self._whole()
        if self.lora.rank:
            add_lora(self.model, self.lora)
        if self.ema_decay:
            self.averaged = copy.deepcopy(self.model).requires_grad_(False)
        if isinstance(strategy, ModelParallelStrategy):
            for decoder in filter(None, (self.model, self.averaged)):
                divide(decoder, self._whole, strategy.device_mesh, strategy.root_device)
        if self.recompute:
            recompute_blocks(self.model)
        self._start = None

    def cpu(self) -> GeneratorModule:
        """Lightning calls this at the end of a run.

        The run may have been refused before the decoder had weights.
        """
        return self if self.model.no_text.is_meta else super().cpu()

    def _whole(self) -> Decoder:
        """The decoder with its first weights, the same ones whenever it is made."""
        if self._start is not None:
            return self._start
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch.initial_seed())
            return Decoder(self.config)

    def configure_callbacks(self) -> list[Callback]:
        watch = TrainingMonitor()
        return (
            [watch, SampleImages(self.samples_every, watch.stopwatch)]
            if self.samples_every
            else [watch]
        )

    def configure_optimizers(self) -> Any:
        muon_lr = 0.0 if self.lora.rank else self.muon_lr
        optimizer = MuonAdamW(self.model, self.lr, muon_lr, self.weight_decay)
        total = total_steps(self.trainer)
        fall = max(1.0, self.cooldown * total)

        def factor(step: int) -> float:
            return max(0.0, min((step + 1) / max(1, self.warmup_steps), (total - step) / fall, 1.0))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    # ---- steps ----

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        codes_BTHW = batch["codes"]
        text = batch["text"]
        B = len(codes_BTHW)
        device = codes_BTHW.device
        ranks = self.trainer.world_size if self._trainer else 1
        # the same after a restart, and with any number of devices
        draw = uniform(torch.initial_seed() + self.global_step, self.global_rank, ranks, device)
        mask = batch["text_mask"] & ~(draw(B, 1) < self.caption_dropout)
        hidden = draw(B, 1, 1, 1) < self.hidden_clips
        corrupt = hidden & (draw(*codes_BTHW.shape[:4]) < draw(B, 1, 1, 1))
        given = given_in(batch, self.config, draw)
        sound = self._sound_in(batch, draw)
        past = codes_BTHW
        if self.flaws.clips:

            @torch.no_grad()
            def guess(past: Tensor) -> Tensor:
                inside = {"within": codes_BTHW, "backend": self.backend}
                return self.model(past, text, mask, given=given, **inside)

            config = self.config
            past, dark = disturb(codes_BTHW, self.flaws, config, draw, guess)
            corrupt = corrupt | dark[..., None, None]
        weight_BTG = self.loss.weights(codes_BTHW, batch["objects"])
        picked_N, weight_N = self.loss.pick(weight_BTG, draw(1))
        listened = (None, None) if sound is None else self.loss.pick_sound(audible(sound), draw(1))
        clips = Clips(codes_BTHW, past, text, mask, given, corrupt, sound)
        (summed, nats), heard = nats_of(
            self.model, clips, self.backend, (picked_N, weight_N), listened
        )
        total = weight_BTG.sum() * self.config.codebooks
        if self._trainer and ranks > 1:
            # each token counts as much as elsewhere
            total = self.trainer.strategy.reduce(total, reduce_op="mean")
        loss = summed / total
        self.log("train/loss", loss, sync_dist=True)
        # every token of an undisturbed input counts the same here
        alike_BTG = ~hidden[..., 0] / weight_BTG
        alike_N = weight_N * (
            alike_BTG.flatten() if picked_N is None else alike_BTG.flatten()[picked_N]
        )
        if alike_N.any():
            cell_nats = nats if self.config.codebooks == 1 else nats.mean(-1)
            bits = (cell_nats.flatten() * alike_N).sum() / alike_N.sum() / math.log(2)
            self.log("train/bits_per_token", bits, prog_bar=True)
        if heard is not None:
            return loss + self.loss.sound * self._sound_loss(heard, sound)
        if self.learns_sound:  # several processes wait for a gradient of every weight
            assert self.model.sound is not None
            loss = loss + 0.0 * sum(weight.sum() for weight in self.model.sound.parameters())
        return loss

    def _sound_in(self, batch: Batch, draw: Uniform | None = None) -> Sound | None:
        """None where no sound is learned, and for batches of pictures, which have none."""
        if not self.learns_sound or "sound" not in batch:
            return None
        return sound_in(batch, draw, self.sound_dropout)

    def _sound_loss(self, heard: Nats, sound: Sound | None) -> Tensor:
        """Mean nats of the codes of sound of clips that have some."""
        assert sound is not None
        codes_BTK, silent_B = sound
        count = (~silent_B).sum() * codes_BTK[0].numel()
        if self._trainer and self.trainer.world_size > 1:
            count = self.trainer.strategy.reduce(count.float(), reduce_op="mean")
        loss = heard[0] / count.clamp(min=1)
        self.log("train/sound_loss", loss, sync_dist=True)
        return loss

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        if self.averaged is not None:
            share = max(1 - self.ema_decay, 9 / (9 + self.global_step))
            with torch.no_grad():
                for average, parameter in zip(self.averaged.parameters(), self.model.parameters()):
                    average.lerp_(parameter, share)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Logs bits per token, and the extra bits of a clip under another clip's caption."""
        model = self.averaged or self.model
        codes = batch["codes"]
        text = batch["text"]
        mask = batch["text_mask"]
        given = given_in(batch, self.config)
        sound = self._sound_in(batch)
        clips = Clips(codes, codes, text, mask, given, sound=sound)
        (_, nats), heard = nats_of(model, clips, self.backend)
        bits_BTG = nats.flatten(2) / math.log(2)
        other = replace(clips, text=text.roll(1, 0), mask=mask.roll(1, 0))
        (_, swapped), _ = nats_of(model, other, self.backend)
        swapped_BTG = swapped.flatten(2) / math.log(2)
        values = {"bits_per_token": bits_BTG.mean()}
        values |= {f"bits_frame_{t}": bits for t, bits in enumerate(bits_BTG.mean((0, 2)))}
        values["caption_bits_per_clip"] = (swapped_BTG - bits_BTG).sum((1, 2)).mean()
        if heard is not None and sound is not None and not sound[1].all():
            values["sound_bits_per_code"] = heard[1][~sound[1]].mean() / math.log(2)
        self.log_dict(
            {f"val/{name}": value for name, value in values.items()},
            batch_size=len(codes),
            sync_dist=True,
        )

    # ---- export ----

    def generator(self, decoder: Decoder | None = None) -> VideoGenerator:
        """The whole model, as users load it."""
        decoder = decoder or self.averaged or self.model
        generator = VideoGenerator(decoder, self.tokenizer, self.text, self._frozen[2])
        generator.sampling = self.sampling
        return generator

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._export()

    def on_fit_end(self) -> None:
        self._export()

    def _export(self) -> None:
        """Write the averaged model, or its adapters; all processes take part."""
        model = self.averaged or self.model
        weights = gather(model) if self.divided else model.state_dict()
        if not self.trainer.is_global_zero:
            return
        if self.lora.rank:
            save_adapter(self.export_folder, weights, self.lora, *self.base)
        else:
            whole = Decoder(self.config)
            whole.load_state_dict(weights)
            self.generator(whole).save_pretrained(self.export_folder)
        learned = getattr(getattr(self.trainer, "datamodule", None), "ledger", [])
        save_training_data(self.export_folder, learned, *self.base)

    @property
    def export_folder(self) -> Path:
        return Path(
            self.export_dir
            or Path(self.trainer.log_dir or self.trainer.default_root_dir) / "generator"
        )
