"""The squared maximum mean discrepancy of two sets of features under the kernel (x y / D + 1)^3, in
its unbiased form (Bińkowski et al. 2018).

Legend: M N rows, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..clips.feature_store import Rows

BLOCK = 512  # rows and columns of a kernel matrix at once


def kernel_mmd(reference_MD: Tensor, generated_ND: Tensor) -> float:
    """The estimate for float64 features; it may be slightly negative. ValueError for fewer than
    two of either."""
    M = len(reference_MD)
    N = len(generated_ND)
    if min(M, N) < 2:
        raise ValueError(f"each set needs at least 2 rows of features; got {M} and {N}")
    within = _without_diagonal(reference_MD) / (M * (M - 1))
    within += _without_diagonal(generated_ND) / (N * (N - 1))
    return within - 2 * _kernel_sum(reference_MD, generated_ND) / (M * N)


def _kernel_sum(a_MD: Tensor, b_ND: Tensor) -> float:
    D = a_MD.shape[1]
    total = 0.0
    for rows in a_MD.split(BLOCK):
        for columns in b_ND.split(BLOCK):
            total += float((rows @ columns.T / D + 1).pow(3).sum())
    return total


def _without_diagonal(a_MD: Tensor) -> float:
    diagonal = (a_MD.square().sum(1) / a_MD.shape[1] + 1).pow(3).sum()
    return _kernel_sum(a_MD, a_MD) - float(diagonal)


def subset_mmd(
    reference: Rows, generated: Rows, subsets: int, size: int, seed: int
) -> tuple[float, float]:
    """Mean and deviation of the estimate over random subsets of at most `size` rows of each set.

    Rows `[F, D]` count as F rows.
    """
    a_MD = reference.all().reshape(-1, reference.shape[-1])
    b_ND = generated.all().reshape(-1, generated.shape[-1])
    size = min(size, len(a_MD), len(b_ND))
    draw = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(subsets):
        some_a = a_MD[torch.randperm(len(a_MD), generator=draw)[:size]]
        some_b = b_ND[torch.randperm(len(b_ND), generator=draw)[:size]]
        values.append(kernel_mmd(some_a, some_b))
    found = torch.tensor(values, dtype=torch.float64)
    return float(found.mean()), float(found.std(correction=0))
