"""From logits to codes: pure functions over `[B, V]`, with the noise as an argument.

Noise is counter-based (Philox): it depends on a row's seed and on the place in the video and on nothing else, so a row
is the same in any batch, however it is called, and a video can be resumed or drawn anew from any frame.

Legend: B rows, V vocabulary.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class SamplingParams:
    """How codes are drawn.

    Args:
        temperature: divides the logits; 0 takes the likeliest code.
        top_k: draw from the k likeliest codes only; 0 for all.
        top_p: draw from the likeliest codes that together have this probability; 1 for all.
        guidance: how far to go from the logits without the prompt (0) to those with it (1) and beyond.
        window: latent frames that a token sees, its own included; None for as many as in training.

    Raises:
        ValueError: a value out of range.
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    guidance: float = 2.0
    window: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature must be 0 (the likeliest code) or more; got {self.temperature}")
        if self.top_k < 0:
            raise ValueError(f"top_k must be 0 (all codes) or more; got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1 (all codes); got {self.top_p}")
        if not 0 <= self.guidance < math.inf:
            raise ValueError(f"guidance must be 0 or more (1 is none); got {self.guidance}")
        if self.window is not None and self.window < 1:
            raise ValueError(f"window must be at least 1 latent frame; got {self.window}")


def guide(with_prompt_BV: Tensor, without_BV: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (arXiv:2207.12598): 0 is without the prompt, 1 is with it, more goes on beyond."""
    return torch.lerp(without_BV, with_prompt_BV, scale)


def keep_top_k(logits_BV: Tensor, k: int) -> Tensor:
    """-inf for all but the k largest; ties with the k-th stay."""
    if k >= logits_BV.shape[-1]:
        return logits_BV
    least_B1 = logits_BV.topk(k, dim=-1).values[..., -1:]
    return logits_BV.masked_fill(logits_BV < least_B1, -math.inf)


def keep_top_p(logits_BV: Tensor, p: float) -> Tensor:
    """-inf outside the smallest set of likeliest codes whose probability reaches p (arXiv:1904.09751); never empty."""
    ordered_BV, order_BV = logits_BV.sort(dim=-1, descending=True)
    share_BV = ordered_BV.softmax(-1)
    before_BV = share_BV.cumsum(-1) - share_BV
    drop_BV = (before_BV >= p).scatter(-1, order_BV, before_BV >= p)
    return logits_BV.masked_fill(drop_BV, -math.inf)


def sample(logits_BV: Tensor, params: SamplingParams, noise_BV: Tensor) -> Tensor:
    """Draw one code per row, int64 [B]: the largest of logits plus Gumbel noise is a draw from their softmax."""
    if params.temperature == 0:
        return logits_BV.argmax(-1)
    logits_BV = logits_BV / params.temperature
    if params.top_k:
        logits_BV = keep_top_k(logits_BV, params.top_k)
    if params.top_p < 1:
        logits_BV = keep_top_p(logits_BV, params.top_p)
    return (logits_BV + noise_BV).argmax(-1)


def gumbel_noise(seeds: Sequence[int], frame: int, cell: int, vocab_size: int) -> Tensor:
    """Gumbel noise for one cell of one frame, float32 [B, V], on the CPU."""
    counter = [0, 0, cell, frame]  # the two low words count the numbers drawn
    uniform = np.stack(
        [np.random.Generator(np.random.Philox(key=s, counter=counter)).random(vocab_size) for s in seeds]
    )
    return torch.from_numpy(-np.log(-np.log(uniform))).float()
