"""How near samples come to the clips that they go on from: the best of several, and the mean.

Only frames that were not given count.

Legend: K samples of a clip, F Y X frames and pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..metrics import Batch, Metric
from .samples import Kept, Sampling, read_kept

Row = dict[str, float]


def prediction_row(metrics: Sequence[Metric], kept: Kept, sampling: Sampling, frames: int) -> Row:
    """Mean over clips of each metric, of the best sample of each clip and of all its samples.

    The best of a clip is chosen for each metric by itself, as papers do.
    """
    best: dict[str, list[float]] = {metric.name: [] for metric in metrics}
    every: dict[str, list[float]] = {metric.name: [] for metric in metrics}
    for row in kept.rows():
        cut = slice(sampling.context, frames)
        reference = read_kept(kept.reference(row))[:, cut]
        videos = [read_kept(kept.sample(row, n))[:, cut] for n in range(sampling.samples)]
        for metric in metrics:
            values = [_value(metric, video, reference) for video in videos]
            choose: Callable[[list[float]], float] = max if metric.better == "higher" else min
            best[metric.name].append(choose(values))
            every[metric.name].append(sum(values) / len(values))
    found: Row = {}
    for name, values in best.items():
        if not values:
            continue
        if sampling.samples > 1:
            found[f"{name}, best of {sampling.samples}"] = sum(values) / len(values)
        found[name] = sum(every[name]) / len(every[name])
    return found


def _value(metric: Metric, video: Tensor, reference: Tensor) -> float:
    with torch.inference_mode():
        return float(metric.rows(Batch(video[None], reference[None])).double().mean())
