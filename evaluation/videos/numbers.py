"""From rows to numbers: each metric of the groups of a protocol, with an interval."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..clips.extraction import Job, row_key
from ..clips.feature_store import FeatureStore, Rows, collect
from ..clips.video_sets import VideoSet
from ..metrics import Metric
from .halves import interval
from .settings import Settings


def measure(
    metric: Metric,
    jobs: Mapping[str, list[Job]],
    sets: Mapping[str, VideoSet],
    store: FeatureStore,
    settings: Settings,
    scratch: Path,
) -> dict[str, Any]:
    """A metric's number with its counts, notes, network and interval."""
    rows: dict[str, Rows] = {}
    groups: dict[str, list[list[int]]] = {}
    for kind in metric.of:
        chosen = sets["generated" if kind == "pairs" else kind]
        sizes = [len(group) for group in chosen.groups]
        ordered = _by_content(jobs[kind], sizes)
        names = [row_key(metric, job, settings.protocol) for job in ordered]
        there = store.has(names)
        rows[kind] = collect(store, [name for name in names if name in there], scratch)
        groups[kind] = _places(names, there, sizes)
    repeats = len(groups[metric.of[0]])
    parts = [
        {kind: rows[kind].take(groups[kind][index]) for kind in metric.of}
        for index in range(repeats)
    ]
    values = [metric.value(part) for part in parts]
    found: dict[str, Any] = {
        "value": sum(values) / len(values),
        "better": metric.better,
        "clips": {kind: len(rows[kind]) for kind in metric.of},
        "notes": list(dict.fromkeys(note for part in parts for note in metric.notes(part))),
        "network": metric.network.facts() if metric.network else None,
        **metric.details(rows),
    }
    if len(values) > 1:
        found["groups"] = values
    return found | interval(metric, parts, settings.halves, settings.protocol.seed)


def _by_content(jobs: list[Job], sizes: list[int]) -> list[Job]:
    """The jobs of each group in an order that no name of a file changes: splits, subsets and halves
    are drawn by place."""
    ordered: list[Job] = []
    for size in sizes:
        group = jobs[len(ordered) : len(ordered) + size]
        ordered += sorted(group, key=lambda job: job.clip.content)
    return ordered


def _places(names: list[str], there: set[str], sizes: list[int]) -> list[list[int]]:
    """Places of each group's clips among the rows that are there."""
    places: list[list[int]] = []
    begin = 0
    passed = 0
    for size in sizes:
        count = sum(name in there for name in names[begin : begin + size])
        places.append(list(range(passed, passed + count)))
        begin += size
        passed += count
    return places
