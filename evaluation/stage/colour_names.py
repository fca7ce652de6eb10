"""How near the colour of what is drawn is to the colour that its name has.

Sentences name one of the hundred further colours, of a matte object by day. Its colour is measured
in CIELAB (CIE 1976, D65), as the median over the pixels where the judge sees the object; shade and
light take part in it, in renders as well.

Shapes: B clips, F frames, P pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional

from ...data.worlds.stage.captions import Attributes, facts
from ...data.worlds.stage.captions.attributes import Dice
from ...data.worlds.stage.captions.facts import UNKNOWN
from ...data.worlds.stage.captions.sentences import put_into_words
from ...data.worlds.stage.colours import rgb_table, to_linear
from ...data.worlds.stage.judge.pixels import PixelJudge
from ...data.worlds.stage.sample import sample_scenes
from ...data.worlds.stage.scene import TIMES, StageConfig
from .asked import Asked
from .obedience import Obedience
from .rows import Progress

CONFIG = StageConfig(
    max_objects=1,
    materials=("matte",),
    times=("day",),
    weathers=("clear",),
    styles=("shaded",),
    moving_objects=0.0,
    moving_camera=0.0,
    other_colours=1.0,
)
FRAMES = 5
DISTANCE = "distance in CIELAB"
# Of linear sRGB to XYZ (IEC 61966-2-1), each row divided by the white of D65.
TO_XYZ = (
    (0.4339, 0.3762, 0.1899),
    (0.2126, 0.7152, 0.0722),
    (0.0177, 0.1095, 0.8728),
)


class OfColours:
    """Sentences of one standing object whose further colour is named."""

    def __init__(self, first_seed: int) -> None:
        self.first_seed = first_seed

    def __call__(self, numbers: Sequence[int]) -> Asked:
        seeds = [self.first_seed + number for number in numbers]
        scenes = sample_scenes(seeds, FRAMES, CONFIG)
        said = []
        for shown in facts(scenes):
            things = tuple(replace(thing, size=UNKNOWN, deeds=()) for thing in shown.things)
            said.append(Attributes(things, time=TIMES.index("day")))
        texts = [put_into_words(one, Dice(seed)).text for one, seed in zip(said, seeds)]
        return Asked(texts, said, scenes)


class ColourNames:
    """Measures pictures of sentences that name a further colour."""

    def __init__(self, obedience: Obedience) -> None:
        self.clips = obedience

    def __call__(self, progress: Progress, numbers: range) -> None:
        """Keep the distances of the pictures of these numbers, where an object is seen."""
        clips = self.clips
        asked, videos = clips.shown(numbers, FRAMES)
        wanted = to_lab(rgb_table())
        for column, video in videos.items():
            for said, colour in zip(asked.said, seen_colours(clips.judge, video)):
                progress.add(column, {"object seen": [colour is not None]})
                if said.things and colour is not None:
                    name = wanted[said.things[0].colour]
                    progress.measured(column, DISTANCE, float((to_lab(colour) - name).norm()))


def seen_colours(judge: PixelJudge, video: Tensor) -> list[Tensor | None]:
    """Median colour [3], sRGB in [0, 1], of the object that is seen longest; None without one."""
    found: list[Tensor | None] = []
    for clip, tracks in zip(video, judge.look(video).tracks):
        if not len(tracks):
            found.append(None)
            continue
        most = int(tracks.seen.sum(1).argmax())
        mask = (tracks.maps == most)[:, None].float()
        inside = functional.interpolate(mask, clip.shape[-2:])[:, 0] > 0
        found.append(clip.permute(1, 2, 3, 0)[inside].float().median(0).values / 255)
    return found


def to_lab(srgb: Tensor) -> Tensor:
    """Lightness, a and b [..., 3] of sRGB values in [0, 1]."""
    xyz = to_linear(srgb) @ torch.tensor(TO_XYZ).T
    root = torch.where(xyz > (6 / 29) ** 3, xyz.clamp_min(1e-9) ** (1 / 3), xyz * 7.787 + 4 / 29)
    x, y, z = root.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def summary(numbers: dict[str, dict[str, list[float]]]) -> dict[str, float]:
    """Medians by column."""
    return {
        f"median distance in CIELAB, {column}": median(kept[DISTANCE])
        for column, kept in numbers.items()
    }
