"""Two sets of videos, whoever made them, compared as papers do: `kinetoscope evaluate videos`.

A number comes with all that it depends on: the protocol, both sets, the network, the counts, an
interval and what is wrong with it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ...files.atomic import scratch_folder
from ..clips.extraction import Job, Work, fill
from ..clips.feature_store import FeatureStore, default_folder
from ..clips.video_sets import VideoSet, choose_clips, pair_up
from ..metrics import Metric
from ..metrics.base import PAIRS
from .networks import make_metrics
from .numbers import measure
from .on_ray import fill_on_ray
from .result import make_result
from .settings import Settings, check

Say = Callable[[str], object]


@dataclass(frozen=True)
class Comparison:
    """The metrics, both sets, and for each kind of rows the clips that they are made of."""

    metrics: Sequence[Metric]
    sets: Mapping[str, VideoSet]
    jobs: Mapping[str, list[Job]]
    paired: str


def evaluate_sets(settings: Settings, say: Say = lambda _: None) -> dict[str, Any] | None:
    """Compare two sets; the result is what JSON holds. None on the ranks of a torchrun but the
    first.

    Raises:
        ValueError: a metric, network, set or number cannot be used.
    """
    begin = time.monotonic()
    check(settings)
    rank = int(os.environ.get("RANK", "0"))
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    with (
        FeatureStore(settings.cache or default_folder()) as store,
        scratch_folder() as scratch,
    ):
        task = _prepared(settings, store, say)
        if settings.engine == "ray":
            fill_on_ray(settings, fill_share)
        works = _fill(task, store, settings, rank, ranks, say)
        if ranks > 1:
            _wait_for_all()
        if rank:
            return None
        values = {
            metric.name: measure(metric, task.jobs, task.sets, store, settings, scratch)
            for metric in task.metrics
        }
    seconds = time.monotonic() - begin
    return make_result(settings, task.metrics, task.sets, values, works, task.paired, seconds)


def fill_share(settings: Settings, rank: int, ranks: int) -> None:
    """Make the missing rows of one of `ranks` shares, on whatever machine."""
    with FeatureStore(settings.cache or default_folder()) as store:
        task = _prepared(settings, store)
        _fill(task, store, settings, rank, ranks)


def _prepared(settings: Settings, store: FeatureStore, say: Say = lambda _: None) -> Comparison:
    metrics = make_metrics(settings)
    protocol = settings.protocol
    sets = {
        "reference": choose_clips(
            settings.reference, protocol, "reference", store, settings.wanted
        ),
        "generated": choose_clips(
            settings.generated, protocol, "generated", store, settings.generated_wanted
        ),
    }
    for side, chosen in sets.items():
        say(f"{side}: {chosen.layout}")
        say(f"{side}: {len(chosen.clips)} clips of {chosen.videos} videos")
    return Comparison(metrics, sets, *_jobs(sets, metrics))


def _jobs(
    sets: Mapping[str, VideoSet], metrics: Sequence[Metric]
) -> tuple[dict[str, list[Job]], str]:
    """For each kind of rows the clips that they are made of, and how pairs were found."""
    jobs = {side: [Job(clip) for clip in chosen.clips] for side, chosen in sets.items()}
    paired = ""
    if any(metric.of == PAIRS for metric in metrics):
        reference = sets["reference"].clips
        places, paired = pair_up(reference, sets["generated"].clips)
        jobs["pairs"] = [
            Job(clip, reference[place])
            for clip, place in zip(sets["generated"].clips, places, strict=True)
        ]
    return jobs, paired


def _fill(
    task: Comparison,
    store: FeatureStore,
    settings: Settings,
    rank: int,
    ranks: int,
    say: Say = lambda _: None,
) -> dict[str, Work]:
    """Make the rows that are missing in one of `ranks` shares of all clips."""
    works = {}
    for kind, wanted in task.jobs.items():
        makers = [metric for metric in task.metrics if kind in metric.of]
        if not makers:
            continue
        share = wanted[rank::ranks]
        works[kind] = fill(
            store, share, makers, settings.protocol, settings.batch, settings.workers
        )
        say(f"{kind}: {works[kind].clips} of {len(share)} clips were new")
    return works


def _wait_for_all() -> None:
    import torch.distributed as distributed

    if not distributed.is_initialized():
        distributed.init_process_group("gloo", timeout=timedelta(days=7))
    distributed.barrier()
    distributed.destroy_process_group()
