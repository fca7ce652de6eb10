"""Whether the bits of a clip tell that a model was trained on it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

RATES = (0.01, 0.1, 0.5)  # of never-seen clips that are taken for training clips


def membership_curve(
    trained: Sequence[float], unseen: Sequence[float]
) -> list[tuple[float, float]]:
    """Points (share of never-seen clips, share of training clips) with at most so many bits, for
    every number of bits: from (0, 0) to (1, 1)."""
    points = [(0.0, 0.0)]
    for limit in sorted({*trained, *unseen}):
        wrong = sum(bits <= limit for bits in unseen) / len(unseen)
        right = sum(bits <= limit for bits in trained) / len(trained)
        points.append((wrong, right))
    return points


def area(curve: Sequence[tuple[float, float]]) -> float:
    """Area under a curve: the chance that a training clip has fewer bits than a never-seen one.
    One half means that bits tell nothing."""
    pairs = itertools.pairwise(curve)
    return sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairs)


def found_at(curve: Sequence[tuple[float, float]], rate: float) -> float:
    """The share of training clips that are found where at most `rate` of never-seen clips are taken
    for them."""
    return max(right for wrong, right in curve if wrong <= rate)
