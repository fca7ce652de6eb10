"""The interval beside a number: where it lies for random halves of the clips.

Halves are drawn without repetition, since clips that are drawn twice would make a distribution
narrower and bias a distance upward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..clips.feature_store import Rows
from ..metrics import Metric

HALVES = 50
QUANTILES = (0.05, 0.95)
FEWEST_CLIPS = 4  # a half of fewer has no covariance


def interval(
    metric: Metric,
    parts: Sequence[Mapping[str, Rows]],
    halves: int,
    seed: int,
    *,
    together: bool = False,
) -> dict[str, Any]:
    """The number of halves, their mean, and between which numbers 5 to 95 % of them lie.

    Empty if no halves are asked for, or if there are too few clips for them.

    Args:
        parts: rows by kind, of each group of a protocol; halves are of one group after another.
        halves: how many are drawn.
        seed: of the draw.
        together: the rows of all kinds belong to the same clips, and a half has the same clips of
            each; by default every kind is drawn by itself.
    """
    smallest = min(len(rows) for part in parts for rows in part.values())
    if not halves or smallest < FEWEST_CLIPS:
        return {}
    draw = torch.Generator().manual_seed(seed)
    values = []
    for index in range(halves):
        part = parts[index % len(parts)]
        values.append(metric.value(_half(part, draw, together)))
    found = torch.tensor(values, dtype=torch.float64)
    low, high = (float(found.quantile(share)) for share in QUANTILES)
    return {"halves": len(values), "halves mean": float(found.mean()), "interval": [low, high]}


def _half(part: Mapping[str, Rows], draw: torch.Generator, together: bool) -> dict[str, Rows]:
    half = {}
    places = None
    for kind, rows in part.items():
        if places is None or not together:
            places = torch.randperm(len(rows), generator=draw)[: len(rows) // 2].numpy()
        half[kind] = rows.take(places)
    return half
