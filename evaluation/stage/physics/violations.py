"""What cannot happen on the stage: things that pass through one another, appear or vanish.

Legend: F frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ....data.worlds.stage.drawing.shapes import FOOTPRINT_LYING, FOOTPRINT_UPRIGHT, LYING, UPRIGHT
from ....data.worlds.stage.scene import RADII
from ..courses import Course
from .laws import runs

DEEP = 0.5  # share of the least distance of two middles; what is nearer is inside the other
INSIDE_FRAMES = 2
GONE_FRAMES = 3  # the judge may miss a thing for fewer
BORDER = 0.07  # of the picture; what was so near to its edge may have left it by the next frame
REACH = 0.03  # of the picture; so near to another thing it may be behind it


def passes_through(one: Course, two: Course) -> bool:
    """Whether two things are in the same place for some frames."""
    apart = two.place - one.place
    flat = apart[:, [0, 2]].norm(dim=-1)
    near = flat < DEEP * (_reach(one) + _reach(two))
    level = apart[:, 1].abs() < DEEP * (_height(one) + _height(two))
    both = near & level & one.whole & two.whole
    return any(run.stop - run.start >= INSIDE_FRAMES for run in runs(both))


def appears(thing: Course, others: Sequence[Course]) -> bool:
    """Whether a thing comes into view where no edge of the picture is, and nothing that may have
    hidden it."""
    return any(not _explained(thing, others, gap.stop, gap.stop - 1) for gap in _gaps(thing)[0])


def vanishes(thing: Course, others: Sequence[Course]) -> bool:
    """Whether it goes out of view so."""
    return any(not _explained(thing, others, gap.start - 1, gap.start) for gap in _gaps(thing)[1])


def _gaps(thing: Course) -> tuple[list[slice], list[slice]]:
    """Stretches in which it is not seen: those that end with it, and those that follow it."""
    gaps = [run for run in runs(~thing.there) if run.stop - run.start >= GONE_FRAMES]
    before = [gap for gap in gaps if gap.stop < len(thing.there)]
    return before, [gap for gap in gaps if gap.start > 0]


def _explained(thing: Course, others: Sequence[Course], seen: int, missing: int) -> bool:
    """Whether a thing that frame `seen` shows may be out of view in frame `missing`."""
    sides = thing.box[seen, 2:]
    if bool((sides < BORDER).any() | (sides > 1 - BORDER).any()):
        return True
    return any(
        bool(other.there[frame]) and _overlap(thing.box[seen], other.box[frame])
        for other in others
        for frame in (seen, missing)
    )


def _overlap(one_6: Tensor, two_6: Tensor) -> bool:
    beside = torch.maximum(one_6[2], two_6[2]) - torch.minimum(one_6[3], two_6[3])
    over = torch.maximum(one_6[4], two_6[4]) - torch.minimum(one_6[5], two_6[5])
    return bool(beside < REACH) and bool(over < REACH)


def _reach(thing: Course) -> float:
    """Metres from its middle within which nothing else can be, however it lies and is turned."""
    footprints = (FOOTPRINT_UPRIGHT[thing.shape], FOOTPRINT_LYING[thing.shape])
    return RADII[thing.size] * min(c + min(p, q) for c, p, q in footprints)


def _height(thing: Course) -> float:
    return RADII[thing.size] * min(UPRIGHT[thing.shape], LYING[thing.shape])
