"""Codes of several codebooks as the decoder knows them: one code after another.

A row of W cells becomes a row of W * Q codes: those of a cell stand side by side, coarse to fine,
so that a fine one is drawn given the coarse ones of its cell. Each codebook has codes of its own:
code c of codebook q is q * K + c.

Legend: B clips, T latent frames, H W grid of cells, Q codebooks that are used, K codes of each.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...tokenizer import VideoTokenizer


@dataclass(frozen=True)
class Codebooks:
    """The codebooks of a tokenizer that a decoder uses.

    Args:
        size: K.
        rates: how many the tokenizer has; its codes are [B, T, H, W, rates], or [B, T, H, W] with a
            single one.
        used: Q, the first ones of them.

    Raises:
        ValueError: more than there are, or none.
    """

    size: int
    rates: int = 1
    used: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.used <= self.rates:
            raise ValueError(
                f"codebooks must be 1 to {self.rates}, as many as the tokenizer has; got "
                f"{self.used}"
            )

    @classmethod
    def of(cls, tokenizer: VideoTokenizer, used: int | None = None) -> Codebooks:
        """Of a tokenizer; all of them unless told otherwise."""
        return cls(
            tokenizer.codebook_size, tokenizer.rates, tokenizer.rates if used is None else used
        )

    @property
    def vocab_size(self) -> int:
        return self.used * self.size

    def levels(self, levels: tuple[int, ...]) -> tuple[int, ...]:
        """Sizes of the dimensions of all codes, given those of one codebook's."""
        return (*levels, self.used) if levels and self.used > 1 else levels

    def in_rows(self, indices: Tensor) -> Tensor:
        """What the decoder knows, int64 [..., H, W * Q], of codes as the tokenizer has them.

        Raises:
            ValueError: codes of fewer codebooks.
        """
        if self.rates == 1:
            return indices.long()
        if indices.shape[-1] < self.used:
            raise ValueError(
                f"codes of {self.used} codebooks per cell are needed; these have "
                f"{indices.shape[-1]}"
            )
        first = torch.arange(self.used, device=indices.device) * self.size
        return (indices[..., : self.used].long() + first).flatten(-2)

    def in_cells(self, codes: Tensor) -> Tensor:
        """The inverse: int64 [..., H, W], or [..., H, W, Q] of a tokenizer with several
        codebooks. A code that belongs to another codebook (nothing forbids an untrained decoder
        to draw one) stands for the same place in its own."""
        return codes if self.rates == 1 else codes.unflatten(-1, (-1, self.used)) % self.size
