"""A tokenizer of ours by name or folder, or any object with `encode` and `decode` by its path.

`encode` gets a float video `[B, 3, F, Y, X]` in [-1, 1] and returns codes of any kind, which
`decode` turns into a video of that size again. What is more is used if it is there: whole numbers
as codes with `codebook_size` give bits, codes used and perplexity; `rates` gives all of ours.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...files.model_folder import find_folder
from ...tokenizer import VideoCodes, VideoTokenizer
from ..features import find_object


@dataclass(frozen=True)
class AnyTokenizer:
    """A tokenizer and what its user calls it."""

    name: str
    model: Any

    @property
    def codebook_size(self) -> int | None:
        return getattr(self.model, "codebook_size", None)

    def indices(self, codes: Any) -> Tensor | None:
        """Whole numbers in codes, if they are some."""
        if isinstance(codes, VideoCodes):
            return codes.indices
        whole = isinstance(codes, Tensor) and not codes.is_floating_point()
        return codes if whole else None


def open_tokenizer(name: str, device: str = "cpu") -> AnyTokenizer:
    """A tokenizer of ours by name or folder, or any by its dotted path, with what it is made of
    after an equals sign (`package.module:Name=FOLDER`). ValueError if neither."""
    if ":" in name:
        path, given, argument = name.partition("=")
        found = find_object(path)
        arguments = (argument,) if given else ()
        try:
            made_here = inspect.isclass(found) or inspect.isfunction(found)
            model = found(*arguments) if made_here else found
        except (TypeError, OSError) as error:
            raise ValueError(
                f"'{name}' cannot be made of {arguments or 'nothing'}: {error}"
            ) from None
        missing = [part for part in ("encode", "decode") if not hasattr(model, part)]
        if missing:
            raise ValueError(f"'{name}' has no {' and no '.join(missing)}; a tokenizer needs both")
    else:
        find_folder(name, "tokenizer")
        model = VideoTokenizer.from_pretrained(name)
    if isinstance(model, torch.nn.Module):
        model = model.eval().to(device)
    return AnyTokenizer(name, model)
