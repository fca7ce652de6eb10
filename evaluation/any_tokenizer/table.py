"""The numbers of several tokenizers as a table, a column for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAME_WIDTH = 34
CELL_WIDTH = 18  # of "0.12345 to 0.12345"


def format_tokenizers(result: Mapping[str, Any]) -> str:
    """A table with a column for each tokenizer, and what is wrong with its numbers below."""
    rows = result["tokenizers"]
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    width = max(CELL_WIDTH, *(len(name) for name in rows)) + 2
    name = result["protocol"]["name"] or "none"
    changed = ", ".join(
        f"{key} {now} instead of {before}" for key, (before, now) in result["changed"].items()
    )
    title = f"protocol {name}" + (f", changed: {changed}" if changed else "")
    lines = [f"{result['clips']} clips of {result['videos']} videos, {title}"]
    lines.append(_line("", list(rows), width))
    for name in names:
        lines.append(_line(name, [_cell(row.get(name)) for row in rows.values()], width))
        halves = [_interval(result["certainty"][column].get(name, {})) for column in rows]
        if any(halves):
            lines.append(_line("  halves", halves, width))
    shown = ", ".join(f"{name} {value:.4g}" for name, value in result["original"].items())
    lines.append(f"the originals have {shown}, of 255")
    lines += _notes(result)
    lines += [f"left out: '{name}' {reason}" for name, reason in result["left out"]]
    return "\n".join(lines)


def _line(name: str, cells: list[str], width: int) -> str:
    return (f"{name:<{NAME_WIDTH}}" + "".join(f" {cell:>{width - 1}}" for cell in cells)).rstrip()


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"


def _interval(facts: Mapping[str, Any]) -> str:
    if "interval" not in facts:
        return ""
    low, high = facts["interval"]
    return f"{low:.4g} to {high:.4g}"


def _notes(result: Mapping[str, Any]) -> list[str]:
    """Each note once, with the columns that it is of where it is not of all."""
    columns: dict[tuple[str, str], list[str]] = {}
    for column, facts in result["certainty"].items():
        for name, found in facts.items():
            for note in found["notes"]:
                columns.setdefault((name, note), []).append(column)
        missing = result["clips"] - result["clips of"][column]
        if missing:
            note = f"{missing} of {result['clips']} clips need more bits at its worst; left out"
            columns.setdefault((column, note), []).append(column)
    lines = []
    for (name, note), found in columns.items():
        some = len(found) < len(result["certainty"]) and found != [name]
        which = f" of {', '.join(found)}" if some else ""
        lines.append(f"note: {name}{which}: {note}")
    return lines
