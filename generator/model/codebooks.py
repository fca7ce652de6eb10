"""Which of a tokenizer's codes a decoder draws.

A decoder knows codes as its tokenizer has them: int64 [..., H, W] of a single codebook, and
[..., H, W, Q] of several, coarse to fine.

Legend: H W grid of cells, Q codebooks that are used, K codes of each.
"""

from __future__ import annotations

from dataclasses import dataclass

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
        """Codes of all of them."""
        return self.used * self.size

    def levels(self, levels: tuple[int, ...]) -> tuple[int, ...]:
        """Sizes of the dimensions of all codes, given those of one codebook's."""
        return (*levels, self.used) if levels and self.used > 1 else levels

    def take(self, indices: Tensor) -> Tensor:
        """The codes of a decoder, of codes as the tokenizer has them.

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
        return (indices[..., 0] if self.used == 1 else indices[..., : self.used]).long()

    def give(self, codes: Tensor) -> Tensor:
        """The inverse: codes as the tokenizer decodes them."""
        return codes[..., None] if self.used == 1 < self.rates else codes
