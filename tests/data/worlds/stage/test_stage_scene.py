"""Scenes of the stage: what a seed gives, whatever the batch, and words that are true."""

from dataclasses import fields, replace

import pytest
import torch
from kinetoscope.data.worlds.stage.colours import BASIC, COLOURS, rgb_table, to_linear
from kinetoscope.data.worlds.stage.motion.camera import project
from kinetoscope.data.worlds.stage.sample import sample_scenes
from kinetoscope.data.worlds.stage.scene import (
    CAMERAS,
    DIRECTIONS,
    HELD_OUT_PAIRS,
    HELD_OUT_TRIPLES,
    MATERIALS,
    MOTIONS,
    PLACES,
    SHAPES,
    WEATHERS,
    Scenes,
    StageConfig,
    latent_of_frame,
)
from torch import Tensor

STATE = ("position", "velocity", "rotation", "turning", "resting", "impact", "moment")
PER_FRAME = (*STATE, "eye", "view", "lens")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    config = StageConfig(max_objects=3, moving_camera=0.5, then=0.4)
    return sample_scenes(range(160), 33, config)


def assert_same(a: Scenes, b: Scenes) -> None:
    for field in fields(Scenes):
        torch.testing.assert_close(
            getattr(a, field.name), getattr(b, field.name), rtol=0, atol=1e-5
        )


def doing(scenes: Scenes, word: str, phase: int = 0) -> Tensor:
    """(clip, slot) of the objects with this motion, [K, 2]."""
    mask = (scenes.motion[..., phase] == MOTIONS.index(word)) & scenes.present
    return mask.nonzero()


def test_a_scene_depends_on_its_seed_only(scenes: Scenes) -> None:
    config = StageConfig(max_objects=3, moving_camera=0.5, then=0.4)
    for seed in (0, 5, 11):
        assert_same(sample_scenes([seed], 33, config), scenes[seed : seed + 1])


def test_longer_clips_begin_as_shorter_ones(scenes: Scenes) -> None:
    config = StageConfig(max_objects=3, moving_camera=0.5, then=0.4)
    short, long = sample_scenes(range(6), 9, config), sample_scenes(range(6), 48, config)
    for frames, other in ((9, short), (33, scenes[:6])):
        begin = {name: getattr(long, name)[:, :frames] for name in PER_FRAME}
        begin["action"] = long.action[:, : latent_of_frame(frames - 1) + 1]
        assert_same(replace(long, **begin), other)


def test_one_frame_is_enough() -> None:
    scene = sample_scenes([3], 1, StageConfig())
    assert scene.frames == 1 and scene.eye.shape == (1, 1, 3) and scene.action.shape == (1, 1)
    assert not scene.impact.any()


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="frames must be at least 1"):
        sample_scenes([0], 0)
    with pytest.raises(ValueError, match=r"max_objects.*got 1 and 5"):
        StageConfig(max_objects=5)
    with pytest.raises(ValueError, match=r"shapes takes words of ball, cube.*'dog'"):
        StageConfig(shapes=("dog",))
    with pytest.raises(ValueError, match="exclude"):
        StageConfig(hold_out=True, only_held_out=True)


def test_slots_run_from_left_to_right(scenes: Scenes) -> None:
    x, _, _ = project(scenes.position[:, 0], scenes.eye[:, 0], scenes.view[:, 0], scenes.lens[:, 0])
    step = x.diff(dim=1)[scenes.present[:, 1:]]
    assert (step > -1e-5).all()


def test_colours_are_near_their_names_and_differ(scenes: Scenes) -> None:
    table = rgb_table()[scenes.colour]
    near = (scenes.rgb - table).abs().amax(-1)[scenes.present]
    named = (scenes.colour >= len(BASIC))[scenes.present]
    assert near[named].max() == 0 and near.max() < 0.13
    for row, count in zip(scenes.colour.tolist(), scenes.count.tolist(), strict=True):
        basic = [colour for colour in row[:count] if colour < len(BASIC)]
        assert len(set(basic)) == len(basic)
    assert len(COLOURS) > 100
    assert to_linear(torch.tensor([0.0, 0.5, 1.0])).tolist() == pytest.approx(
        [0, 0.2140, 1], abs=1e-3
    )


def test_rooms_are_free_of_weather(scenes: Scenes) -> None:
    room = scenes.place == PLACES.index("room")
    assert room.any() and not room.all()
    assert (scenes.weather[room] == WEATHERS.index("clear")).all()


def held_out_looks(scenes: Scenes) -> Tensor:
    """bool [B, N]: objects that look like one of the held-out pairs and triples."""
    held = torch.zeros_like(scenes.present)
    for colour, shape in HELD_OUT_PAIRS:
        held |= (scenes.colour == COLOURS.index(colour)) & (scenes.shape == SHAPES.index(shape))
    for colour, material, shape in HELD_OUT_TRIPLES:
        same = (scenes.colour == COLOURS.index(colour)) & (scenes.shape == SHAPES.index(shape))
        held |= same & (scenes.material == MATERIALS.index(material))
    return held & scenes.present


def test_looks_are_held_out_or_drawn_alone() -> None:
    still = StageConfig(moving_objects=0.0)
    assert held_out_looks(sample_scenes(range(200), 1, still)).any()
    without = sample_scenes(range(200), 1, replace(still, hold_out=True))
    assert not held_out_looks(without).any()
    only = sample_scenes(range(200), 1, replace(still, only_held_out=True))
    assert held_out_looks(only).any(1).all()


def test_objects_travel_where_their_words_say(scenes: Scenes) -> None:
    still = sample_scenes(range(400, 560), 13, StageConfig(moving_camera=0, then=0))
    x, _, depth = project(still.position, still.eye, still.view, still.lens)
    seen = 0
    for word in ("roll", "slide", "collide", "emerge"):
        for clip, slot in doing(still, word).tolist():
            direction = DIRECTIONS[still.direction[clip, slot, 0]]
            across = x[clip, 8, slot] - x[clip, 0, slot]
            away = depth[clip, 8, slot] - depth[clip, 0, slot]
            moved = {"left": -across, "right": across, "toward": -away, "away": away}[direction]
            assert moved > 0.05, (word, direction, clip, slot)
            seen += 1
    assert seen > 20


def test_what_stands_stays(scenes: Scenes) -> None:
    stands = (scenes.motion[..., 0] == MOTIONS.index("stand")) & scenes.present
    stands &= (scenes.motion[..., 1] < 0) & ~scenes.touched.any(3).any(1)
    moved = (scenes.position - scenes.position[:, :1]).norm(dim=-1).amax(1)
    assert stands.sum() > 30
    assert moved[stands].max() < 1e-6
    turned = (scenes.rotation - scenes.rotation[:, :1]).abs().flatten(3).amax((1, 3))
    assert turned[stands].max() < 1e-6


def test_second_motions_begin_when_the_first_has_ended(scenes: Scenes) -> None:
    fps = StageConfig().fps
    rows = ((scenes.motion[..., 1] >= 0) & scenes.present).nonzero().tolist()
    assert len(rows) > 15
    for clip, slot in rows:
        frame = int(scenes.then_frame[clip, slot])
        second = MOTIONS[scenes.motion[clip, slot, 1]]
        speed = scenes.velocity[clip, :, slot].norm(dim=-1)
        if scenes.touched[clip, :, slot].any():
            continue
        if second == "stop":
            assert speed[min(32, frame + 6)] < 1e-3
        else:
            assert speed[frame] < 0.12, (clip, slot, second)
        if second in ("roll", "slide"):
            moved = scenes.position[clip, frame + 4, slot] - scenes.position[clip, frame, slot]
            assert moved.norm() * fps / 4 > 0.4


def test_told_collisions_happen_and_nothing_else_touches_before(scenes: Scenes) -> None:
    pairs = doing(scenes, "collide").tolist()
    assert len(pairs) > 4
    for clip, slot in pairs:
        target = int(scenes.target[clip, slot])
        hits = scenes.touched[clip, :, slot, target].nonzero()
        assert len(hits) and 4 <= int(hits[0]) <= 24
        assert not scenes.touched[clip, : int(hits[0])].any()
    others = ~(scenes.motion == MOTIONS.index("collide")).any(2).any(1)
    assert not scenes.touched[others].any()


def test_orbits_keep_their_distance(scenes: Scenes) -> None:
    pairs = doing(scenes, "orbit").tolist()
    assert len(pairs) > 2
    for clip, slot in pairs:
        delta = scenes.position[clip, :, slot] - scenes.position[clip, :, scenes.target[clip, slot]]
        radius = delta[:, [0, 2]].norm(dim=-1)
        assert radius.max() - radius.min() < 1e-4
        angle = torch.atan2(delta[:, 2], delta[:, 0])
        turn = (angle.diff() + torch.pi).remainder(2 * torch.pi) - torch.pi
        left = DIRECTIONS[scenes.direction[clip, slot, 0]] == "left"
        assert ((turn < 0) if left else (turn > 0)).all()


def test_cameras_move_as_their_words_say() -> None:
    assert StageConfig().fps == 12
    config = StageConfig(cameras=CAMERAS, moving_camera=1.0, motions=("roll", "slide"), then=0)
    drawn = sample_scenes(range(80), 40, config)
    for index, word in enumerate(CAMERAS):
        scenes = drawn[drawn.camera == index]
        eye = scenes.eye[:, 32] - scenes.eye[:, 0]
        yaw, pitch = (scenes.view[:, 32] - scenes.view[:, 0]).unbind(-1)
        lens = scenes.lens[:, 32] / scenes.lens[:, 0]
        moved = {
            "pan left": -yaw,
            "pan right": yaw,
            "tilt up": pitch,
            "tilt down": -pitch,
            "orbit left": -eye[:, 0],
            "orbit right": eye[:, 0],
            "dolly in": eye[:, 2],
            "dolly out": -eye[:, 2],
            "zoom in": 1 - lens,
            "zoom out": lens - 1,
        }
        assert len(scenes) > 1, word
        if word in moved:
            assert moved[word].min() > 0.05, word
            assert torch.equal(scenes.eye[:, 36], scenes.eye[:, 35])  # it holds when it is done
        elif word == "follow":
            rows = torch.arange(len(scenes))
            goal = scenes.position[rows, :, scenes.camera_target][:, :, None]
            x, _, _ = project(goal, scenes.eye, scenes.view, scenes.lens)
            assert x[:, 12:, 0].abs().max() < 0.9
        else:
            assert not eye.any() and not yaw.any() and (lens == 1).all()


def test_faster_words_move_faster() -> None:
    travelled = []
    for speed in ("slow", "normal", "fast"):
        config = StageConfig(speeds=(speed,), motions=("roll",), moving_objects=1.0, then=0)
        scenes = sample_scenes(range(30), 5, config)
        rolls = (scenes.motion[..., 0] == MOTIONS.index("roll")) & scenes.present
        step = (scenes.position[:, 4] - scenes.position[:, 0]).norm(dim=-1)
        travelled.append(step[rolls].mean())
    assert travelled[0] * 1.4 < travelled[1] and travelled[1] * 1.4 < travelled[2]


def test_steered_objects_obey_and_others_are_not_steered() -> None:
    none = sample_scenes(range(20), 17, StageConfig())
    assert (none.steered == -1).all() and not none.action.any()
    config = StageConfig(steered=1.0, moving_camera=0.0, max_objects=1)
    scenes = sample_scenes(range(40), 33, config)
    assert scenes.action.shape == (40, 9) and (scenes.steered >= 0).all()
    obeyed = 0
    for clip in range(40):
        for latent in range(1, 9):
            action = int(scenes.action[clip, latent])
            velocity = scenes.velocity[clip, 4 * latent, 0]
            wall = scenes.impact[clip, 4 * latent - 3 : 4 * latent + 1, 0, -1].any()
            down = scenes.resting[clip, 4 * latent - 3 : 4 * latent + 1, 0].all()
            if action in (1, 2, 3, 4) and not wall and down:
                axis, sign = ((0, -1), (0, 1), (2, -1), (2, 1))[action - 1]
                assert velocity[axis] * sign > 0.2
                obeyed += 1
            if action == 5 and scenes.resting[clip, 4 * latent - 4, 0]:
                height = scenes.position[clip, 4 * latent - 4 : 4 * latent + 1, 0, 1]
                assert height.max() - height[0] > 0.2
                obeyed += 1
    assert obeyed > 40
