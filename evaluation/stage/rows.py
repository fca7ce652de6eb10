"""The rows of the table of a model of the stage, each measured a few clips at a time.

What is measured is kept in the folder of the results after every few clips, so a row that was
stopped goes on where it was, and a finished one is printed at once.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ...files.atomic import write_whole
from ...files.json_file import read_object

log = logging.getLogger(__name__)
Votes = dict[str, list[int]]
"""Of each attribute how often it was right, and how often it was asked for."""


@dataclass
class Progress:
    """What is known of a row.

    settings: all that the numbers depend on; clips: how many are measured; votes: by column and
    attribute; failures: numbers of clips that failed; numbers: by column and name what was measured
    of each clip and is no vote.
    """

    settings: dict[str, str | int]
    clips: int = 0
    votes: dict[str, Votes] = field(default_factory=dict)
    failures: list[int] = field(default_factory=list)
    numbers: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, column: str, votes: dict[str, list[bool]]) -> None:
        """Count the votes of one clip."""
        table = self.votes.setdefault(column, {})
        for name, values in votes.items():
            right, asked = table.setdefault(name, [0, 0])
            table[name] = [right + sum(values), asked + len(values)]

    def measured(self, column: str, name: str, value: float) -> None:
        """Keep a number of one clip."""
        self.numbers.setdefault(column, {}).setdefault(name, []).append(value)

    def shares(self) -> dict[str, dict[str, float]]:
        """Share of right votes by column and attribute."""
        return {
            column: {name: right / asked for name, (right, asked) in table.items() if asked}
            for column, table in self.votes.items()
        }


Summary = Callable[[dict[str, dict[str, list[float]]]], dict[str, float]]
"""What the numbers of all clips come to, by what it is called."""

Measure = Callable[[Progress, range], None]
"""Measures the clips of some numbers and adds them."""


def measure_row(
    name: str,
    folder: Path,
    settings: dict[str, str | int],
    clips: int,
    measure: Measure,
    batch: int = 8,
) -> Progress:
    """Measure what is missing of the first `clips` clips of a row, a batch at a time.

    What lies in the folder under the same name counts if its settings are the same; otherwise the
    row begins anew. Raises ValueError if clips is below 1.
    """
    if clips < 1:
        raise ValueError(f"clips must be at least 1; got {clips}")
    path = folder / f"{name}.json"
    progress = _found(path, settings)
    if progress.clips:
        log.info("%s: going on after %d clips", name, progress.clips)
    while progress.clips < clips:
        numbers = range(progress.clips, min(progress.clips + batch, clips))
        measure(progress, numbers)
        progress.clips = numbers.stop
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asdict(progress), indent=2) + "\n")
        log.info("%s: %d of %d clips", name, progress.clips, clips)
    return progress


def _found(path: Path, settings: dict[str, str | int]) -> Progress:
    if path.is_file():
        kept = Progress(**read_object(path))
        if kept.settings == settings:
            return kept
        log.info("%s was measured with other settings; it begins anew", path.name)
    return Progress(settings)


def format_row(
    name: str, progress: Progress, order: Sequence[str] = (), summary: Summary | None = None
) -> str:
    """A table in Markdown: attributes down, columns across, and how often each was asked for; then
    what `summary` makes of the numbers."""
    lines = [f"{name}, {progress.clips} clips", ""]
    if progress.votes:
        lines += _table(progress, order)
    if summary is not None:
        lines += [f"{words}: {value:.3g}" for words, value in summary(progress.numbers).items()]
    return "\n".join(lines)


def _table(progress: Progress, order: Sequence[str]) -> list[str]:
    shares = progress.shares()
    columns = list(shares)
    first = progress.votes[columns[0]]
    names = [*[n for n in order if n in first], *[n for n in first if n not in order]]
    lines = [f"| attribute | {' | '.join(columns)} | asked |", "|---" * (len(columns) + 2) + "|"]
    for attribute in names:
        values = [f"{100 * shares[column].get(attribute, 0.0):.1f} %" for column in columns]
        lines.append(f"| {attribute} | {' | '.join(values)} | {first[attribute][1]} |")
    return lines
