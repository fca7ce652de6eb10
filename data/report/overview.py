"""Rows of many videos summed up: counts, sizes, captions, what is wrong, what is there twice."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .rows import Row

NEAR_BITS = 3  # of 64 that may differ between first frames that count as the same
NEAR_LENGTH = 0.02  # share by which lengths may differ then
BANDS = 4
LENGTHS = (0, 1, 2, 3, 5, 8, 13, 21, 34, 60, 120, 300, 600, 1800, math.inf)  # seconds
ENGLISH = frozenset(("the", "a", "an", "is", "are", "of", "and", "in", "on", "with", "to", "it"))


@dataclass(frozen=True)
class Cell:
    """What one code of a tokenizer stands for: k frames of p x p pixels, in `books` codebooks."""

    frames: int
    patch: int
    books: int = 1

    def tokens(self, row: Row) -> int:
        """Codes of a video: one latent frame for its first frame, then one for each k."""
        latents = 1 + math.ceil(max(0, row.frames - 1) / self.frames)
        grid = math.ceil(row.height / self.patch) * math.ceil(row.width / self.patch)
        return latents * grid * self.books


def overview(rows: Sequence[Row], cells: Mapping[str, Cell] = {}) -> dict[str, Any]:
    """Everything that the page shows, as JSON holds it."""
    good = [row for row in rows if not row.broken]
    return {
        "videos": len(rows),
        "usable": len(good),
        "hours": sum(row.seconds for row in good) / 3600,
        "frames": sum(row.frames for row in good),
        "gigabytes": sum(row.bytes for row in rows) / 1e9,
        "with sound": sum(row.sound for row in good),
        "sizes": _most(f"{row.width} x {row.height}" for row in good),
        "rates": _most(f"{row.fps:.5g}" for row in good),
        "codecs": _most(row.codec for row in good),
        "splits": _most(row.split or "none" for row in rows),
        "labels": _most(row.label for row in rows if row.label),
        "licences": _most(row.licence or "not stated" for row in rows),
        "lengths": _lengths(good),
        "captions": _captions(rows),
        "broken": [[row.name, row.broken] for row in rows if row.broken],
        "near duplicates": near_duplicates(good),
        "looked at every frame": any(row.still is not None for row in good),
        "still": [row.name for row in good if row.still],
        "black": [row.name for row in good if row.black],
        "tokens": {name: sum(cell.tokens(row) for row in good) for name, cell in cells.items()},
    }


def _most(values: Any, count: int = 12) -> dict[str, int]:
    """The most frequent values, the others summed up."""
    found = Counter(values)
    top = dict(found.most_common(count))
    rest = sum(found.values()) - sum(top.values())
    return top | ({f"{len(found) - len(top)} others": rest} if rest else {})


def _lengths(rows: Sequence[Row]) -> list[list[Any]]:
    """How many videos are how long: [from, to (or None), count]."""
    table = []
    for low, high in pairwise(LENGTHS):
        count = sum(low <= row.seconds < high for row in rows)
        table.append([low, None if high == math.inf else high, count])
    while table and not table[-1][2]:
        table.pop()
    return table


def _captions(rows: Sequence[Row]) -> dict[str, Any]:
    every = [caption for row in rows for caption in row.captions]
    words = sorted(len(caption.split()) for caption in every)
    counts = Counter(every)
    twice = {caption: count for caption, count in counts.items() if count > 1}
    return {
        "captions": len(every),
        "videos without": sum(not row.captions for row in rows),
        "different": len(counts),
        "said more than once": dict(Counter(twice).most_common(8)),
        "words, shortest to longest": [words[0], words[len(words) // 2], words[-1]]
        if words
        else [],
        "languages (a guess)": _most(language_of(caption) for caption in counts),
    }


def language_of(text: str) -> str:
    """A guess: the script of most letters, and English by its little words."""
    scripts = Counter(
        unicodedata.name(letter, "OTHER").split()[0] for letter in text if letter.isalpha()
    )
    if not scripts:
        return "no letters"
    script = scripts.most_common(1)[0][0]
    if scripts["HIRAGANA"] or scripts["KATAKANA"]:
        return "Japanese"
    if script == "LATIN":
        said = {word.strip(".,!?").lower() for word in text.split()}
        plain = all(ord(letter) < 128 for letter in text if letter.isalpha())
        return "English" if said & ENGLISH or (plain and len(said) < 4) else "Latin letters"
    return {"CJK": "Chinese", "HANGUL": "Korean"}.get(script, f"{script.capitalize()} letters")


def near_duplicates(rows: Sequence[Row]) -> list[list[str]]:
    """Groups of videos of nearly one length whose first frames have nearly one pattern.

    Patterns that differ in at most three of 64 bits share one of four bands of 16, so only those
    are compared, and equal ones only once.
    """
    kinds: dict[tuple[str, int], list[str]] = {}
    for row in rows:
        if row.pattern:
            kinds.setdefault((row.pattern, row.frames), []).append(row.name)
    each = list(kinds)
    buckets: dict[tuple[int, str], list[int]] = {}
    for place, (pattern, _) in enumerate(each):
        for band in range(BANDS):
            buckets.setdefault((band, pattern[4 * band : 4 * band + 4]), []).append(place)
    parents = list(range(len(each)))

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    for places in buckets.values():
        for number, first in enumerate(places):
            for second in places[number + 1 :]:
                if root(first) != root(second) and _alike(each[first], each[second]):
                    parents[root(second)] = root(first)
    groups: dict[int, list[str]] = {}
    for place, kind in enumerate(each):
        groups.setdefault(root(place), []).extend(kinds[kind])
    return [sorted(names) for names in groups.values() if len(names) > 1]


def _alike(a: tuple[str, int], b: tuple[str, int]) -> bool:
    bits = (int(a[0], 16) ^ int(b[0], 16)).bit_count()
    near = abs(a[1] - b[1]) <= NEAR_LENGTH * max(a[1], b[1])
    return bits <= NEAR_BITS and near


def format_overview(told: Mapping[str, Any]) -> str:
    """A few lines for the terminal."""
    captions = told["captions"]
    lines = [
        f"{told['videos']} videos, {told['usable']} usable: {told['hours']:.2f} hours, "
        f"{told['frames']} frames, {told['gigabytes']:.2f} GB, {told['with sound']} with sound"
    ]
    for name in ("sizes", "rates", "codecs", "splits", "labels", "licences"):
        if told[name]:
            shown = ", ".join(f"{value} ({count})" for value, count in told[name].items())
            lines.append(f"{name}: {shown}")
    lines.append(
        f"captions: {captions['captions']}, {captions['different']} different, "
        f"{captions['videos without']} videos without"
    )
    for name in ("still", "black"):
        if told[name]:
            lines.append(f"{name}: {len(told[name])}, such as '{told[name][0]}'")
    if told["near duplicates"]:
        group = told["near duplicates"][0]
        count = len(told["near duplicates"])
        lines.append(
            f"near duplicates: {count} group{'s' * (count != 1)}, such as "
            f"'{group[0]}' and '{group[1]}'"
        )
    lines += [f"tokens of {name}: {count}" for name, count in told["tokens"].items()]
    lines += [f"broken: '{name}' {reason}" for name, reason in told["broken"][:20]]
    if len(told["broken"]) > 20:
        lines.append(f"and {len(told['broken']) - 20} more that are broken")
    return "\n".join(lines)
