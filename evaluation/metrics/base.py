"""What every metric offers: rows of numbers for clips, and one number for many rows.

A row depends on one clip (or on one pair) alone, so that it can be made anywhere, in any order and
any batch, and kept on disk. What makes a number out of rows works in float64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..clips.feature_store import Rows
from ..features import Network
from ..protocols import Protocol

BOTH = ("reference", "generated")
GENERATED = ("generated",)
PAIRS = ("pairs",)


@dataclass(frozen=True)
class Batch:
    """Clips uint8 `[B, 3, F, Y, X]`; for pairs their references too, and what else a metric needs.

    `sounds` are mono waveforms at `SOUND_RATE`, one a clip, and empty where a file has none.
    """

    video: Tensor
    reference: Tensor | None = None
    captions: tuple[str, ...] = ()
    sounds: tuple[Tensor, ...] = ()
    reference_sounds: tuple[Tensor, ...] = ()


class Metric(ABC):
    """One number for two sets of clips.

    `of` says which rows it needs: of both sets, of the generated one, or of pairs. `better` is
    "lower", "higher" or "nearer the reference's".
    """

    name: ClassVar[str]
    title: ClassVar[str]
    better: ClassVar[str] = "lower"
    of: ClassVar[tuple[str, ...]] = BOTH
    role: ClassVar[str] = ""  # which network it takes; see `--network`
    sees: ClassVar[str] = "clips"
    needs_captions: ClassVar[bool] = False
    needs_sound: ClassVar[bool] = False

    def __init__(self, protocol: Protocol, network: Network | None = None) -> None:
        self.protocol = protocol
        self.network = network

    @property
    def key(self) -> str:
        """Changes with all that changes a row, but the pixels of its clip."""
        return f"{self.name} {self.network.fingerprint if self.network else ''}"

    @abstractmethod
    def rows(self, batch: Batch) -> Tensor:
        """One row `[B, ...]` for each clip."""

    @abstractmethod
    def value(self, rows: Mapping[str, Rows]) -> float:
        """The number, of the rows of what `of` names."""

    def notes(self, rows: Mapping[str, Rows]) -> list[str]:
        """What a reader of the number must know, such as that there are too few clips."""
        return []

    def details(self, rows: Mapping[str, Rows]) -> dict[str, float]:
        """Further numbers that belong to it."""
        return {}


def mean_of(rows: Rows) -> float:
    """Mean over all numbers of all rows, in float64."""
    total = 0.0
    count = 0
    for block in rows.blocks():
        total += float(block.sum())
        count += block.numel()
    return total / count if count else float("nan")


def check_sounds(sounds: tuple[Tensor, ...]) -> None:
    """ValueError if a clip has no sound."""
    silent = sum(not len(sound) for sound in sounds)
    if silent:
        raise ValueError(
            f"{silent} of {len(sounds)} clips have no sound; leave out fad and mel, or these clips"
        )
