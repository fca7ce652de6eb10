"""What a model learned from, written into its folder: a table, and its totals in the card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...files.atomic import write_whole
from ...files.model_folder import find_folder
from .rows import LEDGER, LedgerRow, read_ledger, summary, write_ledger

CARD = "README.md"
TITLE = "## Training data"


def save_training_data(
    folder: Path,
    learned: Sequence[LedgerRow],
    base: str = "",
    base_id: str = "",
    part: str = "generator",
) -> None:
    """Write the ledger of a run into the folder of its model or adapter, with what the model that
    it started from had learned. Without any rows nothing is written.

    Args:
        base, base_id: name and id of the model that it started from; "" if it did not.
        part: of a model that is meant, "generator" or "tokenizer".
    """
    before = _rows_of(base, part) if base else []
    name = f"{Path(base).name} {base_id}".strip()
    rows = [*(replace(row, model=row.model or name) for row in before), *learned]
    if not rows:
        return
    write_ledger(folder / LEDGER, rows)
    card = folder / CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else f"# {folder.resolve().name}\n"
    lines = summary(rows)
    if base and not before:
        lines.append(f"- the model that it started from, {name}, has no such table")
    write_whole(card, _with_section(text, "\n".join(lines)))


def _rows_of(model: str, part: str) -> list[LedgerRow]:
    path = find_folder(model, part) / LEDGER
    return read_ledger(path) if path.is_file() else []


def _with_section(text: str, body: str) -> str:
    """A card in whose section of this title stands this body alone."""
    head, found, rest = text.partition(f"{TITLE}\n")
    after = rest[rest.index("\n## ") + 1 :] if found and "\n## " in rest else ""
    return f"{head.rstrip()}\n\n{TITLE}\n\n{body}\n" + (f"\n{after}" if after else "")
