"""Lightning data modules of the generator.

Clips come from sources that are tokenised at the start and kept, from folders of videos, or from
shards that `kinetoscope prepare` wrote.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ...data.datasets.shards import Shards
from ...data.datasets.source import ClipSource, FolderSource
from ...data.datasets.wanted import Wanted
from ...data.ledger.content import KnownContents
from ...data.ledger.rows import LedgerRow
from ...data.ledger.sources import (
    check_shard_licences,
    ledger_of_shards,
    ledger_of_source,
    struck_out_of,
)
from ...tokenizer.sound import SoundTokenizer
from ..conditions.text_encoder import TextEncoder
from ..model.config import DecoderConfig
from .batch import Stage, TokenBatches, Tokens
from .cache import build_tokens
from .long_captions import LongCaptions, check_choice, fitting
from .shards import shard_tokens

SAMPLES = 4  # captions for a picture of samples
LOOKED_AT = 256  # clips, of which some must have sound where it is learned


class TokenData(pl.LightningDataModule):
    """Serves stages of tokenised clips; subclasses load them.

    Every process of a run gets clips of its own. The batch size of a stage is that of one process.
    """

    def __init__(
        self,
        stages: list[Stage],
        seed: int,
        workers: int = 0,
        long_captions: LongCaptions = "stop",
    ) -> None:
        super().__init__()
        check_choice(long_captions)
        self.long_captions = long_captions
        self.stages = stages
        self.seed = seed
        self.workers = workers
        self.pictures: Tokens | None = None  # for the stages' batches of pictures
        self.captions: list[str] = []
        self.ledger: list[LedgerRow] = []  # of what is learned from, once it is loaded
        self._start = 0

    def load(self, module: Any) -> tuple[Tokens, Tokens | None, list[str]]:
        """Clips to train on, clips to validate on, and captions for pictures of samples."""
        raise NotImplementedError

    def setup(self, stage: str | None = None) -> None:
        assert self.trainer is not None
        module: Any = self.trainer.lightning_module
        # Lightning does not know them
        for part in filter(None, (module.tokenizer, module.text, module.sound)):
            part.to(self.trainer.strategy.root_device)
        self.train_tokens, self.val_tokens, captions = self.load(module)
        self.captions = [caption for caption in captions[:SAMPLES] if caption]
        self._check_grid(module.config)
        if module.sound is not None:
            self._check_sound()
        most = module.config.max_text
        for tokens in (self.train_tokens, self.val_tokens):
            if tokens is not None and tokens.longest_text > most:
                raise ValueError(
                    f"the longest caption has {tokens.longest_text} tokens and the decoder takes "
                    f"{most}; shorten it, or set model.size.max_text to {tokens.longest_text}"
                )

    def _check_grid(self, config: DecoderConfig) -> None:
        first = self.train_tokens.rows(1)[:1]
        H, W = self.train_tokens.batch(first, 1)["codes"].shape[2:4]
        if config.grid != (H, W):
            b = config.block
            rows, columns = config.grid
            raise ValueError(
                f"the clips have {H * b} x {W * b} cells and the model {rows * b} x {columns * b}; "
                f"set model.grid=[{H * b},{W * b}], or take clips of another size"
            )

    def _check_sound(self) -> None:
        rows = self.train_tokens.rows(1)
        some = rows[:: 1 + len(rows) // LOOKED_AT]
        if not bool(self.train_tokens.batch(some, 1)["heard"].any()):
            raise ValueError(
                f"none of {len(some)} clips has a sound track; leave model.sound out, or give "
                "videos with sound"
            )

    def train_dataloader(self) -> DataLoader[Any]:
        assert self.trainer is not None
        rank = self.trainer.global_rank
        ranks = self.trainer.world_size
        batches = TokenBatches(
            self.train_tokens, self.stages, self.seed, self._start, rank, ranks, self.pictures
        )
        return DataLoader(batches, batch_size=None, num_workers=self.workers)

    def val_dataloader(self) -> Any:
        """All validation clips, in batches as in the last stage; Lightning divides them."""
        if self.val_tokens is None:
            return []
        return DataLoader(_InOrder(self.val_tokens, self.stages[-1]), batch_size=None)

    def state_dict(self) -> dict[str, Any]:
        """A resumed run continues with the batch after the last one used."""
        return {
            "batches_done": self.trainer.fit_loop.total_batch_idx + 1
            if self.trainer
            else self._start
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._start = state_dict["batches_done"]


class _InOrder(Dataset[dict[str, Tensor]]):
    """Every clip that is long enough for a stage, once, in batches."""

    def __init__(self, tokens: Tokens, stage: Stage) -> None:
        self.tokens = tokens
        self.latents = stage.latents
        self.parts = [
            part for part in tokens.rows(stage.latents).split(stage.batch_size) if len(part)
        ]

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.tokens.batch(self.parts[index], self.latents)


class TokenDataModule(TokenData):
    """Tokenises a source of clips once, with the models of the training run, and keeps the result.

    Args:
        train, validation: sources of clips.
        pictures: a source of clips of one frame, for stages that have pictures, which teach no
            sound; without it they are the first frames of `train`.
        stages: lengths and batch sizes, one after another.
        cache_dir: folder for codes and caption states.
        seed: seed of the shuffling.
        long_captions: what becomes of captions of a folder with more tokens than the model takes:
            "stop", "cut" to the words that fit, or "skip", with the clips that have no other.
        require_licence: refuse videos whose licence is none of these SPDX names, such as
            "CC-BY-4.0,CC0-1.0".
    """

    def __init__(
        self,
        train: ClipSource,
        validation: ClipSource | None = None,
        stages: list[Stage] = [Stage(1, 9, 8)],  # noqa: B006 (never changed)
        cache_dir: str = "runs/tokens",
        seed: int = 0,
        long_captions: LongCaptions = "stop",
        require_licence: str | None = None,
        pictures: ClipSource | None = None,
    ) -> None:
        super().__init__(stages, seed, long_captions=long_captions)
        self.require_licence = require_licence
        self.train = train
        self.validation = validation
        self.picture_source = pictures
        self.cache_dir = Path(cache_dir)

    def load(self, module: Any) -> tuple[Tokens, Tokens | None, list[str]]:
        contents = KnownContents(self.cache_dir / "contents.json")
        self.ledger = ledger_of_source(self.train, contents, self.require_licence)
        if self.validation is not None:
            ledger_of_source(self.validation, contents, self.require_licence)
        if self.picture_source is not None and any(stage.pictures for stage in self.stages):
            self.ledger += ledger_of_source(self.picture_source, contents, self.require_licence)
            most = module.text.most_tokens(module.config.max_text)
            pictures = self._fitting(self.picture_source, module.text, most)
            self.pictures = self._tokens(pictures, module, silent=True)
        train = self._suited(self.train, module)
        validation = self.validation and self._suited(self.validation, module)
        tokens = self._tokens(train, module)
        kept_back = None if validation is None else self._tokens(validation, module)
        shown = validation or train
        return tokens, kept_back, shown.clips(range(min(SAMPLES, len(shown))))["caption"]

    def _tokens(self, source: ClipSource, module: Any, silent: bool = False) -> Tokens:
        sound = None if silent else module.sound
        return build_tokens(
            source, module.tokenizer, module.text, self.cache_dir, module.codebooks, sound
        )

    def _suited(self, source: ClipSource, module: Any) -> ClipSource:
        """A source with what the model learns, and captions that it takes."""
        most = module.text.most_tokens(module.config.max_text)
        source = self._fitting(source, module.text, most)
        return source if module.sound is None else with_sound(source, module.sound)

    def _fitting(self, source: ClipSource, text: TextEncoder, most: int) -> ClipSource:
        """A source without captions that are too long."""
        if not isinstance(source, FolderSource):
            return source
        captions = source.captions()
        names = {row: str(source.folder.entries[row].path) for row in captions}
        changed = fitting(captions, names, text, most, self.long_captions)
        return source.reword(changed, f"{self.long_captions} {most}") if changed else source


def with_sound(source: ClipSource, tokenizer: SoundTokenizer) -> ClipSource:
    """A source whose clips bring their sound along.

    Raises:
        ValueError: it cannot, or not at the rate of the tokenizer.
    """
    add = getattr(source, "with_sound", None)
    if add is None:
        raise ValueError("these clips have no sound; leave model.sound out")
    changed: ClipSource = add(tokenizer.config.rate, tokenizer.config.frame_samples)
    return changed


class FolderTokens(TokenDataModule):
    """A folder of the user's own videos; `FolderSource` explains the first settings, and
    `TokenDataModule` the last."""

    def __init__(
        self,
        root: str,
        frames: int = 33,
        size: int = 64,
        fps: float | None = None,
        rounds: int = 8,
        require_licence: str | None = None,
        stages: list[Stage] = [Stage(1, 9, 8)],  # noqa: B006 (never changed)
        cache_dir: str = "runs/tokens",
        seed: int = 0,
        long_captions: LongCaptions = "stop",
        wanted: Wanted = Wanted(),
        validation_split: str | None = None,
        actions: bool = False,
    ) -> None:
        check_choice(long_captions)
        train = FolderSource(
            root,
            frames,
            size,
            fps,
            rounds,
            seed,
            wanted=wanted,
            validation_split=validation_split,
            actions=actions,
        )
        validation = train.for_validation()
        super().__init__(train, validation, stages, cache_dir, seed, long_captions, require_licence)


class ShardTokens(TokenData):
    """Shards that `kinetoscope prepare` wrote, read from the disk as they are needed.

    Args:
        root: the folder of the shards.
        held_out: share of the videos that are for validation and never trained on.
        stages: lengths and batch sizes, one after another. A stage takes the clips that are long
            enough for it and cuts them to their first latent frames (`prepare --clip-frames` cuts
            long videos into clips of one length).
        workers: processes that read ahead.
        seed: seed of the shuffling.
        long_captions: as in `TokenDataModule`, of shards that hold captions as words.
        require_licence: refuse clips whose licence is none of these SPDX names.
    """

    def __init__(
        self,
        root: str,
        held_out: float = 0.02,
        stages: list[Stage] = [Stage(1, 9, 8)],  # noqa: B006 (never changed)
        workers: int = 0,
        seed: int = 0,
        long_captions: LongCaptions = "stop",
        require_licence: str | None = None,
    ) -> None:
        super().__init__(stages, seed, workers, long_captions)
        self.require_licence = require_licence
        self.shards = Shards(root)
        self.held_out = held_out

    def load(self, module: Any) -> tuple[Tokens, Tokens | None, list[str]]:
        check_shard_licences(self.shards, self.require_licence)
        struck = struck_out_of(self.shards)
        arguments = module.tokenizer, module.text, self.held_out, self.seed, module.codebooks
        most = module.text.most_tokens(module.config.max_text)
        train, validation = shard_tokens(
            self.shards, *arguments, most, self.long_captions, left_out=struck, sound=module.sound
        )
        self.ledger = ledger_of_shards(self.shards, train.clips, struck)
        return train, validation, (validation or train).captions(SAMPLES)
