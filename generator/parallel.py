"""In which order the codes of a frame are drawn: one after another, or a diagonal of them at once.

One object says which tokens a frame has, who sees whom in training, and what runs in each step of drawing. So a token
sees the same in training as when its code is drawn.

    raster         one start, then the cells; each predicts the next one: H * W steps
    wavefront l    a start per row; each token predicts the cell to its right, and rows run at once, each l cells behind
                   the one above: W + l * (H - 1) steps

                   steps of wavefront 2:    start  0 | cells  1  2  3  4
                                                   2          3  4  5  6
                                                   4          5  6  7  8

(One step more reads the last code.) The start of a row is the last cell of the row above with its code hidden, which is
what predicts the row's first cell in raster order: a decoder that was trained in raster order, and saw hidden codes,
knows it already.

Codes of one step are drawn as if they did not depend on each other: fewer steps, and at a price in quality. A decoder
draws in the order that it was trained in. Drafts (drafts.py) run several steps at once, in any order.

Legend: H W grid, G = H * W cells, L tokens of a frame (starts and cells), X = L + 1 with one that is nowhere, S steps,
W tokens of the longest step.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence


@dataclass(frozen=True, eq=False)
class DecodeOrder:
    """The tokens of a frame.

    Args:
        starts: how many of them carry no code: that of the frame, then those of its rows.
        places_L2: row and column of each.
        carried_X: what each one carries, as an index into [starts, cells, nothing].
        predicted_X: the cell whose code it predicts; G for none.
        predictors_G: which token predicts a cell.
        step_X: when it runs; S for the one that is nowhere.
        tokens_SW: what runs in each step, and L (nowhere) where it runs fewer. One more row is all nowhere.
    """

    starts: int
    places_L2: Tensor
    carried_X: Tensor
    predicted_X: Tensor
    predictors_G: Tensor
    step_X: Tensor
    tokens_SW: Tensor

    @property
    def length(self) -> int:
        return len(self.places_L2)

    @property
    def steps(self) -> int:
        return len(self.tokens_SW) - 1

    @property
    def carried_L(self) -> Tensor:
        return self.carried_X[:-1]

    @property
    def unseen_LL(self) -> Tensor:
        """True where a token must not see another, which runs in a later step."""
        return self.step_X[:-1] > self.step_X[:-1, None]


@lru_cache
@torch.inference_mode(False)  # training may use what sampling has made
def decode_order(grid: tuple[int, int], wavefront: int, device: torch.device) -> DecodeOrder:
    """Raster order (0), or rows that run `wavefront` cells behind each other."""
    H, W = grid
    if wavefront:
        starts, places_L2 = H, torch.cartesian_prod(torch.arange(H), torch.arange(-1, W))
        row_L, column_L = places_L2.clone().unbind(1)  # column -1 is the start
        places_L2[column_L < 0] = torch.tensor([[row - 1, W - 1 if row else -1] for row in range(H)])
        carried_L = torch.where(column_L < 0, row_L, H + row_L * W + column_L)
        predicted_L = torch.where(column_L < W - 1, row_L * W + column_L + 1, H * W)
        step_L = 1 + column_L + wavefront * row_L
    else:
        starts, places_L2 = 1, torch.cartesian_prod(torch.arange(H), torch.arange(W))
        places_L2 = torch.cat([torch.full((1, 2), -1), places_L2])
        carried_L = predicted_L = step_L = torch.arange(1 + H * W)
    step_L = step_L.unique(return_inverse=True)[1]  # without steps that nothing runs in, where rows are far apart
    length, steps = len(places_L2), int(step_L.max()) + 1
    tokens = [(step_L == step).nonzero()[:, 0] for step in range(steps)]
    tokens_SW = pad_sequence([*tokens, step_L[:0]], batch_first=True, padding_value=length)
    return DecodeOrder(
        starts,
        places_L2.to(device),
        carried_X=pad(carried_L, (0, 1), value=starts + H * W).to(device),
        predicted_X=pad(predicted_L, (0, 1), value=H * W).to(device),
        predictors_G=(predicted_L < H * W).nonzero()[:, 0].to(device),
        step_X=pad(step_L, (0, 1), value=steps).to(device),
        tokens_SW=tokens_SW.to(device),
    )
