"""Whether "slowly" and "quickly" make an object go slowly and quickly.

Sentences are of held-out scenes in which one object rolls or slides. How fast it goes is measured
from the pixels: its steps across the picture, from a frame to the next.

Shapes: B clips, F frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...data.worlds.stage.captions import Attributes, facts
from ...data.worlds.stage.captions.attributes import Dice
from ...data.worlds.stage.captions.facts import UNKNOWN
from ...data.worlds.stage.captions.sentences import put_into_words
from ...data.worlds.stage.judge.pixels import PixelJudge
from ...data.worlds.stage.sample import sample_scenes
from ...data.worlds.stage.scene import SPEEDS, StageConfig
from .asked import Asked
from .obedience import Obedience
from .rows import Progress

CONFIG = StageConfig(
    max_objects=1, motions=("roll", "slide"), moving_objects=1.0, moving_camera=0.0, then=0.0
)
WORDS, STEPS = "speed that is said", "length of steps"
FASTEST = 0.8  # share of the steps that are shorter than the one that counts
NORMAL = SPEEDS.index("normal")


class OfSpeeds:
    """Sentences that say how one object moves and how fast; nothing is said of a normal speed."""

    def __init__(self, first_seed: int, frames: int = 33) -> None:
        self.first_seed = first_seed
        self.frames = frames

    def __call__(self, numbers: Sequence[int]) -> Asked:
        seeds = [self.first_seed + number for number in numbers]
        scenes = sample_scenes(seeds, self.frames, CONFIG)
        said = [Attributes(shown.things) for shown in facts(scenes)]
        texts = [put_into_words(_plain(one), Dice(seed)).text for one, seed in zip(said, seeds)]
        return Asked(texts, said, scenes)


def _plain(said: Attributes) -> Attributes:
    things = []
    for thing in said.things:
        speeds = [UNKNOWN if deed.speed == NORMAL else deed.speed for deed in thing.deeds]
        deeds = tuple(replace(deed, speed=speed) for deed, speed in zip(thing.deeds, speeds))
        things.append(replace(thing, deeds=deeds))
    return replace(said, things=tuple(things))


class Strength:
    """Measures clips of sentences that say how fast an object moves."""

    def __init__(self, obedience: Obedience) -> None:
        self.clips = obedience

    def __call__(self, progress: Progress, numbers: range) -> None:
        """Keep what was said and measured of the clips of these numbers, where both are known."""
        clips = self.clips
        asked, videos = clips.shown(numbers)
        for column, video in videos.items():
            for said, steps in zip(asked.said, longest_steps(clips.judge, video)):
                progress.add(column, {"object seen": [steps is not None]})
                if said.things and said.things[0].deeds and steps is not None:
                    progress.measured(column, WORDS, said.things[0].deeds[0].speed)
                    progress.measured(column, STEPS, steps)


def longest_steps(judge: PixelJudge, video: Tensor) -> list[float | None]:
    """How far the object that is seen longest goes from a frame to the next, as a share of the
    picture: one of its longer steps. None where none is seen in two frames that follow."""
    found: list[float | None] = []
    for tracks in judge.look(video).tracks:
        if not len(tracks):
            found.append(None)
            continue
        most = int(tracks.seen.sum(1).argmax())
        seen = tracks.seen[most]
        both = seen[1:] & seen[:-1]
        steps = (tracks.box[most, 1:, :2] - tracks.box[most, :-1, :2]).norm(dim=-1)[both]
        found.append(float(steps.quantile(FASTEST)) if len(steps) else None)
    return found


def summary(numbers: dict[str, dict[str, list[float]]]) -> dict[str, float]:
    """Rank correlation of what was said and measured, by column."""
    return {
        f"rank correlation, {column}": rank_correlation(kept[WORDS], kept[STEPS])
        for column, kept in numbers.items()
        if len(kept[WORDS]) > 1
    }


def rank_correlation(one: Sequence[float], two: Sequence[float]) -> float:
    """Spearman's: the correlation of ranks, of which equal values share the mean. NaN where one of
    both never changes."""
    ranks = torch.stack([_ranks(torch.tensor(values).double()) for values in (one, two)])
    return float(torch.corrcoef(ranks)[0, 1])


def _ranks(values: Tensor) -> Tensor:
    below = (values[None] < values[:, None]).sum(1).double()
    same = (values[None] == values[:, None]).sum(1).double()
    return below + (same - 1) / 2
