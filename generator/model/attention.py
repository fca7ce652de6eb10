"""Grouped-query attention behind one function, with the backend as an argument.

Legend: B batch, L queries, C keys (context), N query heads, M key/value heads (N is a multiple of
M), K head size.

`sdpa` runs everywhere and is the oracle of the others. `matmul` is the same in three plain
operations: on a CPU it is faster for few queries, and in bfloat16 its backward is. `flex` and
`xformers` are for CUDA and imported on first use.
"""

import math
import time
from collections.abc import Callable
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ..sampling.cuda_graph import graph_capture

Attention = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


def attend(
    q_BNLK: Tensor,
    k_BMCK: Tensor,
    v_BMCK: Tensor,
    bias: Tensor | None = None,
    backend: str = "sdpa",
) -> Tensor:
    """Softmax attention, `[B, N, L, K]`.

    Args:
        bias: added to the scaled scores, broadcastable to [B, N, L, C]; 0 where a query may look,
            -inf where not.
        backend: one of `BACKENDS`.

    Raises:
        ValueError: the backend is unknown, or needs a CUDA device and got tensors elsewhere.
    """
    if backend not in BACKENDS:
        raise ValueError(
            f"unknown attention backend {backend!r}; choose one of {', '.join(BACKENDS)}"
        )
    if backend in ("flex", "xformers") and not q_BNLK.is_cuda:
        raise ValueError(
            f"attention backend {backend!r} needs a CUDA device; got {q_BNLK.device}. Use 'sdpa'"
        )
    return BACKENDS[backend](q_BNLK, k_BMCK, v_BMCK, bias)


def sdpa(q_BNLK: Tensor, k_BMCK: Tensor, v_BMCK: Tensor, bias: Tensor | None) -> Tensor:
    if bias is not None:
        bias = bias.to(q_BNLK.dtype)
    return F.scaled_dot_product_attention(
        q_BNLK, k_BMCK, v_BMCK, attn_mask=bias, scale=1.0, enable_gqa=True
    )


def matmul(q_BNLK: Tensor, k_BMCK: Tensor, v_BMCK: Tensor, bias: Tensor | None) -> Tensor:
    B, N, L, K = q_BNLK.shape
    M, C = k_BMCK.shape[1:3]
    # X = B * M; the heads of a group are rows of one product
    q_XRK = q_BNLK.reshape(B * M, N // M * L, K)
    scores_XRC = torch.bmm(q_XRK, k_BMCK.flatten(0, 1).transpose(1, 2))
    if bias is not None:
        scores_XRC.view(B, N, L, C).add_(bias)
    return torch.bmm(scores_XRC.softmax(-1), v_BMCK.flatten(0, 1)).view(B, N, L, K)


def flex(q_BNLK: Tensor, k_BMCK: Tensor, v_BMCK: Tensor, bias: Tensor | None) -> Tensor:
    from torch.nn.attention.flex_attention import flex_attention

    if bias is None:
        return flex_attention(q_BNLK, k_BMCK, v_BMCK, enable_gqa=True)
    B, N, L, _ = q_BNLK.shape
    bias_BNLC = bias.expand(B, N, L, k_BMCK.shape[2])

    def add_bias(score: Tensor, b: Tensor, n: Tensor, l: Tensor, c: Tensor) -> Tensor:
        return score + bias_BNLC[b, n, l, c]

    return flex_attention(q_BNLK, k_BMCK, v_BMCK, score_mod=add_bias, enable_gqa=True)


def xformers(q_BNLK: Tensor, k_BMCK: Tensor, v_BMCK: Tensor, bias: Tensor | None) -> Tensor:
    from xformers.ops import memory_efficient_attention

    B, N, L, _ = q_BNLK.shape
    repeats = N // k_BMCK.shape[1]
    k_BCNK, v_BCNK = (x.repeat_interleave(repeats, dim=1).transpose(1, 2) for x in (k_BMCK, v_BMCK))
    if bias is not None:
        C = k_BMCK.shape[2]
        # rows of 16 bytes
        aligned = torch.zeros(B, N, L, C + -C % 8, dtype=q_BNLK.dtype, device=q_BNLK.device)
        aligned[..., :C] = bias
        bias = aligned[..., :C]
    return memory_efficient_attention(
        q_BNLK.transpose(1, 2), k_BCNK, v_BCNK, attn_bias=bias
    ).transpose(1, 2)


BACKENDS: dict[str, Attention] = {
    "sdpa": sdpa,
    "matmul": matmul,
    "flex": flex,
    "xformers": xformers,
}


@lru_cache
def fastest_backend(
    rows: int,
    heads: int,
    kv_heads: int,
    queries: int,
    keys: int,
    head_size: int,
    dtype: torch.dtype,
    device: str,
) -> str:
    """The one that takes least time for such tensors and a bias, tried out on the device. `flex`
    would have to be compiled first, and is not tried. Those that are not installed or do not
    take such tensors are left out."""

    def random(n: int, length: int) -> Tensor:
        return torch.randn(rows, n, length, head_size, device=device).to(dtype)

    q = random(heads, queries)
    k = random(kv_heads, keys)
    v = random(kv_heads, keys)
    bias = torch.zeros(rows, 1, queries, keys, dtype=dtype, device=device)
    bias[..., -1] = -math.inf
    times = {}
    for name in ("sdpa", "matmul", "xformers"):
        try:
            times[name] = _seconds(partial(attend, q, k, v, bias, name), torch.device(device))
        except (ImportError, NotImplementedError, RuntimeError, ValueError):
            continue
    return min(times, key=times.__getitem__)


def _seconds(call: Callable[[], Tensor], device: torch.device) -> float:
    """The least of five turns of ten calls; recorded, where that is how they will be made."""

    def work() -> None:
        for _ in range(10):
            call()

    work()  # loads what it needs
    record = graph_capture(device)
    times = []
    play = record(work) if record else work
    for _ in range(5):
        begin = time.perf_counter()
        play()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return min(times)
