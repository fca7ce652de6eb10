"""Why two numbers differ: two results of `kinetoscope evaluate videos`, or `generator`, side by
side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files.errors import UnreadableFile
from ..files.json_file import read_json

SILENT = ("sources", "name")  # fields of a protocol that change no number


def read_result(path: str | Path) -> dict[str, Any]:
    """A result that `--json` wrote. ValueError if it is none."""
    try:
        result = read_json(path)
    except UnreadableFile as error:
        raise UnreadableFile(f"{error}; give a file of --json") from None
    if isinstance(result, dict) and isinstance(result.get("videos"), dict):
        result = result["videos"]  # of `evaluate generator`, which compares two sets too
    if not isinstance(result, dict) or not {"metrics", "protocol", "sets"} <= set(result):
        raise ValueError(f"'{path}' is no result of kinetoscope evaluate videos or generator")
    return result


def compare_results(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Lines: the numbers of both, then every difference that can explain one, the weightiest
    first."""
    lines = _numbers(a, b)
    reasons = [*_protocols(a, b), *_sets(a, b), *_networks(a, b), *_counts(a, b), *_versions(a, b)]
    if not reasons:
        return [*lines, "nothing differs but the run"]
    return [*lines, *reasons]


def _numbers(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    lines = []
    for name in [*a["metrics"], *(name for name in b["metrics"] if name not in a["metrics"])]:
        if name not in a["metrics"] or name not in b["metrics"]:
            lines.append(f"{name}: only in the {'first' if name in a['metrics'] else 'second'}")
            continue
        first, second = a["metrics"][name], b["metrics"][name]
        line = f"{name}: {first['value']:.6g} and {second['value']:.6g}"
        if "interval" in first and "interval" in second:
            apart = (
                first["interval"][1] < second["interval"][0]
                or second["interval"][1] < first["interval"][0]
            )
            line += ", halves apart" if apart else ", halves overlap"
        lines.append(line)
    return lines


def _protocols(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    first, second = a["protocol"], b["protocol"]
    names = [name for name in {**first, **second} if name not in SILENT]
    return [
        f"protocol, {name}: {first.get(name)} and {second.get(name)}"
        for name in names
        if first.get(name) != second.get(name)
    ]


def _sets(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    lines = []
    for side in ("reference", "generated"):
        first, second = a["sets"][side], b["sets"][side]
        if first["sha256"] != second["sha256"]:
            lines.append(
                f"{side} set: other clips ({first['clips']} of '{first['source']}' and "
                f"{second['clips']} of '{second['source']}')"
            )
        if len(first["left out"]) != len(second["left out"]):
            lines.append(
                f"{side} set: {len(first['left out'])} and {len(second['left out'])} left out"
            )
    return lines


def _networks(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, found in a["metrics"].items():
        other = b["metrics"].get(name)
        if other is None or not found.get("network") or not other.get("network"):
            continue
        if found["network"]["sha256"] != other["network"]["sha256"]:
            lines.append(
                f"network of {name}: {found['network']['name']} "
                f"({found['network']['sha256'][:12]}) and {other['network']['name']} "
                f"({other['network']['sha256'][:12]})"
            )
    return lines


def _counts(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    return [
        f"clips of {name}: {found['clips']} and {b['metrics'][name]['clips']}"
        for name, found in a["metrics"].items()
        if name in b["metrics"] and found["clips"] != b["metrics"][name]["clips"]
    ]


def _versions(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    first, second = a.get("versions", {}), b.get("versions", {})
    return [
        f"version of {name}: {first.get(name, 'none')} and {second.get(name, 'none')}"
        for name in {**first, **second}
        if first.get(name) != second.get(name)
    ]
