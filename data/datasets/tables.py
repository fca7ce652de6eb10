"""Tables of text (CSV, TSV, JSON lines) as people save them: any usual separator, any encoding of
Windows, and an error with its line where cells do not fit."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

JSON_LINES = (".jsonl", ".ndjson")
LONGEST_CELL = 1 << 26  # characters


def read_rows(path: Path, *wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows of a table by the names in its first line, in small letters, or objects of JSON lines.

    Cells of CSV and TSV are strings, and a row that is too short lacks the last ones.

    Args:
        wanted: groups of names of which one must be there, the usual one first. Of JSON lines only
            the first group is asked for.

    Raises:
        ValueError: the encoding is unknown, a group is missing, or a line is no row of this table;
            it names the line.
    """
    text = decode_text(path)
    if path.suffix.lower() in JSON_LINES:
        yield from _json_rows(path, text, wanted[:1])
    else:
        yield from _table_rows(path, text, wanted)


def _table_rows(path: Path, text: str, wanted: Sequence[Sequence[str]]) -> Iterator[dict[str, Any]]:
    header = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)
    csv.field_size_limit(LONGEST_CELL)
    rows = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True
    )
    line = 1
    try:
        columns = [name.strip().lower() for name in next(rows, [])]
        if _lacks(columns, wanted):
            raise ValueError(
                f"'{path}' needs the columns {_usual(wanted)} in its first line; found "
                f"{', '.join(filter(None, columns)) or 'none'}"
            )
        for row in rows:
            if len(row) > len(columns):
                raise ValueError(
                    f"'{path}' has {len(row)} cells in line {line + 1}, and its first line names "
                    f"{len(columns)}; put a caption with {delimiter!r} in it between double quotes"
                )
            yield dict(zip(columns, row, strict=False))
            line = rows.line_num
    except csv.Error as error:
        raise ValueError(
            f"'{path}' is no table that can be read: {error} (from line {line + 1} on); a double "
            "quote that opens a cell must close it, and one inside is written twice"
        ) from None


def _json_rows(path: Path, text: str, wanted: Sequence[Sequence[str]]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"'{path}' is no JSON in line {number}: {error}") from None
        items = row.items() if isinstance(row, dict) else ()
        cells = {str(name).lower(): value for name, value in items}
        if not cells or _lacks(cells, wanted):
            raise ValueError(
                f"'{path}' needs an object with the name {_usual(wanted) or 'file'} on each line; "
                f"line {number} has {', '.join(sorted(cells)) or 'none'}"
            )
        yield cells


def _lacks(names: Collection[str], wanted: Sequence[Sequence[str]]) -> bool:
    return any(not set(group).intersection(names) for group in wanted)


def _usual(wanted: Sequence[Sequence[str]]) -> str:
    return " and ".join(group[0] for group in wanted)


def decode_text(path: Path, content: bytes | None = None) -> str:
    """Text of a file that is UTF-8, or UTF-16 as Windows writes it, with or without a mark.

    Raises:
        ValueError: it is in another encoding, which nobody can know.
    """
    content = path.read_bytes() if content is None else content
    name = "utf-8-sig"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        name = "utf-16"
    elif content[1:2] == b"\0":
        name = "utf-16-le"
    elif content[:1] == b"\0":
        name = "utf-16-be"
    try:
        return content.decode(name)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"'{path}' is not UTF-8 text (line {line}); save it as UTF-8") from None
