"""In which order the codes of a frame are drawn: one after another, or a diagonal of them at once.

One object says which tokens a frame has, who sees whom in training, and what runs in each step of drawing. So a token
sees the same in training as when its code is drawn.

    raster         one start, then the cells; each predicts the next one: H * W steps
    wavefront l    a start per row; each token predicts the cell to its right, and rows run at once, each l cells behind
                   the one above: W + l * (H - 1) steps

                   steps of wavefront 2:    start  0 | cells  1  2  3  4
                                                   2          3  4  5  6
                                                   4          5  6  7  8

Codes of one step are drawn as if they did not depend on each other: faster, and at a price in quality. A decoder draws
in the order that it was trained in.

Legend: B rows, H W grid, G = H * W cells, L tokens of a frame (starts and cells), I = starts + G, T tokens of one step,
K of them that predict something, V vocabulary.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .sampling import SamplingParams, sample


class Step(NamedTuple):
    """Tokens that run at once, which of these (by their number among them) predict something, and which cells."""

    tokens_T: Tensor
    predicting_K: Tensor
    cells_K: Tensor


@dataclass(frozen=True, eq=False)
class DecodeOrder:
    """The tokens of a frame.

    Args:
        starts: how many of them carry no code.
        carried_L: what each one carries, as an index into [starts, cells].
        places_L2: row and column of each.
        predictors_G: which token predicts a cell.
        unseen_LL: True where a token must not see another, which runs in a later step.
        steps: in which they run; the last one only reads the last codes.
    """

    starts: int
    carried_L: Tensor
    places_L2: Tensor
    predictors_G: Tensor
    unseen_LL: Tensor
    steps: tuple[Step, ...]

    @property
    def length(self) -> int:
        return len(self.carried_L)


@lru_cache
@torch.inference_mode(False)  # training may use what sampling has made
def decode_order(grid: tuple[int, int], wavefront: int, device: torch.device) -> DecodeOrder:
    """Raster order (0), or rows that run `wavefront` cells behind each other."""
    H, W = grid
    if wavefront:
        starts, places_L2 = H, torch.cartesian_prod(torch.arange(H), torch.arange(-1, W))  # column -1 is the start
        row_L, column_L = places_L2.unbind(1)
        carried_L = torch.where(column_L < 0, row_L, H + row_L * W + column_L)
        predictors_G = (column_L < W - 1).nonzero()[:, 0]
        step_L = 1 + column_L + wavefront * row_L
    else:
        starts, places_L2 = 1, torch.cartesian_prod(torch.arange(H), torch.arange(W))
        places_L2 = torch.cat([torch.full((1, 2), -1), places_L2])
        carried_L = step_L = torch.arange(1 + H * W)
        predictors_G = carried_L[:-1]
    steps = []
    for number in range(int(step_L.max()) + 1):
        tokens_T = (step_L == number).nonzero()[:, 0]
        predicting_K, cells_K = (tokens_T[:, None] == predictors_G).nonzero().unbind(1)
        steps.append(Step(tokens_T.to(device), predicting_K.to(device), cells_K.to(device)))
    unseen_LL = step_L > step_L[:, None]
    carried_L, places_L2, predictors_G = carried_L.to(device), places_L2.to(device), predictors_G.to(device)
    return DecodeOrder(starts, carried_L, places_L2, predictors_G, unseen_LL.to(device), tuple(steps))


class ParallelFrame:
    """The open frame of each row, drawn step by step; `FrameDraft` is the one that is drawn code by code.

    Args:
        order: of the decoder.
        rows: B.
        vocab_size: V, which is also the token that stands for a start.
        noise_BGV: Gumbel noise.
    """

    def __init__(
        self, order: DecodeOrder, rows: int, vocab_size: int, noise_BGV: Tensor, params: SamplingParams
    ) -> None:
        self.order, self.noise_BGV, self.params, self.step = order, noise_BGV, params, -1
        self.ids_BI = noise_BGV.new_full((rows, order.starts + noise_BGV.shape[1]), vocab_size, dtype=torch.long)

    def next_places(self) -> Tensor:
        self.step += 1
        return self.order.steps[self.step].tokens_T.expand(len(self.ids_BI), -1)

    def tokens(self, place_BT: Tensor) -> Tensor:
        return self.ids_BI.gather(1, self.order.carried_L[place_BT])

    def verify(self, place_BT: Tensor, logits_BTV: Tensor) -> None:
        """Draw what these tokens predict."""
        _, predicting_K, cells_K = self.order.steps[self.step]
        drawn_BK = sample(logits_BTV[:, predicting_K], self.params, self.noise_BGV[:, cells_K])
        self.ids_BI[:, self.order.starts + cells_K] = drawn_BK

    @property
    def complete(self) -> bool:
        return self.step == len(self.order.steps) - 1

    @property
    def codes_BG(self) -> Tensor:
        return self.ids_BI[:, self.order.starts :]
