"""A result as JSON holds it, with all that its numbers depend on, and as a table."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ...data.datasets.listed_video import Problem
from ..clips.extraction import Work
from ..clips.video_sets import VideoSet
from ..metrics import METRICS, Metric
from ..metrics.base import GENERATED
from ..protocols import Protocol, changes
from .settings import Settings

PACKAGES = ("kinetoscope", "torch", "av", "numpy", "torchmetrics", "transformers")


def make_result(
    settings: Settings,
    metrics: Sequence[Metric],
    sets: Mapping[str, VideoSet],
    values: Mapping[str, dict[str, Any]],
    works: Mapping[str, Work],
    paired: str,
    seconds: float,
) -> dict[str, Any]:
    protocol = settings.protocol
    counts = {side: len(chosen.clips) for side, chosen in sets.items()}
    for metric in metrics:
        values[metric.name]["notes"] += protocol_notes(metric, counts, protocol)
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
        "versions": versions(),
        "work": {
            kind: {"new clips": work.clips, "seconds": work.seconds, "waited": work.waited}
            for kind, work in works.items()
        },
        "seconds": seconds,
    }


def protocol_notes(metric: Metric, counts: Mapping[str, int], protocol: Protocol) -> list[str]:
    """Where so many clips of each side, or the network, are not those of the protocol."""
    notes = []
    wanted = None if protocol.clips is None else protocol.clips * protocol.repeats
    sides = GENERATED if metric.of == GENERATED else ("reference", "generated")
    for side in sides:
        count = counts[side]
        if wanted is not None and count < wanted:
            notes.append(f"the protocol asks for {wanted} {side} clips; {count} are there")
    expected = protocol.network_sha256
    known = metric.network if metric.role == "video" else None
    if expected and known and known.fingerprint != expected:
        notes.append(f"the network is not the file that protocol '{protocol.name}' names")
    return notes


def versions() -> dict[str, str]:
    """Of Python, the machine and the packages that numbers depend on."""
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
