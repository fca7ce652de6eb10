"""Clips of exact tracks break no law; tracks that break one are found."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from kinetoscope.data.worlds.stage.sample import sample_scenes
from kinetoscope.evaluation.stage.asked import OfScenes
from kinetoscope.evaluation.stage.courses import Course, ShownClip, read_clips
from kinetoscope.evaluation.stage.obedience import CEILING, GENERATED, Obedience
from kinetoscope.evaluation.stage.physics import measure
from kinetoscope.evaluation.stage.physics.measure import CONFIG, LAWS, Physics, possible, summary
from kinetoscope.evaluation.stage.rows import Progress, format_row
from torch import Tensor

CLIPS = 32
F = 33


def course(place: Tensor, there: Tensor | None = None, middle: float = 0.5) -> Course:
    """A medium ball in the middle of the picture, or elsewhere from left to right."""
    x = torch.full((F,), middle)
    box = torch.stack([x, x * 0 + 0.5, x - 0.1, x + 0.1, x * 0 + 0.4, x * 0 + 0.6], -1)
    seen = torch.ones(F, dtype=torch.bool) if there is None else there
    return Course(place, seen, box, torch.full((F,), 5.0), shape=0, material=0, size=1, motion=1)


def line(speed: float, start: float = 0.0) -> Tensor:
    x = start + speed * torch.arange(F) / 12
    return torch.stack([x, torch.full((F,), 0.68), torch.zeros(F)], -1)


def shown(*things: Course) -> ShownClip:
    return ShownClip(things, (), {"ground": 0})


def without(first: int, last: int) -> Tensor:
    there = torch.ones(F, dtype=torch.bool)
    there[first:last] = False
    return there


def test_exact_tracks_of_the_stage_break_no_law(true_judge: Any) -> None:
    scenes = sample_scenes(range(CLIPS), F, CONFIG)
    found: dict[str, list[float]] = {law: [] for law in LAWS}
    for clip in read_clips(true_judge(scenes), torch.zeros(CLIPS, 3, F, 8, 8)):
        assert possible(clip)["no violation"] == [True]
        for law, values in measure.errors(clip).items():
            found[law] += values
    assert all(len(values) >= 2 for values in found.values())
    assert all(torch.tensor(values).median() < 0.03 for values in found.values())


def test_a_thing_that_goes_through_another_is_found() -> None:
    ghost = shown(course(line(1.5, -2.0)), course(line(0.0)))
    assert possible(ghost)["nothing passes through"] == [False]
    assert possible(ghost)["no violation"] == [False]
    beside = replace(ghost.things[1], place=line(0.0) + torch.tensor([0.0, 0.0, 1.5]))
    assert possible(shown(ghost.things[0], beside))["no violation"] == [True]


@pytest.mark.parametrize(
    ("first", "last", "wrong"),
    [
        (0, 10, ["nothing appears"]),
        (20, F, ["nothing vanishes"]),
        (10, 20, ["nothing appears", "nothing vanishes"]),
        (10, 12, []),
    ],
    ids=["late", "early", "in between", "for a moment"],
)
def test_what_is_not_seen_throughout_appears_or_vanishes(
    first: int, last: int, wrong: list[str]
) -> None:
    votes = possible(shown(course(line(0.0), without(first, last))))
    bad = [name for name, (right,) in votes.items() if not right]
    assert bad == [*wrong, *(["no violation"] if wrong else [])]


def test_edges_and_nearer_things_may_hide_a_thing() -> None:
    hidden = without(10, 20)
    at_edge = shown(course(line(0.0), hidden, middle=0.12))
    assert possible(at_edge)["no violation"] == [True]
    other = course(line(0.0, 3.0), middle=0.6)
    assert possible(shown(course(line(0.0), hidden), other))["no violation"] == [True]
    far = course(line(0.0, 3.0), middle=0.85)
    assert possible(shown(course(line(0.0), hidden), far))["no violation"] == [False]


def test_drawn_clips_stand_beside_renders(true_judge: Any, grey: Any) -> None:
    asked = OfScenes(CONFIG, 0)
    judge = true_judge(asked(range(4)).scenes)
    progress = Progress({})
    Physics(Obedience(judge, grey(), asked, size=8))(progress, range(4))
    assert progress.votes[GENERATED] == progress.votes[CEILING]
    assert progress.votes[GENERATED]["no violation"] == [4, 4] and not progress.failures
    for law, values in progress.numbers[GENERATED].items():
        assert values == pytest.approx(progress.numbers[CEILING][law], rel=1e-3, abs=1e-6)
    text = format_row("physics", progress, (), summary)
    assert f"error of {LAWS[0]}, times the ceiling's: 1\n" in text
    assert summary({GENERATED: {LAWS[0]: [0.3, 0.1]}, CEILING: {LAWS[0]: [0.1, 0.1]}}) == {
        f"error of {LAWS[0]}, generated (2 measured)": pytest.approx(0.2),
        f"error of {LAWS[0]}, ceiling (2 measured)": pytest.approx(0.1),
        f"error of {LAWS[0]}, times the ceiling's": pytest.approx(2.0),
    }
    assert summary({}) == {}
