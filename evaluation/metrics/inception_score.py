"""Inception score (Salimans et al. 2016): how sure and how varied a classifier is about generated
clips.

Legend: B N clips, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..clips.feature_store import Rows
from .base import GENERATED, Batch, Metric
from .fvd import clip_features, network_key

SPLITS = 10


def inception_score(chances_NC: Tensor, splits: int = SPLITS) -> tuple[float, float]:
    """Mean and deviation over splits of exp(mean KL(p(y | x) || p(y))), float64."""
    scores = []
    N = len(chances_NC)
    for index in range(splits):
        part = chances_NC[index * N // splits : (index + 1) * N // splits]
        logs = part.clamp_min(1e-30).log() - part.mean(0, keepdim=True).clamp_min(1e-30).log()
        scores.append(float((part * logs).sum(1).mean().exp()))
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
        chances = rows["generated"].all()
        draw = torch.Generator().manual_seed(self.protocol.seed)
        order = torch.randperm(len(chances), generator=draw)
        return inception_score(chances[order], min(SPLITS, len(chances)))
