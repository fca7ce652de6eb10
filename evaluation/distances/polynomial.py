"""The squared maximum mean discrepancy of two sets of features under the kernel (x y / D + 1)^3, in
its unbiased form (Bińkowski et al. 2018).

Sums over pairs of rows are made block by block, so that rows stay on the disk.

Legend: M N rows, D features.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..clips.feature_store import Rows

BLOCK = 512  # rows of a tensor at once


def kernel_mmd(reference: Rows | Tensor, generated: Rows | Tensor) -> float:
    """The estimate; it may be slightly negative. ValueError for fewer than two of either.

    Args:
        reference, generated: rows `[D]`, or float64 `[M, D]` and `[N, D]` in memory.
    """
    M = len(reference)
    N = len(generated)
    if min(M, N) < 2:
        raise ValueError(f"each set needs at least 2 rows of features; got {M} and {N}")
    within = _without_diagonal(reference) / (M * (M - 1))
    within += _without_diagonal(generated) / (N * (N - 1))
    return within - 2 * _kernel_sum(reference, generated) / (M * N)


def _blocks(rows: Rows | Tensor) -> Iterator[Tensor]:
    """float64 `[n, D]`, a few rows at a time."""
    yield from rows.split(BLOCK) if isinstance(rows, Tensor) else rows.blocks()


def _kernel_sum(a: Rows | Tensor, b: Rows | Tensor) -> float:
    total = 0.0
    for rows_MD in _blocks(a):
        D = rows_MD.shape[1]
        for columns_ND in _blocks(b):
            total += float((rows_MD @ columns_ND.T / D + 1).pow(3).sum())
    return total


def _without_diagonal(a: Rows | Tensor) -> float:
    diagonal = 0.0
    for rows_MD in _blocks(a):
        diagonal += float((rows_MD.square().sum(1) / rows_MD.shape[1] + 1).pow(3).sum())
    return _kernel_sum(a, a) - diagonal


def subset_mmd(
    reference: Rows, generated: Rows, subsets: int, size: int, seed: int
) -> tuple[float, float]:
    """Mean and deviation of the estimate over random subsets of at most `size` rows of each set.

    Rows `[F, D]` count as F rows. Memory holds one subset of each set.
    """
    M = reference.flat_count
    N = generated.flat_count
    size = min(size, M, N)
    draw = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(subsets):
        some_a = reference.flat(torch.randperm(M, generator=draw)[:size])
        some_b = generated.flat(torch.randperm(N, generator=draw)[:size])
        values.append(kernel_mmd(some_a, some_b))
    found = torch.tensor(values, dtype=torch.float64)
    return float(found.mean()), float(found.std(correction=0))
