"""What a clip shows is read from its exact state, not from what was meant to happen."""

import math
from dataclasses import fields, replace

import pytest
import torch
from kinetoscope.data.worlds.stage.captions import describe, facts
from kinetoscope.data.worlds.stage.captions.facts import UNKNOWN, Facts
from kinetoscope.data.worlds.stage.captions.picture import in_picture
from kinetoscope.data.worlds.stage.sample import sample_scenes
from kinetoscope.data.worlds.stage.scene import (
    CAMERAS,
    MATERIALS,
    MOTIONS,
    SHAPES,
    STYLES,
    TIMES,
    WEATHERS,
    Scenes,
    StageConfig,
)

CLIPS = 80


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    torch.set_num_threads(1)
    config = StageConfig(max_objects=3, moving_objects=0.9, moving_camera=0.6, then=0.3)
    return sample_scenes(range(CLIPS), 33, config)


@pytest.fixture(scope="module")
def shown(scenes: Scenes) -> list[Facts]:
    return facts(scenes)


def first(scenes: Scenes, frames: int) -> Scenes:
    """The first frames of all clips."""
    per_frame = ("position", "velocity", "rotation", "turning", "resting", "impact", "moment")
    per_frame = (*per_frame, "eye", "view", "lens")
    return replace(scenes, **{name: getattr(scenes, name)[:, :frames] for name in per_frame})


def test_most_of_what_was_meant_is_seen(scenes: Scenes, shown: list[Facts]) -> None:
    there = int(scenes.count.sum())
    assert sum(len(clip.things) for clip in shown) > 0.95 * there
    done = sum(bool(thing.deeds) for clip in shown for thing in clip.things)
    assert done > 0.85 * there


def test_words_are_those_of_the_scene(scenes: Scenes, shown: list[Facts]) -> None:
    for row, clip in enumerate(shown):
        for name in ("time", "weather", "ground", "style", "place"):
            assert getattr(clip, name) == int(getattr(scenes, name)[row])
        assert clip.camera in (UNKNOWN, int(scenes.camera[row]))
        for thing in clip.things:
            assert thing.shape == int(scenes.shape[row, thing.slot])
            assert thing.size == int(scenes.size[row, thing.slot])
            assert thing.colour in (UNKNOWN, int(scenes.colour[row, thing.slot]))


def test_directions_are_those_of_the_path(scenes: Scenes, shown: list[Facts]) -> None:
    """Checked against where the object stands in the picture of the first camera."""
    checked = 0
    for row, clip in enumerate(shown):
        yaw = float(scenes.view[row, 0, 0])
        for thing in clip.things:
            deed = thing.deeds[0] if thing.deeds else None
            if deed is None or deed.direction == 0 or MOTIONS[deed.motion] in ("spin", "orbit"):
                continue
            path = scenes.position[row, :, thing.slot]
            gone = path[:12].sub(path[0])
            right = gone[:, 0] * math.cos(yaw) - gone[:, 2] * math.sin(yaw)
            ahead = gone[:, 0] * math.sin(yaw) + gone[:, 2] * math.cos(yaw)
            side = [0.0, -right[-1], right[-1], -ahead[-1], ahead[-1]][deed.direction]
            assert float(side) > 0
            checked += 1
    assert checked > 10


def test_a_picture_shows_no_motion(scenes: Scenes) -> None:
    pictures = first(scenes, 1)
    for clip in facts(pictures):
        assert not clip.hits and clip.camera == UNKNOWN
        assert all(not thing.deeds for thing in clip.things)


def test_what_has_not_happened_yet_is_not_shown(scenes: Scenes, shown: list[Facts]) -> None:
    early = facts(first(scenes, 3))
    assert sum(len(clip.hits) for clip in early) < sum(len(clip.hits) for clip in shown)
    for clip in early:
        for thing in clip.things:
            assert len(thing.deeds) < 2
            names = {MOTIONS[deed.motion] for deed in thing.deeds}
            assert not names & {"bounce", "collide", "stop"}


def test_hits_are_impacts_of_those_two(scenes: Scenes, shown: list[Facts]) -> None:
    hits = [(row, hit) for row, clip in enumerate(shown) for hit in clip.hits]
    assert len(hits) > 5
    for row, hit in hits:
        other = hit.whom if hit.whom >= 0 else scenes.shape.shape[1] + 1
        assert float(scenes.impact[row, :, hit.who, other].amax()) > 0.2


def test_what_is_far_outside_the_picture_is_not_there(scenes: Scenes) -> None:
    outside = replace(scenes, position=scenes.position + torch.tensor([100.0, 0, 0]))
    assert not in_picture(outside).any()
    assert all(not clip.things for clip in facts(outside))


def test_what_stands_behind_a_nearer_thing_is_not_there() -> None:
    scenes = sample_scenes([3], 5, StageConfig(min_objects=2, moving_objects=0, moving_camera=0))
    scenes = replace(
        scenes,
        shape=torch.tensor([[SHAPES.index("ball"), SHAPES.index("cube")]]),
        size=torch.tensor([[0, 2]]),
    )
    ray = torch.tensor([0.0, 0.6, 0.0]) - scenes.eye[0, 0]
    near, far = scenes.eye[0, 0] + 0.8 * ray, scenes.eye[0, 0] + 1.2 * ray
    hidden = replace(scenes, position=torch.stack([far, near])[None, None].expand(1, 5, 2, 3))
    assert [thing.slot for thing in facts(hidden)[0].things] == [1]
    beside = replace(hidden, shape=torch.full((1, 2), SHAPES.index("ring")))
    assert [thing.slot for thing in facts(beside)[0].things] == [0, 1]  # seen through the ring


def test_looks_that_a_style_does_not_draw_are_unknown(scenes: Scenes) -> None:
    shiny = torch.full_like(scenes.material, MATERIALS.index("shiny"))
    for style, shows in (("shaded", True), ("flat", False), ("pencil", True)):
        drawn = torch.full_like(scenes.style, STYLES.index(style))
        for clip in facts(replace(scenes, material=shiny, style=drawn)):
            assert all((thing.material != UNKNOWN) == shows for thing in clip.things)
    night = torch.full_like(scenes.time, TIMES.index("night"))
    fog = torch.full_like(scenes.weather, WEATHERS.index("fog"))
    for clip in facts(replace(scenes, material=shiny, time=night, weather=fog)):
        assert all(thing.colour == UNKNOWN for thing in clip.things)


def test_a_still_camera_is_one_that_never_moves(scenes: Scenes) -> None:
    still = replace(
        scenes,
        eye=scenes.eye[:, :1].expand_as(scenes.eye),
        view=scenes.view[:, :1].expand_as(scenes.view),
        lens=scenes.lens[:, :1].expand_as(scenes.lens),
    )
    for row, clip in enumerate(facts(still)):
        moving = int(scenes.camera[row]) != CAMERAS.index("still")
        assert clip.camera == (UNKNOWN if moving else 0)


def test_descriptions_do_not_depend_on_the_batch(scenes: Scenes) -> None:
    whole, _ = describe(scenes, range(CLIPS))
    rows = torch.tensor([5, 40])
    part, _ = describe(scenes[rows], rows.tolist())
    assert part == [whole[5], whole[40]]
    assert len(set(whole)) == CLIPS


def test_all_fields_of_facts_are_words(shown: list[Facts]) -> None:
    for clip in shown:
        for field in fields(clip):
            value = getattr(clip, field.name)
            assert isinstance(value, int | tuple)
