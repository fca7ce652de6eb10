"""Videos that must not be learned from any more, by the hash of their content.

They stand in `struck_out.csv` beside the shards or the videos, with the day and perhaps a reason.
The next `fit` leaves them out. What a model that was trained before has learned stays in it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ...files.atomic import write_whole
from ..datasets.tables import read_rows

STRUCK_OUT = "struck_out.csv"
COLUMNS = ("sha256", "since", "reason")


@dataclass(frozen=True)
class Strike:
    """One video: since when, as an ISO date, and why."""

    sha256: str
    since: str
    reason: str = ""


def read_struck_out(folder: Path) -> dict[str, Strike]:
    """By hash; empty where there is no such file. ValueError for a line that holds no hash."""
    path = folder / STRUCK_OUT
    if not path.is_file():
        return {}
    found = {}
    for line, row in enumerate(read_rows(path, ("sha256",)), 2):
        values = {name: str(row.get(name) or "").strip() for name in COLUMNS}
        strike = Strike(_checked(values["sha256"], f"'{path}', line {line}: "), *_rest(values))
        found[strike.sha256] = strike
    return found


def strike_out(folder: Path, hashes: Iterable[str], reason: str = "") -> list[Strike]:
    """Write hashes into the file of a folder; returns those that are new.

    Raises:
        ValueError: the folder is not there, or something is no SHA-256.
    """
    if not folder.is_dir():
        raise ValueError(f"'{folder}' is no folder of shards or videos")
    known = read_struck_out(folder)
    today = date.today().isoformat()
    checked = [_checked(each, "") for each in hashes]
    fresh = [Strike(each, today, reason) for each in dict.fromkeys(checked) if each not in known]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((s.sha256, s.since, s.reason) for s in [*known.values(), *fresh])
    write_whole(folder / STRUCK_OUT, text.getvalue())
    return fresh


def _rest(values: dict[str, str]) -> tuple[str, str]:
    return values["since"] or "an unknown day", values["reason"]


def _checked(text: str, where: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise ValueError(
            f"{where}'{text}' is no SHA-256 of 64 hexadecimal digits, as `sha256sum FILE` prints"
        )
    return text.lower()
