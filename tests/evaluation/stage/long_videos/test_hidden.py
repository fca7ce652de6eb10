"""Things that leave the picture and come back: which scenes have them, and what counts."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from kinetoscope.data.worlds.stage.judge.reading import NO_SECOND, Reading, SeenThing
from kinetoscope.evaluation.stage.long_videos.hidden import (
    FRAMES,
    OfReturns,
    Returns,
    absences,
    away,
    in_view,
    remembered,
    returns,
)
from kinetoscope.evaluation.stage.obedience import GENERATED, Obedience
from kinetoscope.evaluation.stage.rows import Progress
from torch import Tensor

SEEN = SeenThing(0, 0, 1, 2, 1, NO_SECOND, 2, 1, 0.5, 1.0)


class Judge:
    """Sees a thing in frames whose first pixel is above 0; its colour is that pixel of the first
    such frame."""

    def look(self, video: Tensor) -> Any:
        seen = video[0, 0, :, 0, 0] > 0
        return SimpleNamespace(tracks=[SimpleNamespace(seen=seen[None])])

    def read(self, video: Tensor) -> list[Reading]:
        pixels = video[0, 0, :, 0, 0]
        colour = int(pixels[pixels > 0][0])
        things = (replace(SEEN, colour=colour), replace(SEEN, share=0.3))
        return [Reading(things, (), 3, 0, 1, 2, 0, camera=0, camera_speed=1)]


def clip(*stretches: tuple[int, int]) -> Tensor:
    """Stretches of frames of one value each."""
    values = torch.cat([torch.full((frames,), value) for value, frames in stretches])
    return values[None, None, :, None, None].expand(1, 3, -1, 8, 8).to(torch.uint8)


def test_what_comes_back_is_compared_with_what_left() -> None:
    judge: Any = Judge()
    (one,) = returns(judge, clip((5, 30), (0, 13), (5, 40)))
    assert one.frames == 13 and one.before == one.after
    votes = remembered([one])
    assert votes == {f"{name} after 1 s": [True] for name in ("colour", "shape", "material")} | {
        "all three after 1 s": [True]
    }
    (other,) = returns(judge, clip((5, 30), (0, 40), (7, 12)))
    assert remembered([other])["colour after 4 s"] == [False]
    assert remembered([other])["shape after 4 s"] == [True]
    assert remembered([other])["all three after 4 s"] == [False]


@pytest.mark.parametrize(
    "stretches",
    [((5, 60),), ((5, 30), (0, 30)), ((5, 30), (0, 5), (5, 30)), ((5, 4), (0, 20), (5, 30))],
    ids=["stays", "never returns", "flickers", "was hardly there"],
)
def test_other_clips_have_no_votes(stretches: tuple[tuple[int, int], ...]) -> None:
    judge: Any = Judge()
    assert returns(judge, clip(*stretches)) == []


def test_seconds_are_told_apart() -> None:
    assert [away(frames) for frames in (8, 12, 24, 48, 80)] == [None, 1, 2, 4, None]


@pytest.mark.slow
def test_sentences_of_returns_say_nothing_of_looks() -> None:
    asked = OfReturns(1_060_000_000)([0, 1, 2])
    assert asked.scenes is not None
    for number, seen in enumerate(in_view(asked.scenes)):
        gap = absences(seen)[0]
        assert away(gap.stop - gap.start) == (1, 2, 4)[number]
    for said in asked.said:
        (thing,) = said.things
        assert (thing.colour, thing.shape, thing.material, thing.size) == (-1, -1, -1, -1)
    again = OfReturns(1_060_000_000)([2])
    assert again.captions == asked.captions[2:]
    assert again.scenes is not None and int(again.scenes.seed) == int(asked.scenes.seed[2])


def test_videos_without_a_return_count_as_such(grey: Any) -> None:
    drawn = clip((5, 60), (0, 24), (5, FRAMES - 84)).float() / 127.5 - 1

    class Drawing(grey):  # type: ignore[misc]
        def generate(self, captions: Any, frames: int, seeds: Any, params: Any) -> Tensor:
            return drawn[:, :, :frames] if seeds[0] % 2 else torch.full_like(drawn, -0.9)

    def asked(numbers: Any) -> Any:
        return SimpleNamespace(captions=["an object"] * len(numbers), scenes=None)

    progress = Progress({})
    judge: Any = Judge()
    Returns(Obedience(judge, Drawing(), asked, seed=0))(progress, range(4))
    votes = progress.votes[GENERATED]
    assert votes["something leaves and returns"] == [2, 4]
    assert votes["all three after 2 s"] == [2, 2] and progress.failures == []
