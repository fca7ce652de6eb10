"""The parts of the decoder.

Legend: B batch, L tokens, D model width, N query heads, M key/value heads, H = N + M, K head size,
V vocabulary.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import DecoderConfig

EPSILON = 1e-6
EPSILON_0 = torch.tensor(EPSILON, device="cpu")

# (layer, queries and keys [B, L, N + M, K], values [B, L, M, K], sharpness [N, 1]) -> mixed values
# [B, L, D]. Queries and keys are normalised and not yet rotated: where they stand and whom they see
# is not the block's business.
LayerAttention = Callable[[int, Tensor, Tensor, Tensor], Tensor]


class RMSNorm(torch.autograd.Function):
    """Root mean square norm without gains (the linear layer after it has them), in few passes
    over memory."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(
            x, dim=-1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32)
        )
        inverse = (length.square() / x.shape[-1] + EPSILON).rsqrt().to(x.dtype)
        y = x * inverse
        ctx.save_for_backward(y, inverse)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        y, inverse = ctx.saved_tensors
        along = torch.linalg.vecdot(grads[0], y).unsqueeze(-1) / y.shape[-1]
        return torch.addcmul(grads[0], y, along, value=-1).mul_(inverse)


def rms_norm(x: Tensor) -> Tensor:
    if torch.is_grad_enabled():
        return RMSNorm.apply(x)
    if x.device.type != "cpu":
        return F.rms_norm(x, x.shape[-1:], eps=EPSILON)
    # the same in half as many operations: for a few tokens their number is what costs
    length = torch.linalg.vector_norm(
        x, dim=-1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32)
    )
    mean_square = torch.addcmul(EPSILON_0, length, length, value=1 / x.shape[-1])
    return x * mean_square.rsqrt_().to(x.dtype)


class CodeTable(nn.Module):
    """One vector per code: a full table plus, per FSQ dimension, a small table of its levels.

    A code that is rare in the data still gets a useful vector from the levels it shares with common
    ones.
    """

    def __init__(self, vocab_size: int, levels: tuple[int, ...], dim: int, std: float) -> None:
        super().__init__()
        parts = 1 + len(levels)
        self.full = nn.Parameter(torch.randn(vocab_size, dim) * std / parts**0.5)
        self.by_level = (
            nn.Parameter(torch.randn(sum(levels), dim) * std / parts**0.5) if levels else None
        )
        digits = torch.zeros(vocab_size, sum(levels), dtype=self.full.dtype)
        code = torch.arange(vocab_size)
        first = 0
        for size in levels:
            digits.scatter_(1, (first + code % size)[:, None], 1.0)  # one-hot in its columns
            code = code // size
            first += size
        self.register_buffer("digits", digits if levels else None, persistent=False)

    def forward(self) -> Tensor:
        """The table, [V, D]."""
        if self.by_level is None:
            return self.full
        assert isinstance(self.digits, Tensor)
        return self.full + self.digits @ self.by_level


class Block(nn.Module):
    def __init__(self, config: DecoderConfig, index: int) -> None:
        super().__init__()
        self.index = index
        self.heads = config.heads
        self.kv_heads = config.kv_heads
        self.head_size = config.head_size
        self.qkv = nn.Linear(
            config.dim, (config.heads + 2 * config.kv_heads) * config.head_size, bias=False
        )
        self.sharpness = nn.Parameter(torch.full((config.heads, 1), config.head_size**-0.5))
        self.out = nn.Linear(config.dim, config.dim, bias=False)
        self.gate_up = nn.Linear(config.dim, 2 * config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.dim, bias=False)
        for layer in (self.qkv, self.gate_up):
            nn.init.normal_(layer.weight, std=config.dim**-0.5)
        # a fresh block is the identity: the first steps are stable
        for layer in (self.out, self.down):
            nn.init.zeros_(layer.weight)

    def forward(self, x_BLD: Tensor, attention: LayerAttention) -> Tensor:
        qkv_BLHK = self.qkv(rms_norm(x_BLD)).unflatten(-1, (-1, self.head_size))
        qk_BLHK, v_BLMK = qkv_BLHK.split([self.heads + self.kv_heads, self.kv_heads], dim=2)
        x_BLD = x_BLD + self.out(attention(self.index, rms_norm(qk_BLHK), v_BLMK, self.sharpness))
        gate, up = self.gate_up(rms_norm(x_BLD)).chunk(2, dim=-1)
        return x_BLD + self.down(F.silu(gate) * up)
