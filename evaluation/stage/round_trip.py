"""What the judge reads from renders, and from the same clips after a tokenizer: the ceiling of
every row.

Shapes: B clips, F frames, Y X pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from ...data.video import to_float, to_uint8
from ...data.video.contact_sheet import contact_sheet
from ...data.worlds.stage.captions.facts import Facts
from ...data.worlds.stage.captions.observe import facts
from ...data.worlds.stage.clips import HELD_OUT_SEED
from ...data.worlds.stage.drawing.render import render
from ...data.worlds.stage.judge.pixels import READ_FRAMES, PixelJudge
from ...data.worlds.stage.judge.reading import agreement, said
from ...data.worlds.stage.sample import sample_scenes
from ...data.worlds.stage.scene import StageConfig
from ...tokenizer import VideoTokenizer
from .rows import Progress

SEED = HELD_OUT_SEED + 60_000_000
ORDER = ("colour", "shape", "material", "size", "motion", "count", "objects", "all")
RENDERS, ROUND_TRIPS = "renders", "round trips"


class RoundTrip:
    """Measures clips of one kind of scenes; a tokenizer of None leaves renders alone.

    Args:
        size: pixels a side of the clips; the tokenizer must take them.
    """

    def __init__(
        self,
        judge: PixelJudge,
        tokenizer: VideoTokenizer | None,
        config: StageConfig,
        size: int = 128,
        seed: int = 0,
    ) -> None:
        self.judge = judge
        self.tokenizer = tokenizer
        self.config = config
        self.size = size
        self.first_seed = SEED + seed

    def __call__(self, progress: Progress, numbers: range) -> None:
        """Add the votes of the clips of these numbers."""
        video, shown = self.clips(list(numbers))
        readings = [self.judge.read(video)]
        columns = [RENDERS]
        if self.tokenizer is not None:
            readings.append(self.judge.read(self.through(video)))
            columns.append(ROUND_TRIPS)
        for row, number in enumerate(numbers):
            right = []
            for column, read in zip(columns, readings):
                votes = agreement(read[row], shown[row])
                progress.add(column, votes)
                right.append(votes["all"][0])
            if not right[-1]:
                progress.failures.append(number)

    def clips(self, numbers: Sequence[int]) -> tuple[Tensor, list[Facts]]:
        """Clips uint8 [B, 3, F, Y, X] and what they show."""
        seeds = [self.first_seed + number for number in numbers]
        scenes = sample_scenes(seeds, READ_FRAMES, self.config)
        return render(scenes, self.size)[0], facts(scenes)

    @torch.inference_mode()
    def through(self, video: Tensor) -> Tensor:
        """Clips after the tokenizer, uint8 [B, 3, F, Y, X]."""
        assert self.tokenizer is not None
        codes = self.tokenizer.encode(to_float(video))
        return to_uint8(self.tokenizer.decode(codes))

    def failures(self, progress: Progress, path: Path, most: int = 12) -> int:
        """Write a contact sheet (PNG) of the first clips that failed, each with what is true and
        what was read instead; returns how many it shows."""
        numbers = progress.failures[:most]
        if not numbers:
            return 0
        video, shown = self.clips(numbers)
        seen = video if self.tokenizer is None else self.through(video)
        texts = [
            f"clip {number}: {said(reading, truth)}"
            for number, reading, truth in zip(numbers, self.judge.read(seen), shown)
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(list(seen), texts).save(path)
        return len(numbers)


@torch.inference_mode()
def stage_256(video: Tensor) -> Tensor:
    """Clips uint8 [B, 3, F, Y, X] after the tokenizer of stage-256, which the judge learns to
    read."""
    tokenizer = _shipped()
    return to_uint8(tokenizer.decode(tokenizer.encode(to_float(video))))


@cache
def _shipped() -> VideoTokenizer:
    return VideoTokenizer.from_pretrained("stage-256")
