"""Inception score (Salimans et al. 2016): how sure and how varied a classifier is about generated
clips.

Legend: B N clips, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ..clips.feature_store import Rows
from .base import GENERATED, Batch, Metric
from .fvd import clip_features, network_key

SPLITS = 10


def inception_score(chances: Rows, splits: int = SPLITS) -> tuple[float, float]:
    """Mean and deviation over splits of exp(mean KL(p(y | x) || p(y))), float64.

    Two passes over the rows of a split, a few rows at a time.
    """
    scores = []
    N = len(chances)
    for index in range(splits):
        part = chances.take(range(index * N // splits, (index + 1) * N // splits))
        mean_C = torch.zeros(chances.shape[0], dtype=torch.float64)
        for block_NC in part.blocks():
            mean_C += block_NC.sum(0) / len(part)
        total = 0.0
        for block_NC in part.blocks():
            logs_NC = block_NC.clamp_min(1e-30).log() - mean_C.clamp_min(1e-30).log()
            total += float((block_NC * logs_NC).sum())
        scores.append(math.exp(total / len(part)))
    found = torch.tensor(scores, dtype=torch.float64)
    return float(found.mean()), float(found.std(correction=0))


class InceptionScore(Metric):
    """Mean over 10 splits of shuffled clips (fewer if there are fewer clips)."""

    name = "is"
    title = "inception score"
    better = "higher"
    of = GENERATED
    role = "classifier"

    @property
    def key(self) -> str:
        assert self.network is not None
        return f"chances {network_key(self.network, self.protocol)}"

    @torch.inference_mode()
    def rows(self, batch: Batch) -> Tensor:
        """Chances of classes; scores before a softmax are told by their sums."""
        assert self.network is not None
        scores = clip_features(self.network, self.protocol, batch.video).float()
        sums = scores.sum(1)
        are_chances = bool((scores >= 0).all()) and bool(((sums - 1).abs() < 1e-3).all())
        return scores if are_chances else scores.softmax(1)

    def value(self, rows: Mapping[str, Rows]) -> float:
        return self._score(rows)[0]

    def details(self, rows: Mapping[str, Rows]) -> dict[str, float]:
        return {"deviation over splits": self._score(rows)[1]}

    def notes(self, rows: Mapping[str, Rows]) -> list[str]:
        count = len(rows["generated"])
        few = count < SPLITS * 100
        return [f"{count} clips in {SPLITS} splits are few: the score is biased"] * few

    def _score(self, rows: Mapping[str, Rows]) -> tuple[float, float]:
        chances = rows["generated"]
        draw = torch.Generator().manual_seed(self.protocol.seed)
        order = torch.randperm(len(chances), generator=draw)
        return inception_score(chances.take(order.numpy()), min(SPLITS, len(chances)))
