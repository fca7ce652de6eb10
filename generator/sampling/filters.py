"""From logits to codes: pure functions over `[..., V]`, with the noise as an argument.

Legend: V vocabulary; any number of rows and cells comes before it.
"""

import math

import torch
from torch import Tensor

from .params import SamplingParams

BLOCK = 128  # codes that are looked at together


def keep_top_k(logits_V: Tensor, k: int) -> Tensor:
    """-inf for all but the k largest; ties with the k-th stay."""
    if k >= logits_V.shape[-1]:
        return logits_V
    least_1 = logits_V.topk(k, dim=-1).values[..., -1:]
    return logits_V.masked_fill(logits_V < least_1, -math.inf)


def keep_top_p(logits_V: Tensor, p: float) -> Tensor:
    """-inf outside the smallest set of likeliest codes whose probability reaches p
    (arXiv:1904.09751); never empty."""
    ordered_V, order_V = logits_V.sort(dim=-1, descending=True)
    share_V = ordered_V.softmax(-1)
    before_V = share_V.cumsum(-1) - share_V
    drop_V = (before_V >= p).scatter(-1, order_V, before_V >= p)
    return logits_V.masked_fill(drop_V, -math.inf)


def keep_min_p(logits_V: Tensor, p: float) -> Tensor:
    """-inf for codes less than p times as likely as the likeliest one (arXiv:2407.01082)."""
    return logits_V.masked_fill(logits_V < logits_V.amax(-1, keepdim=True) + math.log(p), -math.inf)


def shape_logits(logits_V: Tensor, params: SamplingParams) -> Tensor:
    """Logits `[..., V]` of the distribution that codes are drawn from: temperature and filters
    applied."""
    if params.greedy:
        best_1 = logits_V.argmax(-1, keepdim=True)
        return torch.full_like(logits_V, -math.inf).scatter_(-1, best_1, 0.0)
    logits_V = logits_V / params.temperature
    if params.top_k:
        logits_V = keep_top_k(logits_V, params.top_k)
    if params.top_p < 1:
        logits_V = keep_top_p(logits_V, params.top_p)
    if params.min_p:
        logits_V = keep_min_p(logits_V, params.min_p)
    return logits_V


def sample(logits_V: Tensor, params: SamplingParams, noise_V: Tensor) -> Tensor:
    """Draw codes, int64 `[...]`: the largest of logits plus Gumbel noise is a draw from their
    softmax."""
    return likeliest(shape_logits(logits_V, params) + noise_V)


def likeliest(score_V: Tensor) -> Tensor:
    """`argmax(-1)`, the first of equals, in a fifth of its time on a CPU: only the block of the
    maximum is searched."""
    V = score_V.shape[-1]
    if V % BLOCK or score_V.is_cuda:
        return score_V.argmax(-1)
    blocks_XV = score_V.unflatten(-1, (-1, BLOCK))
    block_1 = blocks_XV.amax(-1).argmax(-1, keepdim=True)
    inside = blocks_XV.take_along_dim(block_1[..., None], -2)[..., 0, :].argmax(-1)
    return block_1[..., 0] * BLOCK + inside
