"""Cross-entropy of codes against a table, a block of tokens at a time.

The logits of all tokens never exist together. With a large vocabulary they would be by far the
largest thing in a training step, and reading and writing them takes longer than computing them.
Each block's gradients are computed right after its logits (as in Liger Kernel, arXiv:2410.10989).

Legend: N tokens, V codes, D width, K tokens of a block; Q codebooks of K codes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# few enough for a CPU's cache, enough to keep a GPU busy
BLOCK_LOGITS = {"cpu": 2**22, "cuda": 2**27}


def linear_loss(
    states: Tensor, table: Tensor, codes: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The weighted sum of the nats of codes, and the nats of each, which carry no gradient.

    Logits are `states @ table.T`, in bfloat16 under autocast; everything after them is at least
    float32.

    Args:
        states: [..., D], or [..., Q, D] of several codebooks.
        table: [V, D], or [Q, K, D].
        codes: int64 [...], or [..., Q] with codes of each codebook from 0 on.
        weights: [...], one per code, or per cell of several; 1 unless given.
    """
    if table.dim() == 3:
        books = zip(states.unbind(-2), table, codes.unbind(-1))
        totals, nats = zip(*(linear_loss(*book, weights) for book in books))
        return sum(totals[1:], totals[0]), torch.stack(nats, -1)
    flat_N = codes.flatten()
    weight_N = (
        torch.ones_like(flat_N, dtype=torch.float32) if weights is None else weights.flatten()
    )
    total, nats_N = _LinearLoss.apply(
        states.flatten(0, -2), table, flat_N, weight_N, torch.is_grad_enabled()
    )
    return total, nats_N.view(codes.shape)


class _LinearLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states_ND: Tensor,
        table_VD: Tensor,
        codes_N: Tensor,
        weight_N: Tensor,
        training: bool,
    ) -> tuple[Tensor, Tensor]:
        device = states_ND.device.type
        dtype = (
            torch.get_autocast_dtype(device)
            if torch.is_autocast_enabled(device)
            else states_ND.dtype
        )
        exact = torch.promote_types(dtype, torch.float32)
        x_ND = states_ND.to(dtype)
        w_VD = table_VD.to(dtype)
        d_states = torch.empty_like(x_ND) if training else None
        d_table = (
            torch.zeros_like(table_VD, dtype=exact)
            if training and ctx.needs_input_grad[1]
            else None
        )
        parts = []
        size = max(1, BLOCK_LOGITS.get(device, BLOCK_LOGITS["cuda"]) // len(w_VD))
        for start in range(0, len(x_ND), size):
            block = slice(start, start + size)
            x_KD = x_ND[block]
            codes_K1 = codes_N[block, None]
            logp_KV = torch.log_softmax(x_KD @ w_VD.T, dim=-1, dtype=exact)
            parts.append(-logp_KV.gather(1, codes_K1).squeeze(1))
            if d_states is None:
                continue
            wrong_KV = logp_KV.exp_()
            wrong_KV.scatter_add_(1, codes_K1, wrong_KV.new_full(codes_K1.shape, -1))
            d_logits_KV = wrong_KV.mul_(weight_N[block, None]).to(dtype)
            d_states[block] = d_logits_KV @ w_VD
            if d_table is not None:
                d_table += d_logits_KV.T @ x_KD
        nats_N = torch.cat(parts)
        ctx.save_for_backward(d_states, d_table)
        ctx.dtypes = states_ND.dtype, table_VD.dtype
        ctx.mark_non_differentiable(nats_N)
        return (nats_N * weight_N).sum(), nats_N

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        saved = zip(ctx.saved_tensors, ctx.dtypes)
        d_states, d_table = (
            None if part is None else part.to(dtype) * grads[0] for part, dtype in saved
        )
        return d_states, d_table, None, None, None
