"""Causal blocks over time; the past is an argument, so chunks give the same as the whole.

Legend: B batch, T steps, C channels. Before the first step there is silence: the past is zero.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..blocks import State


def with_past(x_BTc: Tensor, steps: int, key: str, state: State, new_state: State) -> Tensor:
    """Put the last `steps` of the past in front of `x` and note the new past under `key`."""
    if key in state:
        past = state[key].to(x_BTc.dtype)
    else:
        past = x_BTc.new_zeros(len(x_BTc), steps, *x_BTc.shape[2:])
    joined = torch.cat([past, x_BTc], dim=1)
    new_state[key] = joined[:, joined.shape[1] - steps :].detach()
    return joined


class Block(nn.Module):
    """Residual block on `[B, T, C]`: normalise, mix time, mix channels."""

    def __init__(self, width: int, expand: int, taps: int, dilation: int) -> None:
        super().__init__()
        self.reach = (taps - 1) * dilation
        self.dilation = dilation
        self.norm = nn.RMSNorm(width, eps=1e-6)
        weights = 0.05 * torch.randn(taps, width)
        weights[-1] += 1.0
        self.taps = nn.Parameter(weights)
        self.expand = nn.Linear(width, expand * width)
        self.project = nn.Linear(expand * width, width)
        nn.init.normal_(self.project.weight, std=0.2 / (expand * width) ** 0.5)
        nn.init.zeros_(self.project.bias)

    def forward(self, x_BTC: Tensor, key: str, state: State, new_state: State) -> Tensor:
        T = x_BTC.shape[1]
        joined = with_past(self.norm(x_BTC), self.reach, key, state, new_state)
        h_BTC = sum(
            joined[:, tap * self.dilation : tap * self.dilation + T] * weight
            for tap, weight in enumerate(self.taps.to(joined.dtype))
        )
        return x_BTC + self.project(functional.gelu(self.expand(h_BTC)))


class Stack(nn.Module):
    """Blocks in a row; the past of block i lives under `name.i` in the state."""

    def __init__(
        self, name: str, width: int, expand: int, taps: int, dilations: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.name = name
        self.blocks = nn.ModuleList(Block(width, expand, taps, step) for step in dilations)

    def forward(self, x_BTC: Tensor, state: State, new_state: State) -> Tensor:
        for index, block in enumerate(self.blocks):
            x_BTC = block(x_BTC, f"{self.name}.{index}", state, new_state)
        return x_BTC
