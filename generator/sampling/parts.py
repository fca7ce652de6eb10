"""The parts of a frame that are drawn one after the other: its picture, then its sound.

Each part has a table of what its tokens carry, an order in which they run, and heads that read
their codes. The blocks between are the same.

Legend: D model width, V codes of the part's codebooks together, I = V + 3 with a start, a hidden
token and nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from ..model.depth import DepthDecoder
from ..model.order import DecodeOrder

PICTURE_STREAM, SOUND_STREAM = 0, 2  # of the noise; 1 is that of guesses accepted by chance


@dataclass(frozen=True, eq=False)
class FramePart:
    """What an engine needs to draw one part of a frame.

    Args:
        order: its tokens.
        first: place of the first of them in the frame.
        codebook_size: codes of one codebook.
        codes: of a token; those of each have their own rows in the table.
        table_ID: what tokens carry.
        heads: for each code of a token, from states to logits.
        depth: draws the codes of a token one after another, if it has several.
        stream: of the noise that the codes are drawn with.
    """

    order: DecodeOrder
    first: int
    codebook_size: int
    codes: int
    table_ID: Tensor
    heads: tuple[nn.Module, ...]
    depth: DepthDecoder | None
    stream: int

    @property
    def cells(self) -> int:
        return len(self.order.predictors_G)

    @property
    def books(self) -> tuple[int, ...]:
        """Axes that the codes of a token add to a tensor of codes."""
        return (self.codes,) if self.codes > 1 else ()
