"""Two sets of videos, whoever made them, compared as papers do: `kinetoscope evaluate videos`.

A number comes with all that it depends on: the protocol, both sets, the network, the counts, an
interval and what is wrong with it.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from ..data.datasets.listed_video import Problem
from ..data.datasets.wanted import Wanted
from ..tokenizer.training.perceptual import PerceptualLoss
from .clips.extraction import Job, Work, fill, row_key
from .clips.feature_store import FeatureStore, Rows, collect, default_folder, file_sha256
from .clips.video_sets import VideoSet, choose_clips, pair_up
from .features import Network, open_network
from .metrics import METRICS, Metric
from .metrics.base import GENERATED, PAIRS
from .protocols import Protocol, changes

HALVES = 50
QUANTILES = (0.05, 0.95)
ROLES = sorted({metric.role for metric in METRICS.values() if metric.role})
PACKAGES = ("kinetoscope", "torch", "av", "numpy", "torchmetrics", "transformers")


@dataclass(frozen=True)
class Settings:
    """What is compared with what, and how; `wanted` says which videos of the reference count, and
    `generated_wanted` which of the generated set.

    `networks` maps a role ("video", "picture", "classifier", "clip", "lpips", "sound") to a
    network's name, see `evaluation.features`. What stands below `halves` never changes a number.
    """

    reference: str
    generated: str
    metrics: Sequence[str]
    protocol: Protocol = field(default_factory=Protocol)
    networks: Mapping[str, str] = field(default_factory=dict)
    wanted: Wanted = field(default_factory=Wanted)
    generated_wanted: Wanted = field(default_factory=Wanted)
    halves: int = HALVES
    batch: int = 8
    workers: int = 2
    cache: str | None = None
    device: str = "cpu"


def evaluate_sets(
    settings: Settings, say: Callable[[str], object] = lambda _: None
) -> dict[str, Any] | None:
    """Compare two sets; the result is what JSON holds. None on the ranks of a torchrun but the
    first.

    Raises:
        ValueError: a metric, network, set or number cannot be used.
    """
    begin = time.monotonic()
    _check(settings)
    metrics = make_metrics(settings)
    protocol = settings.protocol
    with (
        FeatureStore(settings.cache or default_folder()) as store,
        tempfile.TemporaryDirectory(prefix="kinetoscope-") as scratch,
    ):
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
        jobs, paired = _jobs(sets, metrics)
        works = _fill_all(store, jobs, metrics, settings, say)
        if works is None:
            return None
        values = {
            metric.name: _measure(metric, jobs, sets, store, settings, Path(scratch))
            for metric in metrics
        }
    return _result(settings, metrics, sets, values, works, paired, time.monotonic() - begin)


def make_metrics(settings: Settings) -> list[Metric]:
    """The metrics with their networks, each opened once. ValueError if one lacks its own."""
    opened: dict[str, Network] = {}
    made = []
    for name in settings.metrics:
        kind = METRICS[name]
        if kind.role and kind.role not in settings.networks:
            option = "--i3d FILE" if kind.role == "video" else f"--network {kind.role}=FILE"
            raise ValueError(f"{name} needs a network of yours: {option} (see docs/evaluation.md)")
        if kind.role and kind.role not in opened:
            given = settings.networks[kind.role]
            opened[kind.role] = _open(given, kind.sees, settings.device)
        made.append(kind(settings.protocol, opened.get(kind.role)))
    return made


def _open(name: str, sees: str, device: str) -> Network:
    if sees != "pairs" or Path(name).suffix != ".safetensors":
        return open_network(name, sees, device)
    loss = PerceptualLoss.from_file(name).to(device)

    @torch.inference_mode()
    def distances(a_N3YX: torch.Tensor, b_N3YX: torch.Tensor) -> torch.Tensor:
        a, b = (loss.features(x.to(device).unsqueeze(2)) for x in (a_N3YX, b_N3YX))
        levels = [
            torch.einsum("ncyx,c->nyx", (p - q).square(), weight).mean((1, 2))
            for p, q, weight in zip(a, b, loss.importance)
        ]
        # a training loss takes the mean over levels; LPIPS is their sum
        return torch.stack(levels).sum(0)

    return Network(Path(name).name, file_sha256(Path(name)), sees, distances, model=distances)


def _check(settings: Settings) -> None:
    for name in settings.metrics:
        if name not in METRICS:
            raise ValueError(f"unknown metric {name!r}; there are {', '.join(METRICS)}")
    if not settings.metrics:
        raise ValueError(f"no metric is asked for; there are {', '.join(METRICS)}")
    for role in settings.networks:
        if role not in ROLES:
            raise ValueError(f"unknown role {role!r} of a network; there are {', '.join(ROLES)}")
    for name in ("batch", "workers"):
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} must be at least 1; got {getattr(settings, name)}")
    if settings.halves < 0:
        raise ValueError(f"halves must be at least 0; got {settings.halves}")


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


def _fill_all(
    store: FeatureStore,
    jobs: Mapping[str, list[Job]],
    metrics: Sequence[Metric],
    settings: Settings,
    say: Callable[[str], object],
) -> dict[str, Work] | None:
    """Make all rows that are missing; under torchrun each rank a share of them."""
    rank = int(os.environ.get("RANK", "0"))
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    works = {}
    for kind, wanted in jobs.items():
        makers = [metric for metric in metrics if kind in metric.of]
        if not makers:
            continue
        share = wanted[rank::ranks]
        works[kind] = fill(
            store, share, makers, settings.protocol, settings.batch, settings.workers
        )
        say(f"{kind}: {works[kind].clips} of {len(share)} clips were new")
    if ranks > 1:
        _wait_for_all()
    return works if rank == 0 else None


def _wait_for_all() -> None:
    import torch.distributed as distributed

    if not distributed.is_initialized():
        distributed.init_process_group("gloo", timeout=timedelta(days=7))
    distributed.barrier()
    distributed.destroy_process_group()


# ---- from rows to numbers ----


def _measure(
    metric: Metric,
    jobs: Mapping[str, list[Job]],
    sets: Mapping[str, VideoSet],
    store: FeatureStore,
    settings: Settings,
    scratch: Path,
) -> dict[str, Any]:
    rows: dict[str, Rows] = {}
    groups: dict[str, list[list[int]]] = {}
    for kind in metric.of:
        names = [row_key(metric, job, settings.protocol) for job in jobs[kind]]
        there = store.has(names)
        rows[kind] = collect(store, [name for name in names if name in there], scratch)
        chosen = sets["generated" if kind == "pairs" else kind]
        groups[kind] = _places(names, there, [len(group) for group in chosen.groups])
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
    return found | _interval(metric, parts, settings)


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


def _interval(
    metric: Metric, parts: Sequence[Mapping[str, Rows]], settings: Settings
) -> dict[str, Any]:
    """Where the number of random halves lies; drawn without repetition, since clips that are drawn
    twice would make a distribution narrower and bias a distance."""
    smallest = min(len(rows) for part in parts for rows in part.values())
    if not settings.halves or smallest < 4:
        return {}
    draw = torch.Generator().manual_seed(settings.protocol.seed)
    values = []
    for index in range(settings.halves):
        part = parts[index % len(parts)]
        half = {
            kind: rows.take(torch.randperm(len(rows), generator=draw)[: len(rows) // 2].numpy())
            for kind, rows in part.items()
        }
        values.append(metric.value(half))
    found = torch.tensor(values, dtype=torch.float64)
    low, high = (float(found.quantile(share)) for share in QUANTILES)
    return {"halves": len(values), "halves mean": float(found.mean()), "interval": [low, high]}


# ---- the result ----


def _result(
    settings: Settings,
    metrics: Sequence[Metric],
    sets: Mapping[str, VideoSet],
    values: Mapping[str, dict[str, Any]],
    works: Mapping[str, Work],
    paired: str,
    seconds: float,
) -> dict[str, Any]:
    protocol = settings.protocol
    for metric in metrics:
        values[metric.name]["notes"] += _protocol_notes(metric, sets, protocol)
    broken: list[Problem] = [problem for work in works.values() for problem in work.broken]
    return {
        **{name: found["value"] for name, found in values.items()},
        "metrics": dict(values),
        "protocol": protocol.settings() | {"sources": dict(protocol.sources)},
        "changed": changes(protocol),
        "pairs": paired,
        "sets": {
            side: {
                "source": chosen.source,
                "found": chosen.layout,
                **vars(settings.wanted if side == "reference" else settings.generated_wanted),
                "sha256": chosen.fingerprint,
                "videos": chosen.videos,
                "clips": len(chosen.clips),
                "left out": [list(problem) for problem in chosen.left_out],
            }
            for side, chosen in sets.items()
        },
        "unreadable": [list(problem) for problem in dict.fromkeys(broken)],
        "versions": _versions(),
        "work": {
            kind: {"new clips": work.clips, "seconds": work.seconds, "waited": work.waited}
            for kind, work in works.items()
        },
        "seconds": seconds,
    }


def _protocol_notes(metric: Metric, sets: Mapping[str, VideoSet], protocol: Protocol) -> list[str]:
    notes = []
    wanted = None if protocol.clips is None else protocol.clips * protocol.repeats
    sides = GENERATED if metric.of == GENERATED else ("reference", "generated")
    for side in sides:
        count = len(sets[side].clips)
        if wanted is not None and count < wanted:
            notes.append(f"the protocol asks for {wanted} {side} clips; {count} are there")
    expected = protocol.network_sha256
    known = metric.network if metric.role == "video" else None
    if expected and known and known.fingerprint != expected:
        notes.append(f"the network is not the file that protocol '{protocol.name}' names")
    return notes


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def format_result(result: Mapping[str, Any]) -> str:
    """The numbers as a table, with what is wrong with them below."""
    name = result["protocol"]["name"]
    changed = ", ".join(
        f"{key} {now} instead of {before}" for key, (before, now) in result["changed"].items()
    )
    title = f"protocol {name}" if name else "no protocol"
    lines = [title + (f", changed: {changed}" if changed else "")]
    for side, facts in result["sets"].items():
        left = f", {len(facts['left out'])} left out" if facts["left out"] else ""
        lines.append(f"{side}: {facts['clips']} clips of {facts['videos']} videos{left}")
    if result["pairs"]:
        lines.append(f"pairs: {result['pairs']}")
    for name, found in result["metrics"].items():
        line = f"  {METRICS[name].title:<40}{found['value']:>12.5g}"
        if "interval" in found:
            low, high = found["interval"]
            line += f"   halves {low:.5g} to {high:.5g}"
        if "reference" in found:
            line += f"   reference {found['reference']:.5g}"
        lines.append(line)
        lines += [f"    note: {note}" for note in found["notes"]]
    lines += [f"left out: '{name}' {reason}" for name, reason in result["unreadable"]]
    return "\n".join(lines)
