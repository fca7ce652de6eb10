"""Kernel inception distance (Bińkowski et al. 2018) over the frames of clips."""

from __future__ import annotations

from collections.abc import Mapping

from ..clips.feature_store import Rows
from ..distances.polynomial import subset_mmd
from .fid import FID

SUBSETS = 100
SUBSET_SIZE = 1000


class KID(FID):
    """Mean over 100 random subsets of at most 1,000 frames of each set, not multiplied by 1,000."""

    name = "kid"
    title = "kernel inception distance, per frame"

    def value(self, rows: Mapping[str, Rows]) -> float:
        return self._estimate(rows)[0]

    def notes(self, rows: Mapping[str, Rows]) -> list[str]:
        return []

    def details(self, rows: Mapping[str, Rows]) -> dict[str, float]:
        return {"deviation over subsets": self._estimate(rows)[1]}

    def _estimate(self, rows: Mapping[str, Rows]) -> tuple[float, float]:
        seed = self.protocol.seed
        return subset_mmd(rows["reference"], rows["generated"], SUBSETS, SUBSET_SIZE, seed)
