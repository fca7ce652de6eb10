"""Draft and verify: several steps in one forward, and nothing but what the step-by-step sampler
would have drawn.

Guess the rest of a frame, run the tokens of several steps at once (in raster order a step is one
token), and draw what they predict. The first step is right, for all before it is known. Each next
one is right as long as the guesses before it were what has now been drawn. Wrong guesses get their
right codes from the same forward, and what was drawn after them becomes the next guess: it has
seen most of what is right. The first guess of a frame is the frame before it.

`exact` draws with noise that depends on the place only (Jacobi decoding, arXiv:2305.10427), so the
codes are those that one step at a time would give. `distribution` accepts guess x, which was drawn
from q, with probability p(x) / q(x) and else draws from what p has more than q (speculative
sampling, arXiv:2211.17192 and 2410.01699): other codes, of exactly the same distribution, and more
guesses are accepted, because p and q are alike even where their draws differ.

A cell may have several codes, coarse to fine: its guess holds if all of them do.

Legend: B rows, G cells, Q codes of a cell, L tokens of a frame (starts and cells), S steps, K of
them in one forward, T tokens of one forward, I = starts + G + 1 with a cell that is nowhere, C = G
+ 1 likewise, V vocabulary (of one codebook, if there are several). Codes that come in or go out are
[B, G] if Q = 1.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, cast

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from ..model.order import DecodeOrder
from .filters import shape_logits
from .noise import FrameNoise
from .params import SamplingParams

# From the codes [B, T] of cells that are drawn already, coarse to fine, to the logits [B, T, V] of
# the next ones. It is called once for each, in their order.
ReadLogits = Callable[[Sequence[Tensor]], Tensor]


class ReadAtOnce(Protocol):
    """What can also read all codes of cells at once, as that of tokens with many codes does."""

    def all_at_once(self, codes_BTQ: Tensor) -> Tensor:
        """The logits [B, T, Q, V] of all codes, each as if those before it were these."""


# Up to about so many tokens a forward waits for its weights more than for its sums, so guesses cost
# little. Beyond that they must pay for themselves, and some do: in large batches on a CPU 4 to 12
# per row were faster than 1.
TOKENS_AT_ONCE = {"cpu": 40, "cuda": 1024}
SHORTEST = 8


def draft_steps(params: SamplingParams, rows: int, order: DecodeOrder, device: str) -> int:
    """Steps of one forward; 1 is the step-by-step sampler.

    Lengths that follow the acceptance were no faster than this: a draft that is too long still
    improves its own end.
    """
    if params.accelerate == "off":
        return 1
    tokens = max(SHORTEST, TOKENS_AT_ONCE.get(device, 40) // rows)
    return min(max(1, tokens * order.steps // order.length), order.steps)


def frame_ids(order: DecodeOrder, ids_BGQ: Tensor, table_size: int) -> Tensor:
    """What the tokens of a frame carry, as rows of a table of codes, a start of frames, a hidden
    cell and nothing, [B, I, Q]: the start, hidden cells where rows start, codes.

    Args:
        ids_BGQ: rows of the table for the codes.
        table_size: of the whole table.
    """
    ids_BIQ = pad(ids_BGQ, (0, 0, order.starts, 1), value=table_size - 1)
    ids_BIQ[:, : order.starts, 0] = table_size - 2
    ids_BIQ[:, -1, 0] = table_size - 2
    ids_BIQ[:, 0, 0] = table_size - 3
    return ids_BIQ


class FrameDraft:
    """The open frame of each row: starts, codes and one entry that is nowhere. Tokens of the steps
    before `step_B` are right and have run.

    Args:
        order: of the decoder.
        guess_BG: codes to start from, int64.
        vocab_size: V.
        noise: of this frame; those of a cell's codes follow one another.
        steps: K, of one forward.
        static: no shape depends on what has been drawn. What is drawn is always kept in the same
            tensors.
    """

    def __init__(
        self,
        order: DecodeOrder,
        guess_BG: Tensor,
        vocab_size: int,
        noise: FrameNoise,
        params: SamplingParams,
        steps: int,
        static: bool = False,
    ) -> None:
        self.order = order
        self.noise = noise
        self.params = params
        self.steps = steps
        self.static = static
        self.vocab_size = vocab_size
        self.cells = guess_BG.shape[1]
        guess_BGQ = guess_BG if guess_BG.dim() == 3 else guess_BG[..., None]
        self.books = guess_BGQ.shape[2]
        self.first_Q = vocab_size * torch.arange(self.books, device=guess_BG.device)
        table_size = vocab_size * self.books + 3
        self.ids_BIQ = frame_ids(order, guess_BGQ + self.first_Q, table_size)
        self.step_B = guess_BG.new_zeros(len(guess_BG))
        self.rounds_B = self.step_B.clone()  # forwards that each row needed so far
        self.rows_B1 = torch.arange(len(guess_BG), device=guess_BG.device)[:, None]

    def next_places(self) -> Tensor:
        """The tokens with which each row goes on, int64 [B, T], as places in the frame; L for
        one that is nowhere."""
        steps_BK = self.step_B[:, None] + torch.arange(self.steps, device=self.step_B.device)
        place_BT = self.order.tokens_SW[steps_BK.clamp(max=self.order.steps)].flatten(1)
        if not self.static:  # to know how many are left is to wait for a GPU
            place_BT = place_BT[:, (place_BT < self.order.length).any(0)]
        return place_BT

    def asked(self, place_BT: Tensor) -> int:
        """How many of these tokens, the first ones, to read so that all codes that they predict
        are drawn: the last token of a frame predicts none."""
        if self.static:
            return place_BT.shape[1]
        predicts = (self.order.predicted_X[place_BT] < self.cells).any(0).tolist()
        while predicts and not predicts[-1]:
            predicts.pop()
        return len(predicts)

    def tokens(self, place_BT: Tensor) -> Tensor:
        """What they carry, as rows of the table, int64 [B, T, Q]."""
        return self.ids_BIQ[self.rows_B1, self.order.carried_X[place_BT]]

    def verify(self, place_BT: Tensor, logits: ReadLogits) -> None:
        """Draw the codes that the tokens of this forward predict, and see which were right.

        Args:
            place_BT: those of its tokens that are read; there may be none.
        """
        self.rounds_B += self.step_B < self.order.steps
        self.step_B += self.steps
        if place_BT.shape[1]:
            cell_BT = self.order.predicted_X[place_BT]
            step_BT = self.order.step_X[place_BT]
            entry_BT = self.order.starts + cell_BT
            guess_BTQ = self.ids_BIQ[self.rows_B1, entry_BT] - self.first_Q
            drawn_BTQ, wrong_B1 = self._draw(cell_BT, step_BT, guess_BTQ, logits)
            self.ids_BIQ[self.rows_B1, entry_BT] = drawn_BTQ + self.first_Q
            self.step_B.clamp_(max=wrong_B1[:, 0] + 1)
        self.step_B.clamp_(max=self.order.steps)

    def _draw(
        self, cell_BT: Tensor, step_BT: Tensor, guess_BTQ: Tensor, logits: ReadLogits
    ) -> tuple[Tensor, Tensor]:
        """Codes drawn, and the first step of each row [B, 1] in which a guess does not hold."""
        place_BT = self._clamp(cell_BT) * self.books
        drawn: list[Tensor] = []
        for book in range(self.books):
            drawn.append(self.noise.draw(logits(drawn), self.rows_B1, place_BT + book))
        drawn_BTQ = torch.stack(drawn, dim=-1)
        agree_BT = (drawn_BTQ == guess_BTQ).all(-1)
        return drawn_BTQ, self._first_wrong(agree_BT, cell_BT, step_BT)

    def _first_wrong(self, agree_BT: Tensor, cell_BT: Tensor, step_BT: Tensor) -> Tensor:
        holds_BT = agree_BT | (cell_BT == self.cells)
        return step_BT.masked_fill(holds_BT, self.order.steps).amin(1, keepdim=True)

    def _clamp(self, cell_BT: Tensor) -> Tensor:
        # what is drawn for a cell that is nowhere is thrown away
        return cell_BT.clamp(max=self.cells - 1)

    def load(self, other: "FrameDraft") -> None:
        """Become another frame of the same sizes, in the tensors of this one."""
        for mine, its in ((vars(self), vars(other)), (vars(self.noise), vars(other.noise))):
            for name, tensor in its.items():
                if isinstance(tensor, Tensor):
                    mine[name].copy_(tensor)

    @property
    def complete(self) -> bool:
        """Whether all rows are; on a GPU this waits for it."""
        return bool(self.is_complete)

    @property
    def is_complete(self) -> Tensor:
        """The same as a tensor, which waits for nothing."""
        return (self.step_B >= self.order.steps).all()

    @property
    def codes_BG(self) -> Tensor:
        codes_BGQ = self.ids_BIQ[:, self.order.starts : -1] - self.first_Q
        return codes_BGQ if self.books > 1 else codes_BGQ[..., 0]


class SteadyDraft(FrameDraft):
    """The same for guesses that are likely to hold, of tokens with many codes: all codes of a token
    are read at once, as if the guess were right, and one after another only if it is not."""

    def _draw(
        self, cell_BT: Tensor, step_BT: Tensor, guess_BTQ: Tensor, logits: ReadLogits
    ) -> tuple[Tensor, Tensor]:
        nowhere_BT = cell_BT == self.cells
        known_BTQ = guess_BTQ.masked_fill(nowhere_BT[..., None], 0)
        logits_BTQV = cast(ReadAtOnce, logits).all_at_once(known_BTQ)
        place_BT1 = (self._clamp(cell_BT) * self.books)[..., None]
        place_BTQ = place_BT1 + torch.arange(self.books, device=place_BT1.device)
        drawn_BM = self.noise.draw(logits_BTQV.flatten(1, 2), self.rows_B1, place_BTQ.flatten(1))
        holds_BT = (drawn_BM.view_as(known_BTQ) == known_BTQ).all(-1) | nowhere_BT
        if not holds_BT.all():
            return super()._draw(cell_BT, step_BT, guess_BTQ, logits)
        return known_BTQ, self._first_wrong(holds_BT, cell_BT, step_BT)


class SpeculativeDraft(FrameDraft):
    """The same with guesses that are accepted by chance, for cells of one code.

    Every cell is decided once, in the first forward that knows all before it; until then its guess
    is drawn anew.

    Args:
        uniform_B2G: two random numbers per cell, to accept its guess and to draw another.
    """

    def __init__(
        self,
        order: DecodeOrder,
        guess_BG: Tensor,
        vocab_size: int,
        noise: FrameNoise,
        params: SamplingParams,
        steps: int,
        uniform_B2G: Tensor,
        static: bool = False,
    ) -> None:
        super().__init__(order, guess_BG, vocab_size, noise, params, steps, static)
        self.uniform_B2G = uniform_B2G
        # what the guess of a cell was drawn from
        self.q_BCV = one_hot(pad(guess_BG, (0, 1)), vocab_size).float()

    def _draw(
        self, cell_BT: Tensor, step_BT: Tensor, guess_BTQ: Tensor, logits: ReadLogits
    ) -> tuple[Tensor, Tensor]:
        rows_B1 = self.rows_B1
        guess_BT = guess_BTQ[..., 0]
        logits_BTV = logits([])
        last = logits_BTV.shape[-1] - 1
        p_BTV = shape_logits(logits_BTV, self.params).float().softmax(-1)
        q_BTV = self.q_BCV[rows_B1, cell_BT]
        guess_BT1 = guess_BT.clamp(max=last)[..., None]
        p_BT = p_BTV.gather(-1, guess_BT1)[..., 0]
        q_BT = q_BTV.gather(-1, guess_BT1)[..., 0]
        chance_BT, point_BT = self.uniform_B2G[rows_B1, :, self._clamp(cell_BT)].unbind(-1)
        agree_BT = chance_BT * q_BT < p_BT
        wrong_B1 = self._first_wrong(agree_BT, cell_BT, step_BT)
        surplus_BTV = (p_BTV - q_BTV).clamp_(min=0).cumsum(-1)
        point_BT1 = point_BT[..., None] * surplus_BTV[..., -1:]
        other_BT = torch.searchsorted(surplus_BTV, point_BT1, right=True)[..., 0].clamp_(max=last)
        anew_BT = self.noise.draw(logits_BTV, rows_B1, self._clamp(cell_BT))
        self.q_BCV[rows_B1, cell_BT] = p_BTV
        chosen_BT = torch.where(agree_BT, guess_BT, other_BT)
        drawn_BT = torch.where(step_BT <= wrong_B1, chosen_BT, anew_BT)
        return drawn_BT[..., None], wrong_B1
