"""What is added up of one tokenizer, or of one codec, over all clips, and the numbers of it.

Legend: B clips, F Y X frames and pixels, D features.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...tokenizer.metrics import CodeUsage
from ..clips.feature_store import Rows, rows_of
from ..codecs import Kept
from ..flicker import Steadiness
from ..metrics import Batch, Metric
from ..metrics.base import PAIRS
from ..protocols import Protocol
from ..videos.halves import interval
from ..videos.result import protocol_notes
from .opened import AnyTokenizer

Row = dict[str, float]
OF_WHAT_IS_KEPT = {"fvd": "rfvd"}  # what papers call a distance of reconstructions


@dataclass
class Measured:
    """Rows of metrics, bits and seconds. `clips` are the places of the clips that were added."""

    metrics: Sequence[Metric]
    rows: dict[str, list[Tensor]] = field(default_factory=lambda: defaultdict(list))
    clips: list[int] = field(default_factory=list)
    bits: float = 0.0
    pixels: int = 0
    frames: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, video: Tensor, target: Tensor, first: int) -> None:
        """uint8 `[B, 3, F, Y, X]` of reconstructions and of the clips `first`, `first + 1`, …"""
        batch = Batch(video, target)
        # metrics of one key share their rows
        for key, metric in {metric.key: metric for metric in self.metrics}.items():
            self.rows[key].append(metric.rows(batch).cpu())
        self.clips += range(first, first + len(video))
        self.pixels += video[:, 0].numel()
        self.frames += len(video) * video.shape[2]

    def add_coded(self, coded: Mapping[int, Kept], target: Tensor, first: int) -> None:
        """What a codec kept of some clips of `target`, the first of which is clip `first`."""
        for place, kept in coded.items():
            self.add(kept.video[None], target[place][None], first + place)
            self.bits += kept.bits
            self.seconds["encoding"] += kept.encoding
            self.seconds["decoding"] += kept.decoding

    def rows_for(self, metric: Metric, original: Measured) -> dict[str, Rows]:
        """The rows that a metric makes its number of."""
        rows = rows_of(torch.cat(self.rows[metric.key]))
        if metric.of == PAIRS:
            return {"pairs": rows}
        reference = rows_of(torch.cat(original.rows[metric.key]))
        return {"reference": reference.take(self.clips), "generated": rows}

    def row(self, original: Measured) -> Row:
        """The numbers by name, beside those clips of `original` that are here too."""
        found: Row = {}
        for metric in self.metrics:
            found[name_of(metric)] = metric.value(self.rows_for(metric, original))
        if self.bits:
            found["bits per pixel"] = self.bits / self.pixels
        for name, seconds in self.seconds.items():
            found[f"frames a second, {name}"] = self.frames / max(seconds, 1e-9)
        return found

    def certainty(
        self, original: Measured, protocol: Protocol, halves: int
    ) -> dict[str, dict[str, Any]]:
        """By a number's name: where it lies for random halves of the clips, and its notes.

        A half has the same clips on both sides: a reconstruction belongs to its original.
        """
        found = {}
        counts = dict.fromkeys(("reference", "generated"), len(self.clips))
        for metric in self.metrics:
            rows = self.rows_for(metric, original)
            notes = [*metric.notes(rows), *protocol_notes(metric, counts, protocol)]
            if protocol.repeats > 1 and metric.name in OF_WHAT_IS_KEPT:
                notes.append(f"the {protocol.repeats} groups of the protocol are one set here")
            spread = interval(metric, [rows], halves, protocol.seed, together=True)
            found[name_of(metric)] = {**spread, "notes": notes}
        return found


def name_of(metric: Metric) -> str:
    """What a metric of reconstructions is called."""
    return OF_WHAT_IS_KEPT.get(metric.name, metric.name)


class Extras:
    """What only some tokenizers have: codes as whole numbers, cells with seams between them."""

    def __init__(self, tokenizer: AnyTokenizer) -> None:
        self.usage: list[CodeUsage] = []
        self.tokenizer = tokenizer
        cell = getattr(getattr(tokenizer.model, "config", None), "cell", None)
        self.steadiness = None if cell is None else Steadiness(*cell)

    def add(self, indices: Tensor | None, video: Tensor, target: Tensor) -> None:
        size = self.tokenizer.codebook_size
        if indices is not None and size is not None:
            books = getattr(self.tokenizer.model, "rates", 1)
            parts = indices.unflatten(-1, (-1, books)).unbind(-1) if books > 1 else (indices,)
            self.usage = self.usage or [CodeUsage(size) for _ in parts]
            for usage, part in zip(self.usage, parts):
                usage.update(part)
        if self.steadiness is not None:
            self.steadiness.update(video, target)

    def row(self) -> Row:
        found: Row = {}
        if self.tokenizer.codebook_size is not None and self.usage:
            found["codes"] = self.tokenizer.codebook_size
        for number, usage in enumerate(self.usage, 1):
            which = f", codebook {number}" * (len(self.usage) > 1)
            found[f"codes used{which}"] = usage.used
            found[f"perplexity{which}"] = usage.perplexity
        if self.steadiness is not None:
            table = self.steadiness.table()
            found |= {name: value for name, value in table.items() if name.startswith("seam")}
        return {name: value for name, value in found.items() if not math.isnan(value)}
