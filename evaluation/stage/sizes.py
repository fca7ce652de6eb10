"""Whether the same codes show the same at 128 and at 256 pixels, and how sharp the latter are.

Shapes: B clips, F frames, Y X pixels.
"""

from __future__ import annotations

from torch import Tensor

from ...data.video import to_float
from ...data.worlds.stage.drawing.render import render
from ...data.worlds.stage.judge.reading import obeyed
from ..edges import slopes
from .obedience import Obedience
from .rows import Progress

STEEPEST = 0.99  # share of all slopes that are less steep than the one that counts
SLOPE = "slope of edges"
LARGE = 256


class Sizes:
    """Measures the clips of the same sentences and seeds at two sizes; `large` draws them at 256
    pixels."""

    def __init__(self, small: Obedience, large: Obedience) -> None:
        self.small = small
        self.large = large

    def __call__(self, progress: Progress, numbers: range) -> None:
        """Add the votes at both sizes, and how steep edges are beside those of renders."""
        asked = self.small.asked(list(numbers))
        assert asked.scenes is not None
        for size, clips in (("128 px", self.small), ("256 px", self.large)):
            video = clips.drawn(asked, list(numbers))
            for said, reading in zip(asked.said, clips.judge.read(video)):
                progress.add(size, obeyed(reading, said))
        renders = render(asked.scenes, LARGE)[0]
        for column, shown in (("generated", video), ("renders", renders)):
            for clip in shown:
                progress.measured(column, SLOPE, _steepest(clip))


def _steepest(clip: Tensor) -> float:
    """A steep slope of every eighth frame of a clip [3, F, Y, X]."""
    flat = slopes(to_float(clip[None, :, ::8])).flatten()
    return float(flat.kthvalue(int(STEEPEST * len(flat))).values)


def summary(numbers: dict[str, dict[str, list[float]]]) -> dict[str, float]:
    """How steep the edges are, of those of renders."""
    means = {name: sum(kept[SLOPE]) / len(kept[SLOPE]) for name, kept in numbers.items()}
    return {"steepness of edges at 256 px, of renders'": means["generated"] / means["renders"]}
