"""Draft and verify: several tokens in one forward, and nothing but what the sequential sampler would have drawn.

Guess the rest of a frame, run some of the guessed tokens at once, and draw a code at each of them. The first is right,
for all before it is known. Each next one is right as long as the guess before it was what has now been drawn. The first
wrong guess gets its right code from the same forward, and what was drawn behind it becomes the next guess: it has seen
most of what is right. The first guess of a frame is the frame before it.

`exact` draws with noise that depends on the place only (Jacobi decoding, arXiv:2305.10427), so the codes are those that
one token at a time would give. `distribution` accepts guess x, which was drawn from q, with probability p(x) / q(x) and
else draws from what p has more than q (speculative sampling, arXiv:2211.17192 and 2410.01699): other codes, of exactly
the same distribution, and more guesses are accepted, because p and q are alike even where their draws differ.

Legend: B rows, G cells, L = 1 + G tokens of a frame, X = L + 1 with one that is nowhere, T tokens of one forward,
V vocabulary.
"""

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from .sampling import SamplingParams, shape_logits

# Up to about so many tokens a forward waits for its weights more than for its sums, so guesses cost little. Behind that
# they must pay for themselves, and some do: in large batches on a CPU 4 to 12 per row were faster than 1.
TOKENS_AT_ONCE = {"cpu": 40, "cuda": 1024}
SHORTEST = 8


def draft_length(params: SamplingParams, rows: int, cells: int, device: str) -> int:
    """Tokens per row of one forward; 1 is the sequential sampler.

    Lengths that follow the acceptance were no faster than this: a draft that is too long still improves its own end.
    """
    if params.accelerate == "off":
        return 1
    return min(max(SHORTEST, TOKENS_AT_ONCE.get(device, 40) // rows), 1 + cells)


class FrameDraft:
    """The open frame of each row: frame start, codes and one entry that is nowhere; the first `done` are right.

    Args:
        guess_BG: codes to start from, int64.
        vocab_size: V, which is also the token that stands for the frame start.
        noise_BGV: Gumbel noise.
        length: tokens of one forward.
    """

    def __init__(
        self, guess_BG: Tensor, vocab_size: int, noise_BGV: Tensor, params: SamplingParams, length: int
    ) -> None:
        self.noise_BGV, self.params, self.length = noise_BGV, params, length
        self.end = 1 + guess_BG.shape[1]
        self.ids_BX = pad(guess_BG, (1, 1), value=vocab_size)
        self.done_B = guess_BG.new_zeros(len(guess_BG))
        self.rows_B1 = torch.arange(len(guess_BG), device=guess_BG.device)[:, None]

    def next_places(self) -> Tensor:
        """Where in its frame each row goes on, int64 [B, T]; tokens behind the last are nowhere."""
        steps_T = torch.arange(self.length, device=self.done_B.device)
        return (self.done_B[:, None] + steps_T).clamp(max=self.end)

    def tokens(self, place_BT: Tensor) -> Tensor:
        return self.ids_BX[self.rows_B1, place_BT]

    def verify(self, place_BT: Tensor, logits_BTV: Tensor) -> None:
        """Draw the codes behind these tokens, and see which of the tokens were right."""
        behind_BT = (place_BT + 1).clamp(max=self.end)
        agree_BT, drawn_BT = self._draw(place_BT, self.tokens(behind_BT), shape_logits(logits_BTV, self.params))
        self.ids_BX[self.rows_B1, behind_BT] = drawn_BT
        self.done_B = self.done_B + (reached(agree_BT) & (place_BT < self.end)).sum(1)

    def _draw(self, place_BT: Tensor, guess_BT: Tensor, logits_BTV: Tensor) -> tuple[Tensor, Tensor]:
        """Which guesses hold, given that all before them do; and the codes drawn."""
        drawn_BT = (logits_BTV + self.noise_BGV[self.rows_B1, self._cell(place_BT)]).argmax(-1)
        return drawn_BT == guess_BT, drawn_BT

    def _cell(self, place_BT: Tensor) -> Tensor:
        return place_BT.clamp(max=self.noise_BGV.shape[1] - 1)  # what the last two places draw is thrown away

    @property
    def complete(self) -> bool:
        """Whether all rows are; on a GPU this waits for it."""
        return bool((self.done_B >= self.end).all())

    @property
    def codes_BG(self) -> Tensor:
        return self.ids_BX[:, 1:-1]


class SpeculativeDraft(FrameDraft):
    """The same with guesses that are accepted by chance.

    Every cell is decided once, in the first forward that knows all before it; until then its guess is drawn anew.

    Args:
        uniform_B2G: two random numbers per cell, to accept its guess and to draw another.
    """

    def __init__(
        self,
        guess_BG: Tensor,
        vocab_size: int,
        noise_BGV: Tensor,
        params: SamplingParams,
        length: int,
        uniform_B2G: Tensor,
    ) -> None:
        super().__init__(guess_BG, vocab_size, noise_BGV, params, length)
        self.uniform_B2G = uniform_B2G
        self.q_BXV = one_hot(pad(guess_BG, (0, 2)), vocab_size).float()  # what the guess behind a token was drawn from

    def _draw(self, place_BT: Tensor, guess_BT: Tensor, logits_BTV: Tensor) -> tuple[Tensor, Tensor]:
        rows_B1, last = self.rows_B1, logits_BTV.shape[-1] - 1
        p_BTV, q_BTV = logits_BTV.float().softmax(-1), self.q_BXV[rows_B1, place_BT]
        guess_BT1 = guess_BT.clamp(max=last)[..., None]
        p_BT, q_BT = p_BTV.gather(-1, guess_BT1)[..., 0], q_BTV.gather(-1, guess_BT1)[..., 0]
        chance_BT, point_BT = self.uniform_B2G[rows_B1, :, self._cell(place_BT)].unbind(-1)
        agree_BT = chance_BT * q_BT < p_BT
        surplus_BTV = (p_BTV - q_BTV).clamp_(min=0).cumsum(-1)
        point_BT1 = point_BT[..., None] * surplus_BTV[..., -1:]
        other_BT = torch.searchsorted(surplus_BTV, point_BT1, right=True)[..., 0].clamp_(max=last)
        _, anew_BT = super()._draw(place_BT, guess_BT, logits_BTV)
        self.q_BXV[rows_B1, place_BT] = p_BTV
        return agree_BT, torch.where(reached(agree_BT), torch.where(agree_BT, guess_BT, other_BT), anew_BT)


def reached(agree_BT: Tensor) -> Tensor:
    """Where all guesses before hold."""
    return pad(agree_BT[:, :-1].long(), (1, 0), value=1).cumprod(1).bool()
