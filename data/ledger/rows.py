"""The ledger: a table with a row for each video that a model learned from, or that was struck out
of it."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ...files.atomic import write_whole
from ..datasets.tables import read_rows

LEDGER = "training_data.csv"  # in the folder of a model
RENDERED = "rendered by kinetoscope"  # the source of clips that no file holds


@dataclass(frozen=True)
class LedgerRow:
    """One video, or one source of rendered ones.

    Args:
        sha256: of its content.
        name: in its data set.
        licence, owner, source: as the manifest says; "" where it says nothing.
        clips: pieces of it that were learned from; 0 of one that was struck out or held out.
        struck_out: the day since which it is left out, or "".
        model: the model that learned it, where this one started from another; "" for this one.
    """

    sha256: str
    name: str
    licence: str = ""
    owner: str = ""
    source: str = ""
    clips: int = 1
    struck_out: str = ""
    model: str = ""


COLUMNS = tuple(field.name for field in fields(LedgerRow))


def write_ledger(path: Path, rows: Iterable[LedgerRow]) -> None:
    """A CSV with a line for each row, with escapes in names that are no UTF-8; OSError as in
    `files.atomic`."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_whole(path, text.getvalue().encode(errors="backslashreplace"))


def read_ledger(path: Path) -> list[LedgerRow]:
    """ValueError if it is no such table."""
    rows = []
    for line, values in enumerate(read_rows(path, ("sha256",), ("name",)), 2):
        known = {name: str(values.get(name) or "") for name in COLUMNS if name != "clips"}
        clips = str(values.get("clips", 1))
        if not clips.isdecimal():
            raise ValueError(f"'{path}' has no number of clips in line {line}; it has '{clips}'")
        rows.append(LedgerRow(**known, clips=int(clips)))
    return rows


def summary(rows: Sequence[LedgerRow]) -> list[str]:
    """Totals, as lines of Markdown for the card of a model."""
    rendered = [row for row in rows if row.source == RENDERED]
    learned = [row for row in rows if row.clips and row.source != RENDERED]
    licences = Counter(row.licence or "not said" for row in learned)
    counted = f"{len(learned)} videos ({sum(row.clips for row in learned)} clips), each with its"
    lines = [f"- {counted} SHA-256, source, licence and owner in `{LEDGER}`"]
    if rendered and not learned:
        lines = [f"- no videos, only clips that were rendered; `{LEDGER}` names them"]
    lines += [f"- licence {name}: {count} videos" for name, count in licences.most_common()]
    owners = Counter(row.owner for row in learned if row.owner)
    lines += [f"- {len(owners)} owners are named"] if owners else []
    struck = sum(bool(row.struck_out) for row in rows)
    lines += [f"- {struck} videos were struck out and not learned from"] if struck else []
    before = sorted({row.model for row in rows if row.model})
    lines += [f"- learned before, as {name}, and counted here" for name in before]
    lines += [f"- clips that were rendered: {row.name}{_count(row)}" for row in rendered]
    return lines


def _count(row: LedgerRow) -> str:
    """Of rendered clips, where it is known: one row stands for endless ones."""
    return f", {row.clips} of them" if row.clips > 1 else ""
