"""The words of a small text encoder, read by the `tokenizers` package alone.

It stands in for the fast tokenizers of transformers, which call the same package, where a folder
asks for nothing that they would add to it.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from ...files.atomic import whole_file

TOKENIZER = "tokenizer.json"
SETTINGS = "tokenizer_config.json"
# What the settings must say, and what else they may say: it changes nothing without truncation.
EXACTLY = {"tokenizer_class": "TokenizersBackend", "backend": "tokenizers", "padding_side": "right"}
NAMED = ("pad_token", "unk_token", "cls_token", "sep_token")
OTHERS = (
    "is_local",
    "local_files_only",
    "max_length",
    "model_max_length",
    "pad_to_multiple_of",
    "pad_token_type_id",
    "stride",
    "truncation_side",
    "truncation_strategy",
)


def is_plain(settings: dict[str, Any], tokenizer: dict[str, Any]) -> bool:
    """Whether these two files of a Hugging Face folder ask for no more than `WordPieces` does."""
    if any(name not in (*EXACTLY, *NAMED, *OTHERS) for name in settings):
        return False
    special = [token["content"] for token in tokenizer["added_tokens"] if token["special"]]
    return (
        all(settings.get(name) == value for name, value in EXACTLY.items())
        and all(settings.get(name) in special for name in NAMED)
        and isinstance(settings.get("model_max_length"), int)
        and settings.get("pad_to_multiple_of") is None
        and tokenizer["truncation"] is None
        and tokenizer["post_processor"] is not None
    )


class WordPieces:
    """Captions to the numbers of their tokens.

    Args:
        settings: the text of tokenizer_config.json.
        tokenizer: the text of tokenizer.json.
    """

    def __init__(self, settings: str, tokenizer: str) -> None:
        self.files = {SETTINGS: settings, TOKENIZER: tokenizer}
        values = json.loads(settings)
        self.model_max_length = int(values["model_max_length"])
        self.unk_token = str(values["unk_token"])
        self.pieces = Tokenizer.from_str(tokenizer)
        pad = str(values["pad_token"])
        self.pieces.enable_padding(pad_id=self.pieces.token_to_id(pad), pad_token=pad)

    def __call__(self, captions: Sequence[str], **_: Any) -> dict[str, Tensor]:
        """Numbers of the tokens and mask of the real ones, int64 [B, S], padded on the right."""
        found = self.pieces.encode_batch(list(captions))
        return {
            "input_ids": torch.tensor([caption.ids for caption in found]),
            "attention_mask": torch.tensor([caption.attention_mask for caption in found]),
        }

    def __len__(self) -> int:
        return self.pieces.get_vocab_size()

    def get_vocab(self) -> dict[str, int]:
        return self.pieces.get_vocab()

    def tokenize(self, text: str) -> list[str]:
        """The tokens of a text, without those that begin and end a caption."""
        return self.pieces.encode(text, add_special_tokens=False).tokens

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write the two files as they were read."""
        for name, text in self.files.items():
            with whole_file(Path(folder) / name) as file:
                file.write(text.encode("utf-8"))
