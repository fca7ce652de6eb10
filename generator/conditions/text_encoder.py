"""Captions to states, by any Hugging Face text encoder. It stays frozen.

Small encoders, such as the one that ships, are read without transformers, whose import takes
longer than drawing a video: see `small_modernbert`. All others go through it.

Legend: B captions, S length of the longest in tokens, E width of a state.
"""

import copy
import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...files.caller_settings import own_settings, wanted_device
from ...files.config_fields import whole
from ...files.errors import UnreadableFile
from ...files.fingerprint import fingerprint
from ...files.memory_limit import MemoryLimit
from ...files.model_folder import (
    CONFIG,
    SLACK,
    WEIGHTS,
    find_folder,
    load_model,
    read_config,
)
from ...files.tensors import tensor_shapes
from . import words as everyday
from .small_modernbert import SmallModernBert, is_small_modernbert
from .word_pieces import SETTINGS, TOKENIZER, WordPieces, is_plain

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

UNLIMITED = 1 << 20  # what a tokenizer without a limit reports is far above
STAGE = "stage"
MOST_NAMED = 12  # words that a remark names
AT_ONCE = 256  # captions that are counted at once
LONGEST_REASON = 300  # characters of what transformers says
SURROGATES = re.compile("[\ud800-\udfff]")  # which stand for bytes that are no UTF-8
PUNCTUATION = (  # outside ASCII: Chinese, dashes and quotes, Spanish, Arabic, Hindi
    "\u3001\u3002\uff0c\uff01\uff1f\u300c\u300d\u2026\u2013\u2014"
    "\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb\u00a1\u00bf\u060c\u061f\u0964"
)
WORD = re.compile(rf"[^\s\d!-/:-@\[-`{{-~{PUNCTUATION}]+")
FILES = {CONFIG, WEIGHTS, SETTINGS, TOKENIZER}


class TextEncoder(nn.Module):
    """A frozen text encoder with its tokenizer.

    Args:
        model: gives `last_hidden_state`; of an encoder-decoder only the encoder is kept.
        tokenizer: the one that it was trained with.
    """

    def __init__(
        self,
        model: "PreTrainedModel | SmallModernBert",
        tokenizer: "PreTrainedTokenizerBase | WordPieces",
    ) -> None:
        super().__init__()
        given: Any = model
        self.model: Any = given.get_encoder() if given.config.is_encoder_decoder else given
        self.tokenizer: Any = tokenizer
        self.dim = int(model.config.hidden_size)
        self.world: str | None = getattr(model.config, "world", None)  # whose captions it learned
        positions = getattr(model.config, "max_position_embeddings", None) or UNLIMITED
        self.vocabulary = int(getattr(model.config, "vocab_size", None) or UNLIMITED)
        self.max_tokens = min(int(tokenizer.model_max_length), int(positions), UNLIMITED)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "TextEncoder":
        """Stays in evaluation mode: the states of a caption are the same in training and in
        sampling."""
        return super().train(False)

    @property
    def id(self) -> str:
        """Short hash of weights and vocabulary; it names what was computed with them."""
        return fingerprint({"vocabulary": self.tokenizer.get_vocab()}, self.model.state_dict())

    def forward(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        return self.encode(captions)

    @own_settings()
    @torch.no_grad()
    def encode(self, captions: Sequence[str], limit: int | None = None) -> tuple[Tensor, Tensor]:
        """States float [B, S, E] and the mask of real tokens bool [B, S], padded on the right.

        Args:
            limit: most tokens per caption, special ones included, if fewer than the encoder itself
                takes.

        Raises:
            ValueError: no caption, an empty one, or one that is too long; or the tokenizer is that
                of another encoder.
        """
        if isinstance(captions, str) or not captions:
            raise ValueError("captions must be a list of at least one sentence")
        _check_sentences(captions)
        tokens = self._tokens(captions)
        mask = tokens["attention_mask"].bool()
        self._check_lengths(captions, mask.sum(1), limit)
        most = int(tokens["input_ids"].max())
        if most >= self.vocabulary:
            raise ValueError(
                f"the tokenizer gives token {most}, and the text encoder knows {self.vocabulary}: "
                "its files do not fit each other"
            )
        device = next(self.model.parameters()).device
        inputs = {name: tokens[name].to(device) for name in ("input_ids", "attention_mask")}
        return self.model(**inputs).last_hidden_state, mask.to(device)

    def check(self, captions: Sequence[str], limit: int | None = None) -> None:
        """Raise what `encode` would raise for any of these, thousands in seconds."""
        _check_sentences(captions)
        for begin in range(0, len(captions), AT_ONCE):
            some = captions[begin : begin + AT_ONCE]
            self._check_lengths(some, self.lengths(some), limit)

    def lengths(self, captions: Sequence[str]) -> Tensor:
        """Tokens of each caption, special ones included, int64."""
        return self._tokens(captions)["attention_mask"].sum(1)

    def most_tokens(self, limit: int | None = None) -> int:
        """Tokens that a caption may have, where a model takes `limit`."""
        return min(self.max_tokens, limit or self.max_tokens)

    def _tokens(self, captions: Sequence[str]) -> Any:
        return self.tokenizer(
            list(captions), padding=True, padding_side="right", return_tensors="pt", verbose=False
        )

    def _check_lengths(self, captions: Sequence[str], lengths: Tensor, limit: int | None) -> None:
        most = self.most_tokens(limit)
        longest = int(lengths.argmax())
        if lengths[longest] > most:
            start = captions[longest].strip()[:40]
            raise ValueError(
                f"the prompt that begins {start!r} has {int(lengths[longest])} tokens; the "
                f"model takes {most}. Shorten it"
            )

    def unknown_words(self, captions: Sequence[str]) -> list[str]:
        """Words, in any script, that the tokenizer spells letter by letter or replaces by its
        unknown token; of Latin ones those of three letters and more.

        An encoder that was trained with a small vocabulary has hardly read them, and what it makes
        of them is chance.
        """
        words = dict.fromkeys(word for caption in captions for word in _words(caption.lower()))
        return [word for word in words if not self._knows(word)]

    def remarks(self, captions: Sequence[str]) -> list[str]:
        """Lines on words that it may not know, and what it knows in their place where that is
        known."""
        spelled = self.unknown_words(captions)
        lines = []
        if self.world == STAGE:
            lines = everyday.unknown(*captions)
            spelled = [word for word in spelled if not everyday.is_listed(word)]
        if spelled:
            more = f" and {len(spelled) - MOST_NAMED} more" if len(spelled) > MOST_NAMED else ""
            lines.append(
                "the text encoder spells these words letter by letter and may not know them: "
                f"{', '.join(spelled[:MOST_NAMED])}{more}"
            )
        return lines

    def _knows(self, word: str) -> bool:
        pieces = self.tokenizer.tokenize(word)
        parts = [part for part in pieces if part.strip("\u2581\u0120#")]
        if self.tokenizer.unk_token in parts:
            return False
        if is_ideographic(word):  # each sign is a word
            return len(parts) <= len(word)
        return len(parts) < len(word) or len(parts) == 1

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str]) -> "TextEncoder":
        """From a shipped model, a folder (of an encoder or of a whole model) or a hub id;
        safetensors only.

        Raises:
            ValueError: there is no such encoder, or its files do not fit each other.
        """
        folder = find_folder(name, "text")
        device = wanted_device()
        with own_settings():
            return cls(*(read_small(folder) or read_any(folder))).to(device)

    def save_pretrained(self, folder: str | os.PathLike[str], half: bool = True) -> None:
        """Write an ordinary Hugging Face folder; `half` stores float16 (to compute in float32
        again)."""
        model = copy.deepcopy(self.model).half() if half else self.model
        model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def _check_sentences(captions: Sequence[str]) -> None:
    """ValueError for an empty one, or one that is no Unicode."""
    for index, caption in enumerate(captions):
        which = f"prompt {index + 1} of {len(captions)}"
        if not isinstance(caption, str):
            raise ValueError(f"{which} must be text; got {type(caption).__name__}")
        if not caption.strip():
            raise ValueError(f"{which} is empty; say what the video shows")
        if SURROGATES.search(caption):
            raise ValueError(f"{which} holds bytes that are no UTF-8; write it in UTF-8")


def _words(text: str) -> list[str]:
    """What stands between blanks, digits and punctuation; short Latin words are left out."""
    words = WORD.findall(text)
    return [word for word in words if len(word) > 2 or not word.isascii()]


def is_ideographic(word: str) -> bool:
    """Whether a word has signs of Chinese or Japanese, which puts no blanks between words."""
    return any("\u3040" <= sign <= "\u30ff" or "\u4e00" <= sign <= "\u9fff" for sign in word)


def read_small(folder: Path) -> tuple[SmallModernBert, WordPieces] | None:
    """Model and tokenizer of a folder of exactly the kind that is read here, or None.

    Damaged files are left to `read_any` too, which says what is wrong with them.
    """
    names = {file.name for file in folder.iterdir() if not file.name.startswith(".")}
    if names - {"README.md"} != FILES:
        return None
    try:
        config = read_config(folder)
        settings, tokenizer = ((folder / name).read_text("utf-8") for name in (SETTINGS, TOKENIZER))
        if not (
            is_small_modernbert(config) and is_plain(json.loads(settings), json.loads(tokenizer))
        ):
            return None
        model = load_model(folder, lambda: SmallModernBert(config))
        return model, WordPieces(settings, tokenizer)
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError):
        return None


def read_any(folder: Path) -> tuple["PreTrainedModel", "PreTrainedTokenizerBase"]:
    """Model and tokenizer of any folder of a text encoder, through transformers.

    Raises:
        UnreadableFile: its files are none, or do not fit each other.
    """
    from transformers import AutoModel, AutoTokenizer

    shapes = [shape for shape, _ in tensor_shapes(folder / WEIGHTS).values()]
    _check_layers(folder, len(shapes))
    held = sum(map(math.prod, shapes))
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        with MemoryLimit(4 * held + SLACK):
            model, found = AutoModel.from_pretrained(
                folder,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                **local,
            )
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
    except Exception as error:  # whatever a config of theirs trips over
        said = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableFile(
            f"'{folder}' holds no usable Hugging Face text encoder: {said[:LONGEST_REASON]}"
        ) from error
    _check_read(folder, model, found)
    _check_reading(folder, model, tokenizer)
    return model, tokenizer


def _check_layers(folder: Path, tensors: int) -> None:
    """UnreadableFile for more layers than there are weights: making them would take hours."""
    for name, value in read_config(folder).items():
        if name.endswith("layers"):
            try:
                whole(value, name, (0, tensors))
            except ValueError as error:
                raise UnreadableFile(f"'{folder / CONFIG}': {error}") from error


def _check_read(folder: Path, model: "PreTrainedModel", found: dict[str, Any]) -> None:
    """UnreadableFile if weights that the states depend on were made up, or are no numbers."""
    missing = [name for name in sorted(found["missing_keys"]) if not name.startswith("pooler.")]
    unlike = [str(name) for name in found["mismatched_keys"]]
    for name in (*missing, *unlike):
        raise UnreadableFile(f"{folder / WEIGHTS} lacks {name}, or has it in another shape")
    for name, parameter in model.named_parameters():
        if not math.isfinite(parameter.detach().sum()) and not parameter.isfinite().all():
            raise UnreadableFile(
                f"{folder / WEIGHTS} is damaged: {name} holds something that is no number"
            )


@torch.no_grad()
def _check_reading(
    folder: Path, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase"
) -> None:
    """UnreadableFile if a word cannot be read, as with a dropout that is no number."""
    try:
        TextEncoder(model.eval(), tokenizer).encode(["a"])
    except Exception as error:  # whatever a config of theirs trips over
        said = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableFile(
            f"the text encoder in '{folder}' cannot read a word: {said[:LONGEST_REASON]}"
        ) from error


def fit_once(folder: Path, world: str) -> None:
    """Fit the caption encoder of a world into `folder`, unless it is there. One process does;
    others wait."""
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "config.json").exists():
            from ..training.caption_encoder import fit_text_encoder

            fit_text_encoder(folder, world)
