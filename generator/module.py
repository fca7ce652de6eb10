"""Training of the generator as a LightningModule, on clips and captions that were tokenised before (token_cache.py).

Legend: B batch, T latent frames, G cells of a frame, S text length, E text width, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from filelock import FileLock
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.utils.data import DataLoader

from ..data.contact_sheet import contact_sheet
from ..data.sources import ClipSource, FolderSource
from ..data.video import to_uint8
from ..tokenizer import VideoTokenizer, frame_count
from ..tokenizer.optimizer import MuonAdamW
from .config import DecoderConfig
from .decoder import Decoder
from .pipeline import VideoGenerator
from .text import TextEncoder
from .token_cache import TokenSet, build_tokens
from .token_data import Stage, TokenBatches

Batch = dict[str, Tensor]
SAMPLES = 4  # in a picture of samples


@dataclass(frozen=True)
class DecoderSize:
    """The part of `DecoderConfig` that tokenizer and text encoder do not decide."""

    dim: int = 256
    layers: int = 8
    heads: int = 4
    kv_heads: int = 2
    sinks: int = 1
    window: int = 5
    max_distance: int = 8
    max_text: int = 48


@dataclass(frozen=True)
class TokenLoss:
    """How much a token counts: 1, plus `changed` if it differs from the same cell of the frame before (or there is
    none before), plus `objects` if its cell shows an object (where the data knows)."""

    changed: float = 1.0
    objects: float = 1.0


class GeneratorModule(pl.LightningModule):
    """Fits a `Decoder` to the codes of one tokenizer; every checkpoint also exports a whole `VideoGenerator`.

    Args:
        tokenizer: shipped name, folder or hub id of the tokenizer.
        text: folder or hub id of a Hugging Face text encoder; it stays frozen.
        fit_text: make the encoder for captions of the physics world in the folder `text` first, if it is not there yet.
        size: sizes of the decoder.
        grid: latent rows and columns of the training clips.
        loss: weights of the tokens.
        lr: peak rate of AdamW (tables, norms); `muon_lr` is that of Muon (matrices), 0 gives them to AdamW as well.
        warmup_steps: steps of linear warm-up.
        cooldown: share of the steps, at the end, over which the rates fall to zero.
        caption_dropout: share of the clips that are trained without their caption (classifier-free guidance).
        hidden_clips: share of the clips in whose input some codes are hidden, a share of them that is drawn for each
            clip. What is hidden from the past must be read from the caption.
        ema_decay: of the averaged weights that are validated and exported; 0 turns averaging off.
        backend: of `attention.attend`.
        samples_every: steps between pictures of samples, from captions of the validation clips; 0 for none.
        init_from: a model to start from (shipped name, folder or hub id) in place of fresh weights: its tokenizer, text
            encoder and sizes replace those given here.
        export_dir: where to export to; `generator` in the log folder if not given.
    """

    def __init__(
        self,
        tokenizer: str = "physics-64",
        text: str = "physics-64",
        fit_text: bool = False,
        size: DecoderSize = DecoderSize(),
        grid: tuple[int, int] = (8, 8),
        loss: TokenLoss = TokenLoss(),
        lr: float = 2e-3,
        muon_lr: float = 0.0,
        warmup_steps: int = 100,
        cooldown: float = 0.4,
        weight_decay: float = 0.01,
        caption_dropout: float = 0.1,
        hidden_clips: float = 0.4,
        ema_decay: float = 0.998,
        backend: str = "matmul",
        samples_every: int = 500,
        init_from: str | None = None,
        export_dir: str | None = None,
    ) -> None:
        super().__init__()
        shares = {"caption_dropout": caption_dropout, "hidden_clips": hidden_clips, "cooldown": cooldown}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is a share, from 0 to 1; got {share}")
        if fit_text and init_from is None:
            _fit_text(Path(text))
        if init_from is None:
            codec, encoder = VideoTokenizer.from_pretrained(tokenizer), TextEncoder.from_pretrained(text)
            config = DecoderConfig(
                vocab_size=codec.codebook_size,
                levels=codec.levels,
                text_dim=encoder.dim,
                grid=grid,
                frames_per_latent=codec.config.frames_per_latent,
                **vars(size),
            )
            self.model = Decoder(config)
        else:
            shipped = VideoGenerator.from_pretrained(init_from)
            codec, encoder, self.model = shipped.tokenizer, shipped.text, shipped.decoder.train()
        # In a tuple torch does not find them: they are not averaged (which would round them) nor in checkpoints.
        self._frozen = (codec.requires_grad_(False), encoder)
        self.loss, self.lr, self.muon_lr, self.weight_decay = loss, lr, muon_lr, weight_decay
        self.warmup_steps, self.cooldown = warmup_steps, cooldown
        self.caption_dropout, self.hidden_clips = caption_dropout, hidden_clips
        self.ema_decay, self.backend, self.export_dir = ema_decay, backend, export_dir
        self.samples_every = samples_every

    @property
    def tokenizer(self) -> VideoTokenizer:
        """Frozen."""
        return self._frozen[0]

    @property
    def text(self) -> TextEncoder:
        """Frozen."""
        return self._frozen[1]

    # ---- set-up ----

    def configure_callbacks(self) -> list[Callback]:
        return [EMAWeightAveraging(decay=self.ema_decay, use_buffers=False)] if self.ema_decay else []

    def configure_optimizers(self) -> Any:
        optimizer = MuonAdamW(self.model, self.lr, self.muon_lr, self.weight_decay)
        total = self.trainer.estimated_stepping_batches
        if math.isinf(total):
            raise ValueError("the learning rate needs to know its end: set trainer.max_steps or trainer.max_epochs")
        fall = max(1.0, self.cooldown * total)

        def factor(step: int) -> float:
            return max(0.0, min((step + 1) / max(1, self.warmup_steps), (total - step) / fall, 1.0))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    # ---- steps ----

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        codes_BTHW = batch["codes"]
        B, device = len(codes_BTHW), codes_BTHW.device
        dice = torch.Generator(device).manual_seed(torch.initial_seed() + self.global_step)  # the same after a restart
        uniform = partial(torch.rand, generator=dice, device=device)
        silent = uniform(B, 1) < self.caption_dropout
        hidden = uniform(B, 1, 1, 1) < self.hidden_clips
        corrupt = hidden & (uniform(codes_BTHW.shape) < uniform(B, 1, 1, 1))
        nats_BTG = self._nats(codes_BTHW, batch["text"], batch["text_mask"] & ~silent, corrupt)
        weight_BTG = self._weights(codes_BTHW, batch["objects"])
        loss = (nats_BTG * weight_BTG).sum() / weight_BTG.sum()
        self.log("train/loss", loss)
        clean = nats_BTG.detach()[~hidden.flatten()]
        if len(clean):
            self.log("train/bits_per_token", clean.mean() / math.log(2), prog_bar=True)
        if self.samples_every and (self.global_step + 1) % self.samples_every == 0:
            self._show_samples(codes_BTHW.shape[1])
        return loss

    def _nats(self, codes_BTHW: Tensor, text: Tensor, mask: Tensor, corrupt: Tensor | None = None) -> Tensor:
        logits_BTGV = self.model(codes_BTHW, text, mask, corrupt_mask=corrupt, backend=self.backend)
        flat = F.cross_entropy(logits_BTGV.flatten(0, 2).float(), codes_BTHW.flatten(), reduction="none")
        return flat.view(logits_BTGV.shape[:3])

    def _weights(self, codes_BTHW: Tensor, objects_BTHW: Tensor) -> Tensor:
        changed = torch.ones_like(objects_BTHW)
        changed[:, 1:] = codes_BTHW[:, 1:] != codes_BTHW[:, :-1]
        return (1 + self.loss.changed * changed + self.loss.objects * objects_BTHW).flatten(2)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Bits per token, and what the captions are worth: the extra bits of a clip under another's."""
        codes, text, mask = batch["codes"], batch["text"], batch["text_mask"]
        bits_BTG = self._nats(codes, text, mask) / math.log(2)
        swapped_BTG = self._nats(codes, text.roll(1, 0), mask.roll(1, 0)) / math.log(2)
        values = {
            "bits_per_token": bits_BTG.mean(),
            "bits_first_frame": bits_BTG[:, 0].mean(),
            "bits_last_frame": bits_BTG[:, -1].mean(),
            "caption_bits_per_clip": (swapped_BTG - bits_BTG).sum((1, 2)).mean(),
        }
        self.log_dict({f"val/{name}": value for name, value in values.items()}, batch_size=len(codes), sync_dist=True)

    @rank_zero_only
    @torch.no_grad()
    def _show_samples(self, latents: int) -> None:
        data = getattr(self.trainer, "datamodule", None)
        if not isinstance(data, TokenDataModule) or not data.captions:
            return
        frames = frame_count(latents, self.model.config.frames_per_latent)
        with torch.autocast(self.device.type, enabled=False):
            video = self.generator().generate(data.captions, frames)
        sheet = contact_sheet(to_uint8(video), data.captions)
        if isinstance(self.logger, TensorBoardLogger):
            picture = torch.frombuffer(bytearray(sheet.tobytes()), dtype=torch.uint8)
            self.logger.experiment.add_image(
                "samples", picture.view(sheet.height, sheet.width, 3), self.global_step, dataformats="HWC"
            )
        else:
            folder = self.export_folder.parent / "samples"
            folder.mkdir(parents=True, exist_ok=True)
            sheet.save(folder / f"{self.global_step:07d}.png")

    # ---- what a run leaves behind ----

    def generator(self, decoder: Decoder | None = None) -> VideoGenerator:
        """The model as users get it."""
        return VideoGenerator(decoder or self.model, self.tokenizer, self.text)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # by now the averaging callback has put its weights under "state_dict"
        if self.trainer.is_global_zero:
            averaged = Decoder(self.model.config)
            prefix = "model."
            weights = {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
            averaged.load_state_dict(weights)
            self.generator(averaged).save_pretrained(self.export_folder)

    def on_fit_end(self) -> None:
        # and here the averaged weights are those of the module
        if self.trainer.is_global_zero:
            self.generator().save_pretrained(self.export_folder)

    @property
    def export_folder(self) -> Path:
        return Path(self.export_dir or Path(self.trainer.log_dir or self.trainer.default_root_dir) / "generator")


def _fit_text(folder: Path) -> None:
    """One process fits, the others wait for it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "config.json").exists():
            from .text_fit import fit_text_encoder

            fit_text_encoder(folder)


class TokenDataModule(pl.LightningDataModule):
    """Tokenises a source of clips once, with the models of the module in training, and serves stages of it.

    Args:
        train, validation: where clips come from.
        stages: lengths and batch sizes, one after another.
        cache_dir: where codes and caption states are kept.
        seed: of the shuffling.
    """

    def __init__(
        self,
        train: ClipSource,
        validation: ClipSource | None = None,
        stages: list[Stage] = [Stage(1, 9, 8)],  # noqa: B006, B008 (never changed)
        cache_dir: str = "runs/tokens",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.train, self.validation = train, validation
        self.stages, self.cache_dir, self.seed = stages, Path(cache_dir), seed
        self._start = 0
        self.captions: list[str] = []

    def setup(self, stage: str | None = None) -> None:
        assert self.trainer is not None
        module = self.trainer.lightning_module
        assert isinstance(module, GeneratorModule)
        for part in (module.tokenizer, module.text):  # Lightning does not know them
            part.to(self.trainer.strategy.root_device)
        self.train_tokens = self._tokens(self.train, module)
        self.val_tokens = self._tokens(self.validation, module) if self.validation else None
        shown = self.validation or self.train
        captions = shown.clips(range(min(SAMPLES, len(shown))))["caption"]
        self.captions = [caption for caption in captions if caption]

    def _tokens(self, source: ClipSource, module: GeneratorModule) -> TokenSet:
        tokens = build_tokens(source, module.tokenizer, module.text, self.cache_dir)
        longest, most = int(tokens.text_length.max()), module.model.config.max_text
        if longest > most:
            raise ValueError(
                f"the longest caption has {longest} tokens and the decoder takes {most}; "
                f"shorten it, or set model.size.max_text to {longest}"
            )
        return tokens

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TokenBatches(self.train_tokens, self.stages, self.seed, self._start), batch_size=None)

    def val_dataloader(self) -> Any:
        """All of the validation clips, in batches as those of the last stage."""
        if self.val_tokens is None:
            return []
        last = self.stages[-1]
        rows = torch.arange(len(self.val_tokens)).split(last.batch_size)
        batches: Any = [self.val_tokens.batch(part, last.latents) for part in rows]
        return DataLoader(batches, batch_size=None)

    def state_dict(self) -> dict[str, Any]:
        """A resumed run goes on with the batch after the last one seen."""
        return {"batches_done": self.trainer.fit_loop.total_batch_idx + 1 if self.trainer else self._start}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._start = state_dict["batches_done"]


class FolderTokens(TokenDataModule):
    """A folder of the user's own videos as a `TokenDataModule`; see `FolderSource` for the first settings."""

    def __init__(
        self,
        root: str,
        frames: int = 33,
        size: int = 64,
        fps: float | None = None,
        rounds: int = 8,
        stages: list[Stage] = [Stage(1, 9, 8)],  # noqa: B006, B008 (never changed)
        cache_dir: str = "runs/tokens",
        seed: int = 0,
    ) -> None:
        train = FolderSource(root, frames, size, fps, rounds, seed)
        super().__init__(
            train, FolderSource(root, frames, size, fps, seed=seed, validation=True), stages, cache_dir, seed
        )
