"""In which order the codes of a frame are drawn: one after another, or a diagonal of them at once.

One object says which tokens a frame has, who sees whom in training, and what runs in each step of
drawing. So a token sees the same in training as when its code is drawn.

    raster         one start, then the cells; each predicts the next one: H * W steps
    wavefront l    a start per row; each token predicts the cell to its right;
                   rows run at once, each l cells after the one above: W + l * (H - 1) steps

                   steps of wavefront 2:    start  0 | cells  1  2  3  4
                                                   2          3  4  5  6
                                                   4          5  6  7  8

(One step more reads the last code.) The start of a row is the last cell of the row above with its
code hidden, which is what predicts the row's first cell in raster order: a decoder that was trained
in raster order, and saw hidden codes, knows it already.

Codes of one step are drawn as if they did not depend on each other: fewer steps, and at a price in
quality. A decoder draws in the order that it was trained in. Drafts (drafts.py) run several steps
at once, in any order.

Legend: H W grid, G = H * W cells, L tokens of a frame (starts and cells), X = L + 1 with one that
is nowhere, S steps, W tokens of the longest step.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


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
        tokens_SW: what runs in each step, and L (nowhere) where it runs fewer. One more row is all
            nowhere.
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
    """Raster order (0), or rows that each run `wavefront` cells after the one above."""
    H, W = grid
    rows = range(H)
    columns = range(W)
    if wavefront:  # column -1 is the start of a row
        cells = [(row, column) for row in rows for column in range(-1, W)]
        starts = H
        places = [
            (row, column) if column >= 0 else (row - 1, W - 1 if row else -1)
            for row, column in cells
        ]
        carried = [H + row * W + column if column >= 0 else row for row, column in cells]
        predicted = [row * W + column + 1 if column < W - 1 else H * W for row, column in cells]
        when = [1 + column + wavefront * row for row, column in cells]
    else:
        starts = 1
        places = [(-1, -1), *((row, column) for row in rows for column in columns)]
        carried = predicted = when = list(range(1 + H * W))
    # nothing runs at some, if rows are far apart
    number = {time: step for step, time in enumerate(sorted(set(when)))}
    steps = [number[time] for time in when]
    length = len(places)
    count = len(number)
    tokens: list[list[int]] = [[] for _ in range(count + 1)]
    for token, step in enumerate(steps):
        tokens[step].append(token)
    widest = max(map(len, tokens))
    return DecodeOrder(
        starts,
        places_L2=torch.tensor(places, device=device),
        carried_X=torch.tensor([*carried, starts + H * W], device=device),
        predicted_X=torch.tensor([*predicted, H * W], device=device),
        predictors_G=torch.tensor(
            [token for token, cell in enumerate(predicted) if cell < H * W], device=device
        ),
        step_X=torch.tensor([*steps, count], device=device),
        tokens_SW=torch.tensor(
            [row + [length] * (widest - len(row)) for row in tokens], device=device
        ),
    )
