"""The codes of a cell, one after another, coarse to fine.

The decoder runs once a cell. What it has made of the past, its state, becomes the logits of the
first code here, and with that code the logits of the second, and so on: the depth transformer of
RQ-Transformer (arXiv:2203.01941) and Moshi (arXiv:2410.00037), which has nothing to do with
distance. Here the sum of the codes so far, each from a table of its own, comes in beside the state
at every code. That sum says all that attention over two or three codes could find, so the blocks
are SwiGLUs alone.

Legend: Q codes of a cell, D model width; any number of cells before it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import DecoderConfig
from .layers import rms_norm


class DepthBlock(nn.Module):
    """A residual SwiGLU; a fresh one is the identity."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.gate_up = nn.Linear(config.dim, 2 * config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.dim, bias=False)
        nn.init.normal_(self.gate_up.weight, std=config.dim**-0.5)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(rms_norm(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class DepthDecoder(nn.Module):
    """From the state of a cell and its codes so far to the state that predicts the next code.

    Args:
        codes: Q.
    """

    def __init__(self, config: DecoderConfig, codes: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(codes, config.dim))
        self.seen = nn.Linear(config.dim, config.dim, bias=False)
        self.blocks = nn.ModuleList([DepthBlock(config) for _ in range(config.depth_layers)])

    def step(self, state_D: Tensor, code: int, before_D: Tensor | None) -> Tensor:
        """The state `[..., D]` whose logits are those of a code.

        Args:
            state_D: of the decoder, normalised, [..., D].
            code: which of the cell's, from 0.
            before_D: the sum of the vectors of its codes before, [..., D]; None for the first.
        """
        x_D = state_D + self.place[code]
        if before_D is not None:
            x_D = x_D + self.seen(before_D)
        return self._run(x_D)

    def forward(self, state_D: Tensor, codes_QD: Tensor) -> Tensor:
        """The same for all codes of cells whose codes are known: vectors [..., Q, D] to states
        [..., Q, D]."""
        before_QD = F.pad(codes_QD.cumsum(-2)[..., :-1, :], (0, 0, 1, 0))
        return self._run(state_D.unsqueeze(-2) + self.place + self.seen(before_QD))

    def _run(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return rms_norm(x)
