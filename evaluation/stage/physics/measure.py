"""Whether things fall, bounce, slow down and collide as they do on the stage, by tracks that the
judge reads from the pixels.

What a law says follows from what the clip itself shows: its ground, and shape, size and motion of
each thing, as the judge reads them. Errors stand beside those of renders of the same scenes after
the tokenizer, since part of each is the judge's and the tokenizer's. Clips are clear, shaded, by
day, and their camera is still, so that tracks are as good as they can be.
"""

from __future__ import annotations

from statistics import median

import torch

from ....data.worlds.stage.captions.facts import BOUNCE, FALL
from ....data.worlds.stage.motion.bodies import GRAVITY, deceleration, restitution
from ....data.worlds.stage.scene import RADII, StageConfig
from ..courses import Course, ShownClip, read_clips
from ..obedience import CEILING, GENERATED, Obedience
from ..rows import Progress
from . import laws
from .violations import appears, passes_through, vanishes

CONFIG = StageConfig(
    max_objects=2,
    motions=("roll", "slide", "fall", "bounce", "jump", "collide", "collide", "collide"),
    moving_objects=1.0,
    moving_camera=0.0,
    then=0.0,
    times=("day",),
    weathers=("clear",),
    styles=("shaded",),
    hold_out=True,
)
FALLS = "acceleration of falls, relative"
BOUNCES = "height of bounces, relative"
SLOWING = "slowing by friction, m/s²"
SPEEDS = "speeds after a collision, of the closing speed"
LAWS = (FALLS, BOUNCES, SLOWING, SPEEDS)


class Physics:
    """Measures clips of sentences."""

    def __init__(self, obedience: Obedience) -> None:
        self.clips = obedience

    def __call__(self, progress: Progress, numbers: range) -> None:
        """Add errors of each law, and whether anything that cannot be is shown."""
        clips = self.clips
        _, videos = clips.shown(numbers)
        for column, video in videos.items():
            for number, shown in zip(numbers, read_clips(clips.judge, video)):
                for law, values in errors(shown).items():
                    for value in values:
                        progress.measured(column, law, value)
                votes = possible(shown)
                progress.add(column, votes)
                if column == GENERATED and not votes["no violation"][0]:
                    progress.failures.append(number)


def errors(shown: ShownClip) -> dict[str, list[float]]:
    """How far what a clip shows is from each law, where it shows anything of it."""
    ground = shown.scene["ground"]
    found: dict[str, list[float]] = {law: [] for law in LAWS}
    for thing in shown.things:
        height = thing.place[:, 1]
        for flight in laws.flights(height, thing.whole):
            fall = laws.gravity(height, flight)
            if fall is not None:
                found[FALLS].append(abs(fall.acceleration / GRAVITY - 1))
        if thing.motion in (FALL, BOUNCE):
            keep = float(restitution(torch.tensor(thing.shape), torch.tensor(ground)))
            for drop, rise in laws.bounces(height, thing.whole):
                right = laws.rise(drop, keep)
                found[BOUNCES].append(abs(rise - right) / max(right, laws.RISEN))
        slowed = laws.slowing(thing.place, thing.whole)
        if slowed is not None and thing.rolls is not None:
            found[SLOWING].append(abs(slowed.acceleration - _drag(thing, ground)))
    for touch in shown.touches:
        one, two = shown.things[touch.one], shown.things[touch.two]
        hit = laws.collision(
            one.place,
            two.place,
            one.whole & two.whole,
            touch.frame,
            [RADII[thing.size] ** 3 for thing in (one, two)],
            [_drag(thing, ground) for thing in (one, two)],
        )
        if hit is not None:
            found[SPEEDS].append(hit.missed / hit.closing)
    return found


def _drag(thing: Course, ground: int) -> float:
    """m/s² by which a thing slows down on this ground; of what may roll or slide, the mean."""
    kinds = (True, False) if thing.rolls is None else (thing.rolls,)
    shape, on = torch.tensor(thing.shape), torch.tensor(ground)
    return sum(float(deceleration(shape, torch.tensor(lies), on)) for lies in kinds) / len(kinds)


def possible(shown: ShownClip) -> dict[str, list[bool]]:
    """Whether nothing is shown that cannot be."""
    things = shown.things
    pairs = [(a, b) for i, a in enumerate(things) for b in things[i + 1 :]]
    others = [[b for b in things if b is not a] for a in things]
    right = {
        "nothing passes through": not any(passes_through(a, b) for a, b in pairs),
        "nothing appears": not any(appears(a, rest) for a, rest in zip(things, others)),
        "nothing vanishes": not any(vanishes(a, rest) for a, rest in zip(things, others)),
    }
    right["no violation"] = all(right.values())
    return {name: [value] for name, value in right.items()}


def summary(numbers: dict[str, dict[str, list[float]]]) -> dict[str, float]:
    """Median error of each law by column and of how many measurements, and how many times as large
    it is as that of the ceiling."""
    lines: dict[str, float] = {}
    for law in LAWS:
        middle = {}
        for column in (GENERATED, CEILING):
            values = numbers.get(column, {}).get(law, [])
            if values:
                middle[column] = median(values)
                lines[f"error of {law}, {column} ({len(values)} measured)"] = middle[column]
        if len(middle) == 2 and middle[CEILING] > 0:
            lines[f"error of {law}, times the ceiling's"] = middle[GENERATED] / middle[CEILING]
    return lines
