"""The Fréchet video distance over the length of samples: how far they drift from the data.

Samples are cut into clips that follow each other; those of each place form a set of their own,
which is compared with the same reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...files.atomic import scratch_folder
from ..clips.extraction import Job, fill, row_key
from ..clips.feature_store import FeatureStore, Rows, collect
from ..clips.video_sets import VideoSet, choose_clips
from ..metrics import Metric
from ..protocols import Protocol

Row = dict[str, float]


def distance_by_place(
    metric: Metric,
    reference: VideoSet,
    samples: str,
    protocol: Protocol,
    store: FeatureStore,
    batch: int,
    workers: int,
) -> Row:
    """Rows such as "frames 17 to 32": the distance of these frames of all samples."""
    parts = replace(protocol, clips=None, repeats=1, generated_stride=1, generated_choice="split")
    made = choose_clips(samples, parts, "generated", store).clips
    places = sorted({clip.first for clip in made})
    jobs = {place: [Job(clip) for clip in made if clip.first == place] for place in places}
    real = [Job(clip) for clip in reference.clips]
    every = [*real, *(job for own in jobs.values() for job in own)]
    fill(store, every, [metric], protocol, batch, workers)
    row: Row = {}
    with scratch_folder() as scratch:
        rows = _rows(metric, real, protocol, store, scratch)
        for place in places:
            own = _rows(metric, jobs[place], protocol, store, scratch)
            name = f"frames {place + 1} to {place + protocol.frames}"
            row[name] = metric.value({"reference": rows, "generated": own})
    return row


def _rows(
    metric: Metric, jobs: Sequence[Job], protocol: Protocol, store: FeatureStore, scratch: Path
) -> Rows:
    names = [row_key(metric, job, protocol) for job in jobs]
    there = store.has(names)
    return collect(store, [name for name in names if name in there], scratch)
