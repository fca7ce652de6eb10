"""Whether a cut happens at once, and whether the sentence after it is obeyed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ...data.video import to_uint8
from ...data.worlds.stage.judge.pixels import READ_FRAMES
from ...data.worlds.stage.judge.reading import obeyed
from .obedience import GENERATED, Obedience
from .rows import Progress

BEFORE = 5  # latent frames of the shot before the cut


class Cuts:
    """Measures clips that show one sentence, are cut, and go on with another."""

    def __init__(self, obedience: Obedience) -> None:
        self.clips = obedience

    def __call__(self, progress: Progress, numbers: range) -> None:
        """Add what the second shots of these numbers show: "cut" is right if no two latent frames
        that follow one another differ more than those around the cut."""
        clips = self.clips
        first = clips.asked([2 * number for number in numbers])
        second = clips.asked([2 * number + 1 for number in numbers])
        seeds = [clips.seed + number for number in numbers]
        latents = self._drawn(first.captions, second.captions, seeds)
        shots = torch.cat(latents[BEFORE:], 2)[:, :, :READ_FRAMES]
        for row, (number, reading) in enumerate(zip(numbers, clips.judge.read(shots))):
            steps = [_change(a[row], b[row]) for a, b in pairwise(latents)]
            votes = obeyed(reading, second.said[row]) | {"cut": [steps[BEFORE - 1] == max(steps)]}
            progress.add(GENERATED, votes)
            if not votes["all"][0] or not votes["cut"][0]:
                progress.failures.append(number)

    def _drawn(
        self, first: Sequence[str], second: Sequence[str], seeds: Sequence[int]
    ) -> list[Tensor]:
        """Latent frames uint8 [B, 3, f, Y, X], those before the cut and those after it."""
        session = self.clips.generator.session(list(first), list(seeds), self.clips.params)
        latents = [to_uint8(next(session)) for _ in range(BEFORE)]
        session.cut()
        session.set_prompt(list(second))
        frames = 0
        while frames < READ_FRAMES:
            latents.append(to_uint8(next(session)))
            frames += latents[-1].shape[2]
        return latents


def _change(before: Tensor, after: Tensor) -> float:
    """Mean difference of the last frames of two latents [3, f, Y, X]."""
    return float((after[:, -1].float() - before[:, -1].float()).abs().mean())
