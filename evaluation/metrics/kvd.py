"""Kernel video distance (Unterthiner et al. 2018): the unbiased polynomial MMD of features of
clips, over all pairs."""

from __future__ import annotations

from collections.abc import Mapping

from ..clips.feature_store import Rows
from ..distances.polynomial import kernel_mmd
from .fvd import FVD


class KVD(FVD):
    """The same features as FVD; does not grow for small sets, and may be slightly negative."""

    name = "kvd"
    title = "kernel video distance"

    def value(self, rows: Mapping[str, Rows]) -> float:
        return kernel_mmd(rows["reference"], rows["generated"])

    def notes(self, rows: Mapping[str, Rows]) -> list[str]:
        return []
