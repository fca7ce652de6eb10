"""Where shots lie in time, and what must be drawn for them."""

import random
from pathlib import Path

import pytest
from kinetoscope.app.storyboard.located import Located
from kinetoscope.app.storyboard.plan import Model, Plan, make_plan, source_frames, with_camera
from kinetoscope.app.storyboard.schema import Beat, Join, Length, Shot, Sound, Storyboard

HERE = Located({}, "here")
MODEL = Model("model", 4)


def plan(*shots: Shot, fps: float = 12.0, model: Model = MODEL, seed: int = 0) -> Plan:
    story = Storyboard(shots, seed=seed)
    return make_plan(story, fps, lambda path: 1.5, model, lambda prompt, given, frames: prompt)


def drawn(say: str, seconds: float, join: Join = Join(), **more: object) -> Shot:
    return Shot(HERE, say=say, length=Length(seconds), join=join, **more)  # type: ignore[arg-type]


def keys(found: Plan) -> list[str]:
    return [segment.key for segment in found.segments]


@pytest.mark.parametrize("fps", [12.0, 24.0, 25.0, 29.97])
def test_every_shot_begins_within_half_a_frame_of_its_time(fps: float) -> None:
    dice = random.Random(0)
    lengths = [dice.uniform(0.2, 3) for _ in range(200)]
    found = plan(*(drawn("a", seconds) for seconds in lengths), fps=fps)
    at = 0.0
    for span, seconds in zip(found.spans, lengths):
        assert abs(span.first / fps - at) <= 0.5 / fps + 1e-9
        at += seconds
    assert [one.end for one in found.spans[:-1]] == [two.first for two in found.spans[1:]]


def test_a_narration_says_how_long_its_shot_is() -> None:
    shot = Shot(HERE, say="a", narration=Sound(Path("one.wav"), at=0.5))
    assert plan(shot).frames == 24


def test_enough_is_drawn_for_the_frames_that_are_seen() -> None:
    for frames in (1, 2, 5, 6, 13, 100):
        found = plan(drawn("a", frames / 12))
        segment = found.segments[0]
        assert segment.frames == frames and segment.first == 0
        assert 1 + (segment.last - 1) * 4 >= frames > 1 + (segment.last - 2) * 4
    assert source_frames(60, 12, 24) == 30 and source_frames(61, 12, 24) == 31


def test_what_continues_is_one_chain_without_a_gap() -> None:
    then = (Beat("b", Length(0.5)),)
    goes_on = drawn("c", 1.0, Join("continue"))
    found = plan(drawn("a", 1.0, then=then), goes_on, drawn("d", 1.0))
    chain = found.spans[0].chain
    assert chain is found.spans[1].chain is not found.spans[2].chain and chain is not None
    assert [(s.prompt, s.first, s.last) for s in chain.segments] == [
        ("a", 0, 4),
        ("b", 4, 6),
        ("c", 6, 9),
    ]
    assert found.frames == 42


def test_a_crossfade_draws_the_shot_before_it_longer() -> None:
    found = plan(drawn("a", 1.0), drawn("b", 1.0, Join("crossfade", 0.5)))
    assert found.spans[0].tail == 6 and found.segments[0].frames == 18
    assert found.frames == 24
    with pytest.raises(ValueError, match=r"^here: the crossfade is longer than its shot"):
        plan(drawn("a", 1.0), drawn("b", 0.25, Join("crossfade", 0.5)))


def test_only_what_decides_about_the_codes_changes_a_hash() -> None:
    shots = (drawn("a", 1.0), drawn("b", 1.0), drawn("c", 1.0, Join("continue")))
    before = keys(plan(*shots))
    other = drawn("other", 1.0)
    assert keys(plan(other, *shots[1:]))[1:] == before[1:]
    assert keys(plan(shots[1], shots[2])) == before[1:]
    changed = keys(plan(shots[0], other, shots[2]))
    assert changed[0] == before[0]
    assert changed[1] != before[1] and changed[2] != before[2]  # which goes on from it
    assert not set(keys(plan(*shots, seed=1))) & set(before)
    assert not set(keys(plan(*shots, model=Model("another", 4)))) & set(before)
    assert keys(plan(drawn("a", 1.0, chapter="One"), *shots[1:])) == before


def test_a_shot_below_a_frame_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="shorter than one frame of 12 a second"):
        plan(drawn("a", 0.01))


def test_cameras_are_said_as_captions_say_them() -> None:
    assert with_camera("a ball rolls.", "pans left") == "a ball rolls, the camera pans left"
    assert with_camera("a ball", "a static shot") == "a ball, a static shot"
    assert with_camera("a ball", None) == "a ball"
