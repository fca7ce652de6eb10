"""From logits to codes: pure functions over `[B, V]`, with the noise as an argument.

Noise is drawn frame by frame (SFC64, seeded by the row's seed and the frame's number): it depends
on a row's seed and on the place in the video and on nothing else, so a row is the same in any
batch, however it is called, and a video can be resumed or drawn anew from any frame.

Legend: B rows, G cells of a frame, V vocabulary; functions of `[..., V]` take any number of rows
and cells.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# 31 random bits to a number above 0 and, also when rounded to float32, below 1
SHRINK = 2**-31 * (1 - 2**-24)
BLOCK = 128  # codes
ACCELERATE = ("exact", "distribution", "off")


@dataclass(frozen=True)
class SamplingParams:
    """How codes are drawn.

    Args:
        temperature: divides the logits; 0 takes the likeliest code.
        top_k: draw from the k likeliest codes only; 0 for all.
        top_p: draw from the likeliest codes that together have this probability; 1 for all.
        min_p: draw from codes with at least this share of the likeliest one's probability; 0 for
            all. Cheaper than the two above, which sort.
        guidance: how far to go from the logits without the prompt (0) to those with it (1) and
            beyond.
        guidance_frames: latent frames under guidance, from the first on; None for all. Behind them
            it costs nothing.
        window: latent frames that a token sees, its own included; None for as many as in training.
        accelerate: draft several codes and verify them at once. "exact" gives the codes that "off"
            gives (but for ties within rounding); "distribution" gives others of the same
            distribution, which also depend on how many videos are made at once, in fewer forwards.

    Raises:
        ValueError: a value out of range.
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.1
    guidance: float = 2.0
    guidance_frames: int | None = None
    window: int | None = None
    accelerate: str = "exact"

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise ValueError(
                f"temperature must be 0 (the likeliest code) or more; got {self.temperature}"
            )
        if self.top_k < 0:
            raise ValueError(f"top_k must be 0 (all codes) or more; got {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1 (all codes); got {self.top_p}")
        if not 0 <= self.min_p <= 1:
            raise ValueError(
                f"min_p must be 0 (all codes) to 1 (the likeliest code); got {self.min_p}"
            )
        if not 0 <= self.guidance < math.inf:
            raise ValueError(f"guidance must be 0 or more (1 is none); got {self.guidance}")
        if self.guidance_frames is not None and self.guidance_frames < 0:
            raise ValueError(
                f"guidance_frames must be 0 or more latent frames; got {self.guidance_frames}"
            )
        if self.window is not None and self.window < 1:
            raise ValueError(f"window must be at least 1 latent frame; got {self.window}")
        if self.accelerate not in ACCELERATE:
            raise ValueError(
                f"accelerate must be one of {', '.join(ACCELERATE)}; got {self.accelerate!r}"
            )

    def guided(self, frame: int) -> bool:
        """Whether a latent frame is drawn under guidance."""
        return self.guidance != 1 and (self.guidance_frames is None or frame < self.guidance_frames)


def guide(with_prompt: Tensor, without: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (arXiv:2207.12598): 0 is without the prompt, 1 is with it, more
    goes on beyond."""
    return torch.lerp(without, with_prompt, scale)


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
    if params.temperature == 0:
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


def gumbel_bits(seeds: Sequence[int], frame: int, cells: int, vocab_size: int) -> Tensor:
    """Random bits for the codes of one frame, int32 [B, G, V], on the CPU: see `gumbel`."""
    count = cells * vocab_size
    raw = np.stack(
        [_bits(seed, 0, frame).random_raw(-(-count // 2)).view(np.int32)[:count] for seed in seeds]
    )
    return torch.from_numpy(raw).view(len(seeds), cells, vocab_size)


def gumbel(bits: Tensor) -> Tensor:
    """31 of 32 random bits to Gumbel noise, float32; at most 22, and that once in 2 ** 32."""
    noise = bits.bitwise_and(2**31 - 1).float()
    # the logarithm of a draw from the exponential
    return noise.add_(0.5).mul_(-SHRINK).log1p_().neg_().log_().neg_()


def gumbel_noise(seeds: Sequence[int], frame: int, cells: int, vocab_size: int) -> Tensor:
    """Gumbel noise for the cells of one frame, float32 [B, G, V], on the CPU."""
    return gumbel(gumbel_bits(seeds, frame, cells, vocab_size))


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
        self.few = not static and params.min_p > 0 and params.temperature > 0 and not sorting
        self.few &= bits_BGV.shape[-1] % BLOCK == 0
        if self.few:
            self.noise_BGV = bits_BGV
        elif params.temperature == 0:
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
