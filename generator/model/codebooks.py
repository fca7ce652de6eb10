"""Which of a tokenizer's codes a decoder draws, and which of them one of its cells stands for.

The decoder runs once for each of its cells and draws the codes of that cell one after another
(depth.py). A cell has a code of each codebook, coarse to fine, and may stand for a square of cells
of the tokenizer: so pictures with many codes need few tokens.

Legend: H W grid of the decoder, R codebooks of the tokenizer, b side of the square (in cells of the
tokenizer), Q codes of a cell of the decoder, K codes of a codebook.
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
        rates: R; the tokenizer's codes are [..., bH, bW, R], or [..., bH, bW] with a single one.
        used: how many the decoder uses, the first ones of them.
        block: b.

    Raises:
        ValueError: more than there are, or none.
    """

    size: int
    rates: int = 1
    used: int = 1
    block: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.used <= self.rates:
            raise ValueError(
                f"codebooks must be 1 to {self.rates}, as many as the tokenizer has; got "
                f"{self.used}"
            )
        if self.block < 1:
            raise ValueError(f"block must be at least 1; got {self.block}")

    @classmethod
    def of(cls, tokenizer: VideoTokenizer, used: int | None = None, block: int = 1) -> Codebooks:
        """Of a tokenizer; all of them unless told otherwise."""
        rates = tokenizer.rates
        return cls(tokenizer.codebook_size, rates, rates if used is None else used, block)

    @property
    def count(self) -> int:
        """Q."""
        return self.used * self.block**2

    @property
    def vocab_size(self) -> int:
        """Codes of a cell, those of each of its places counted apart."""
        return self.count * self.size

    def levels(self, levels: tuple[int, ...]) -> tuple[int, ...]:
        """Sizes of the dimensions of all codes, given those of one codebook's."""
        return (*levels, self.count) if levels and self.count > 1 else levels

    def grid(self, rows: int, columns: int) -> tuple[int, int]:
        """H and W for so many rows and columns of the tokenizer's cells.

        Raises:
            ValueError: they cannot be divided into squares.
        """
        if rows % self.block or columns % self.block:
            raise ValueError(
                f"a grid of {rows} x {columns} cells cannot be divided into squares of "
                f"{self.block} x {self.block}; set model.block, or take clips of another size"
            )
        return rows // self.block, columns // self.block

    def take(self, indices: Tensor) -> Tensor:
        """The decoder's codes, int64 [..., H, W], or [..., H, W, Q] if Q > 1, of the tokenizer's.

        Those of the first codebook come first, row by row of the square.

        Raises:
            ValueError: codes of fewer codebooks.
        """
        if self.rates > 1 and indices.shape[-1] < self.used:
            raise ValueError(
                f"codes of {self.used} codebooks per cell are needed; these have "
                f"{indices.shape[-1]}"
            )
        codes = (indices[..., : self.used] if self.rates > 1 else indices[..., None]).long()
        b = self.block
        codes = codes.unflatten(-2, (-1, b)).unflatten(-4, (-1, b))  # [..., H, b, W, b, used]
        codes = codes.movedim((-4, -2), (-2, -1)).flatten(-3)
        return codes if self.count > 1 else codes[..., 0]

    def give(self, codes: Tensor) -> Tensor:
        """The inverse: codes as the tokenizer decodes them."""
        b = self.block
        codes = codes if self.count > 1 else codes[..., None]
        codes = codes.unflatten(-1, (self.used, b, b)).movedim((-2, -1), (-4, -2))
        indices = codes.flatten(-5, -4).flatten(-3, -2)
        return indices if self.rates > 1 else indices[..., 0]

    def any(self, cells: Tensor) -> Tensor:
        """Whether any of a cell's squares is True, bool [..., H, W] of [..., bH, bW]."""
        b = self.block
        return cells.unflatten(-1, (-1, b)).any(-1).unflatten(-2, (-1, b)).any(-2)
