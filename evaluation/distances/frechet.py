"""The Fréchet distance between two sets of features, each taken as a Gaussian (Heusel et al. 2017).

Legend: N rows, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..clips.feature_store import Rows


def moments(rows: Rows, covariance: str) -> tuple[Tensor, Tensor, int]:
    """Mean `[D]`, covariance `[D, D]` in float64, and N; rows `[F, D]` count as F rows.

    Two passes over the rows, since the difference of large sums would lose digits. ValueError for
    fewer than two.
    """
    D = rows.shape[-1]
    count = 0
    mean_D = torch.zeros(D, dtype=torch.float64)
    for block in rows.blocks():
        mean_D += block.reshape(-1, D).sum(0)
        count += block.numel() // D
    if count < 2:
        raise ValueError(f"a covariance needs at least 2 rows of features; got {count}")
    mean_D /= count
    scatter_DD = torch.zeros(D, D, dtype=torch.float64)
    for block in rows.blocks():
        centred_ND = block.reshape(-1, D) - mean_D
        scatter_DD += centred_ND.T @ centred_ND
    return mean_D, scatter_DD / (count - (covariance == "unbiased")), count


def frechet_distance(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> float:
    """|mean - mean|^2 + trace(A + B - 2 (A B)^(1/2)) of two pairs of mean and covariance.

    The trace of the root is the sum of the roots of the eigenvalues of A^(1/2) B A^(1/2), which is
    symmetric; it exists for singular covariances too, where iterative roots of A B break down.
    """
    mean_a, cov_a = a
    mean_b, cov_b = b
    values, vectors = torch.linalg.eigh(cov_a)
    root_a = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    middle = root_a @ cov_b @ root_a
    cross = torch.linalg.eigvalsh((middle + middle.T) / 2).clamp_min(0).sqrt().sum()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross
    return float(distance.clamp_min(0))


def distance_of_rows(reference: Rows, generated: Rows, covariance: str) -> float:
    """The distance between two sets of rows."""
    a = moments(reference, covariance)
    b = moments(generated, covariance)
    return frechet_distance(a[:2], b[:2])


def rank_notes(reference: Rows, generated: Rows, unit: str) -> list[str]:
    """Says so where a covariance must be singular because there are too few rows."""
    D = reference.shape[-1]
    notes = []
    for side, rows in (("reference", reference), ("generated", generated)):
        count = len(rows) * (rows.shape[0] if len(rows.shape) > 1 else 1)
        if count <= D:
            notes.append(
                f"the covariance of the {side} set is singular: {count} {unit} for {D} features; "
                f"the number depends on the count, and at least {D + 1} are needed"
            )
    if len(reference) != len(generated):
        notes.append(
            f"the sets differ in size ({len(reference)} and {len(generated)} clips), which shifts "
            "the distance"
        )
    return notes
