"""What the judge of sound hears in the sound of the stage, and in the same after a sound
tokenizer.

Shapes: B clips, L samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ....data.worlds.stage.judge.sound import SoundJudge, Strike, heard, score
from ....data.worlds.stage.sample import sample_scenes
from ....data.worlds.stage.scene import StageConfig
from ....data.worlds.stage.sound import sound
from ....tokenizer.sound import SoundTokenizer
from ..round_trip import RENDERS, ROUND_TRIPS, SEED
from ..rows import Progress

FRAMES = 33
QUIETEST = 10 ** (-50 / 20)  # RMS of what counts as silence, -50 dBFS
CONFIG = StageConfig(max_objects=3, moving_objects=0.95)


class SoundTrip:
    """Measures sounds; a tokenizer of None leaves renders alone."""

    def __init__(self, judge: SoundJudge, tokenizer: SoundTokenizer | None, seed: int = 0) -> None:
        self.judge = judge
        self.tokenizer = tokenizer
        self.first_seed = SEED + seed

    def __call__(self, progress: Progress, numbers: range) -> None:
        """Add the votes of the clips of these numbers: strikes that are heard, readings that are
        strikes, materials of strikes that were found, and silent clips that stay silent."""
        seeds = [self.first_seed + number for number in numbers]
        scenes = sample_scenes(seeds, FRAMES, CONFIG)
        wave = sound(scenes)
        truth = heard(scenes, wave)
        columns = {RENDERS: wave}
        if self.tokenizer is not None:
            columns[ROUND_TRIPS] = self.tokenizer.decode(self.tokenizer.encode(wave))
        for column, waves in columns.items():
            readings = self.judge.read(waves)
            for row, number in enumerate(numbers):
                votes = strike_votes(readings[row], truth[row])
                if not bool(wave[row].any()):
                    votes["silence"] = [level(waves[row]) < QUIETEST]
                progress.add(column, votes)
                if column == list(columns)[-1] and not all(all(v) for v in votes.values()):
                    progress.failures.append(number)


def strike_votes(
    reading: Sequence[Strike], truth: Sequence[tuple[Strike, bool]]
) -> dict[str, list[bool]]:
    """What of the strikes of one clip was read, and whether its materials are right."""
    found = score([reading], [truth])
    right = found.right_materials
    return {
        "strikes heard": [True] * found.found + [False] * found.missed,
        "readings that are strikes": [True] * found.found + [False] * found.invented,
        "materials": [True] * right + [False] * (found.found - right),
    }


def level(wave_L: Tensor) -> float:
    """Root mean square of a wave."""
    return float(torch.sqrt(wave_L.square().mean()))
