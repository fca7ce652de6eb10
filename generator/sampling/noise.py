"""The noise that codes are drawn with.

It is made frame by frame (SFC64, seeded by the row's seed and the frame's number): it depends on a
row's seed and on the place in the video and on nothing else, so a row is the same in any batch,
however it is called, and a video can be resumed or drawn anew from any frame.

Legend: B rows, G cells of a frame, V vocabulary, T tokens of one forward.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .filters import BLOCK, sample
from .params import SamplingParams

# 31 random bits to a number above 0 and, also when rounded to float32, below 1
SHRINK = 2**-31 * (1 - 2**-24)


def gumbel_bits(
    seeds: Sequence[int], frame: int, cells: int, vocab_size: int, stream: int = 0
) -> Tensor:
    """Random bits for the codes of one frame, int32 [B, G, V], on the CPU: see `gumbel`.

    Args:
        stream: 0 for its picture; other streams are independent of it.
    """
    count = cells * vocab_size
    half = -(-count // 2)
    raw = np.stack(
        [_bits(seed, stream, frame).random_raw(half).view(np.int32)[:count] for seed in seeds]
    )
    return torch.from_numpy(raw).view(len(seeds), cells, vocab_size)


def gumbel(bits: Tensor) -> Tensor:
    """31 of 32 random bits to Gumbel noise, float32; at most 22, and that once in 2 ** 32."""
    noise = bits.bitwise_and(2**31 - 1).float()
    # the logarithm of a draw from the exponential
    return noise.add_(0.5).mul_(-SHRINK).log1p_().neg_().log_().neg_()


def gumbel_noise(
    seeds: Sequence[int], frame: int, cells: int, vocab_size: int, stream: int = 0
) -> Tensor:
    """Gumbel noise for the cells of one frame, float32 [B, G, V], on the CPU."""
    return gumbel(gumbel_bits(seeds, frame, cells, vocab_size, stream))


class FrameNoise:
    """The Gumbel noise of a frame [B, G, V], to draw its codes with as `sample` does.

    With `min_p` alone only the blocks of codes that hold a likely one are looked at, and the noise
    of these worked out.

    Args:
        bits_BGV: of `gumbel_bits`.
        params: how codes are drawn.
        device: where.
        static: look at all codes, so that no shape depends on them (to know which are likely is to
            wait for a GPU).
    """

    def __init__(
        self, bits_BGV: Tensor, params: SamplingParams, device: torch.device, static: bool = False
    ) -> None:
        self.params = params
        sorting = params.top_k > 0 or params.top_p < 1
        self.few = not static and params.min_p > 0 and not params.greedy and not sorting
        self.few &= bits_BGV.shape[-1] % BLOCK == 0
        if self.few:
            self.noise_BGV = bits_BGV
        elif params.greedy:
            self.noise_BGV = torch.zeros(bits_BGV.shape, device=device)
        else:
            self.noise_BGV = gumbel(bits_BGV.to(device))

    def draw(self, logits_BTV: Tensor, rows_B1: Tensor, cell_BT: Tensor) -> Tensor:
        """Codes [B, T] of these cells."""
        if not self.few:
            return sample(logits_BTV, self.params, self.noise_BGV[rows_B1, cell_BT])
        G = self.noise_BGV.shape[1]
        temperature = self.params.temperature
        blocks_NJV = logits_BTV.reshape(cell_BT.numel(), -1, BLOCK)  # N = B * T, J blocks
        top_NJ = blocks_NJV.amax(-1) / temperature
        least_N1 = top_NJ.amax(-1, keepdim=True) + math.log(self.params.min_p)
        place_K, block_K = (top_NJ >= least_N1).nonzero().unbind(1)
        logits_KV = blocks_NJV[place_K, block_K] / temperature
        bits_KV = self.noise_BGV.view(-1, *blocks_NJV.shape[1:])[
            (rows_B1 * G + cell_BT).view(-1)[place_K], block_K
        ]
        score_KV = logits_KV.masked_fill_(logits_KV < least_N1[place_K], -math.inf) + gumbel(
            bits_KV
        )
        score_K, code_K = score_KV.max(-1)
        best_N = score_K.new_empty(len(top_NJ)).scatter_reduce_(
            0, place_K, score_K, "amax", include_self=False
        )
        code_K = (code_K + block_K * BLOCK).masked_fill_(
            score_K < best_N[place_K], logits_BTV.shape[-1]
        )
        code_N = code_K.new_empty(len(top_NJ)).scatter_reduce_(
            0, place_K, code_K, "amin", include_self=False
        )
        return code_N.view_as(cell_BT)  # the first of equals


def uniform_noise(seeds: Sequence[int], frame: int, cells: int) -> Tensor:
    """Two numbers in [0, 1) per cell of one frame, independent of the Gumbel noise, float32 [B,
    2, G], on the CPU."""
    uniform = np.stack(
        [np.random.Generator(_bits(seed, 1, frame)).random((2, cells)) for seed in seeds]
    )
    return torch.from_numpy(uniform).float().clamp_(max=1 - 2**-23)


def _bits(seed: int, stream: int, frame: int) -> np.random.SFC64:
    return np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(stream, frame)))
