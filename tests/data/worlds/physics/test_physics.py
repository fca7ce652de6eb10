"""The physics world: truth that can be trusted, whichever batch a scene is drawn in."""

from dataclasses import fields
from itertools import pairwise

import pytest
import torch
from kinetoscope.data.worlds.physics.dynamics import FOOTPRINT, FRICTION
from kinetoscope.data.worlds.physics.render import FIELD_OF_VIEW
from kinetoscope.data.worlds.physics.scene import (
    CAMERA_TARGET,
    CAMERAS,
    COLOURS,
    HELD_OUT_PAIRS,
    MOTIONS,
    SHAPES,
    SIZES,
    TIMES,
    PhysicsConfig,
    Scenes,
    camera_path,
    sample_scenes,
)
from torch import Tensor

FPS = PhysicsConfig().fps
PAIRS = ((0, 1), (0, 2), (1, 2))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def crowd() -> Scenes:
    """Up to three objects in a scene."""
    return sample_scenes(range(300), 33, PhysicsConfig(max_objects=3))


@pytest.fixture(scope="module")
def couples() -> Scenes:
    """Up to two objects, with many collisions."""
    return sample_scenes(range(300), 33, PhysicsConfig(max_objects=2, collisions=0.7))


@pytest.fixture(scope="module")
def any_couples() -> Scenes:
    """Up to two objects that may move sideways without hitting one another."""
    return sample_scenes(range(600), 33, PhysicsConfig(any_motions=True, collisions=0))


def assert_same(a: Scenes, b: Scenes) -> None:
    for field in fields(Scenes):
        torch.testing.assert_close(
            getattr(a, field.name), getattr(b, field.name), rtol=0, atol=1e-5
        )


def in_picture(scenes: Scenes) -> Tensor:
    """Where the centres are in the picture, [B, F, N, 2] from -1 to 1, by a matrix for each
    camera."""
    yaw, pitch = scenes.view.unbind(-1)
    zero = torch.zeros_like(yaw)
    right = torch.stack([yaw.cos(), zero, -yaw.sin()], -1)
    ahead = torch.stack([yaw.sin() * pitch.cos(), pitch.sin(), yaw.cos() * pitch.cos()], -1)
    camera = torch.stack([right, torch.linalg.cross(ahead, right), ahead], -2)
    seen = (camera[:, :, None] @ (scenes.position - scenes.eye[:, :, None])[..., None])[..., 0]
    return seen[..., :2] / seen[..., 2:] / FIELD_OF_VIEW


def gaps(scenes: Scenes, i: int, j: int) -> Tensor:
    """Distances on the floor [B, F] of two objects, in units of the one at which they touch; 9
    if one is absent."""
    reach = torch.tensor(FOOTPRINT)[scenes.shape] * scenes.radius
    apart = (scenes.position[:, :, i] - scenes.position[:, :, j])[..., [0, 2]].norm(dim=-1)
    both = scenes.present[:, i] & scenes.present[:, j]
    return torch.where(both[:, None], apart / (reach[:, i] + reach[:, j])[:, None], 9.0)


def floor_velocity(scenes: Scenes) -> Tensor:
    """Metres per second [B, F - 1, N, 2] between frames; 0 in empty slots."""
    return scenes.position[..., [0, 2]].diff(dim=1) * FPS * scenes.present[:, None, :, None]


def test_a_scene_depends_on_its_seed_only() -> None:
    config = PhysicsConfig(max_objects=3)
    together = sample_scenes(range(8), 4, config)
    for seed in (0, 3, 7):
        assert_same(sample_scenes([seed], 4, config), together[seed : seed + 1])


def test_longer_clips_begin_as_shorter_ones(crowd: Scenes) -> None:
    short = sample_scenes(range(300), 9, PhysicsConfig(max_objects=3))
    long = {field.name: getattr(crowd, field.name) for field in fields(Scenes)}
    assert_same(
        short, Scenes(**long | {k: long[k][:, :9] for k in ("position", "contact", "eye", "view")})
    )


def test_one_frame_is_enough() -> None:
    scenes = sample_scenes(range(3), 1, PhysicsConfig(max_objects=1))
    assert len(scenes) == 3
    assert (
        scenes.position.shape == (3, 1, 1, 3)
        and scenes.eye.shape == (3, 1, 3)
        and scenes.view.shape == (3, 1, 2)
    )
    assert not scenes.contact.any()


def test_objects_are_above_the_floor_and_beside_one_another(
    crowd: Scenes, couples: Scenes, any_couples: Scenes
) -> None:
    # one of three can be hit twice
    for scenes, squeezed in ((couples, 0.98), (any_couples, 0.98), (crowd, 0.85)):
        height = (scenes.position[..., 1] - scenes.radius[:, None])[
            scenes.present[:, None].expand(-1, 33, -1)
        ]
        assert height.min() > -1e-6
        for i, j in PAIRS[: 3 if scenes is crowd else 1]:
            apart = gaps(scenes, i, j)
            assert apart[:, 0].min() > 1
            assert apart.min() > squeezed


def test_collisions_create_no_momentum(couples: Scenes) -> None:
    mass = couples.radius**3 * couples.present
    velocity = floor_velocity(couples)
    change = (velocity * mass[:, None, :, None]).sum(2).diff(dim=1).norm(dim=-1)
    friction = mass.sum(1) * FRICTION / FPS
    assert (change <= 1.02 * friction[:, None] + 1e-4).all()
    jumps = velocity.diff(dim=1).norm(dim=-1).amax((1, 2))
    # there was something to conserve
    assert (jumps[couples.collides] > 3 * FRICTION / FPS).float().mean() > 0.9


def test_energy_never_grows(couples: Scenes) -> None:
    energy = (couples.radius[:, None] ** 3 * floor_velocity(couples).square().sum(-1)).sum(-1)
    # an impact within a frame hides a part for that frame
    assert (energy[:, 3:] <= energy[:, :-3] + 1e-4).all()


def test_each_bounce_is_lower_than_the_one_before(couples: Scenes) -> None:
    falls = couples.present & (couples.motion == MOTIONS.index("falls"))
    heights = (couples.position[..., 1] - couples.radius[:, None]).transpose(1, 2)[falls]
    assert len(heights) > 30
    bounced = 0
    for course in heights.tolist():
        peaks = [course[0]] + [b for a, b, c in zip(course, course[1:], course[2:]) if a < b >= c]
        assert all(later < 0.6 * earlier for earlier, later in pairwise(peaks))
        assert course[-1] < 0.05
        bounced += len(peaks) > 1
    assert bounced > len(heights) / 2


@pytest.mark.parametrize(
    ("motion", "axis", "sign"),
    [("left", 0, -1), ("right", 0, 1), ("toward", 2, -1), ("away", 2, 1), ("still", 0, 0)],
)
def test_objects_move_as_their_motion_says(
    couples: Scenes, motion: str, axis: int, sign: int
) -> None:
    undisturbed = (
        couples.present & (couples.motion == MOTIONS.index(motion)) & ~couples.collides[:, None]
    )
    path = (couples.position[:, -1] - couples.position[:, 0])[undisturbed]
    assert len(path) > 10
    other = [k for k in range(3) if k != axis]
    assert path[:, other].abs().max() < 1e-4
    assert (sign * path[:, axis] > 0.8).all() if sign else path.abs().max() < 1e-4


def test_contacts_agree_with_distances_and_jumps(couples: Scenes) -> None:
    touch = couples.contact[:, :, 0, 1]
    apart = gaps(couples, 0, 1)
    assert touch.any(1).float().mean() > 0.2
    assert torch.equal(couples.contact, couples.contact.transpose(2, 3))
    assert not couples.contact.diagonal(dim1=2, dim2=3).any() and not touch[:, 0].any()
    assert torch.equal(couples.collides, touch.any(1))
    assert apart[touch].max() < 1.1
    assert not touch[apart > 1.1].any() and not touch.any(1)[couples.count == 1].any()
    # at frames 1 … F - 2
    jumped = floor_velocity(couples).diff(dim=1).norm(dim=-1).amax(-1) > 3 * FRICTION / FPS
    assert not (jumped & ~(touch[:, 1:-1] | touch[:, 2:])).any()


def test_aimed_objects_hit_and_others_seldom_do() -> None:
    for share, lowest, highest in ((1.0, 0.9, 1.0), (0.0, 0.0, 0.1)):
        scenes = sample_scenes(range(200), 33, PhysicsConfig(max_objects=2, collisions=share))
        assert lowest <= scenes.collides[scenes.count == 2].float().mean() <= highest


def test_held_out_pairs_stay_out_or_are_always_there() -> None:
    held_out = torch.zeros(len(COLOURS), len(SHAPES), dtype=torch.bool)
    for colour, shape in HELD_OUT_PAIRS:
        held_out[COLOURS.index(colour), SHAPES.index(shape)] = True
    without = sample_scenes(range(500), 1, PhysicsConfig(max_objects=3, hold_out=True))
    assert not (held_out[without.colour, without.shape] & without.present).any()
    only = sample_scenes(range(500), 1, PhysicsConfig(max_objects=3, only_held_out=True))
    shown = held_out[only.colour, only.shape] & only.present
    assert shown.any(1).all()
    assert len(set((only.colour * len(SHAPES) + only.shape)[shown].tolist())) == len(HELD_OUT_PAIRS)


@pytest.mark.parametrize(
    "config", [PhysicsConfig(max_objects=3), PhysicsConfig(max_objects=3, only_held_out=True)]
)
def test_colours_of_a_scene_differ(config: PhysicsConfig) -> None:
    scenes = sample_scenes(range(300), 1, config)
    for colours, count in zip(scenes.colour.tolist(), scenes.count.tolist()):
        assert len(set(colours[:count])) == count


def test_every_value_occurs(couples: Scenes) -> None:
    for name, table in (
        ("colour", COLOURS),
        ("shape", SHAPES),
        ("size", SIZES),
        ("motion", MOTIONS),
    ):
        assert set(getattr(couples, name)[couples.present].tolist()) == set(range(len(table)))
    assert set(couples.camera.tolist()) == set(range(len(CAMERAS)))
    assert set(couples.time.tolist()) == set(range(len(TIMES)))
    assert set(couples.count.tolist()) == {1, 2}


def test_slots_go_from_left_to_right_as_first_seen(crowd: Scenes) -> None:
    across = torch.where(crowd.present, in_picture(crowd)[:, 0, :, 0], torch.inf)
    assert (across[:, 1:] >= across[:, :-1]).all()


def test_objects_stay_in_the_picture_unless_pushed(couples: Scenes, any_couples: Scenes) -> None:
    for scenes in (couples, any_couples):
        shown = scenes.present & ~scenes.collides[:, None]
        assert in_picture(scenes).abs().amax((1, 3))[shown].max() < 1


def test_any_two_motions_occur_without_a_collision(couples: Scenes, any_couples: Scenes) -> None:
    def clear(scenes: Scenes) -> set[tuple[int, ...]]:
        rows = scenes.motion[(scenes.count == 2) & ~scenes.collides].sort(1).values
        return set(map(tuple, rows.tolist()))

    pairs = len(MOTIONS) * (len(MOTIONS) + 1) // 2
    assert len(clear(any_couples)) == pairs > len(clear(couples)) + 5
    moved = any_couples.position[:, -1] - any_couples.position[:, 0]
    for name, sign in (("left", -1), ("right", 1)):
        sideways = (
            any_couples.present
            & (any_couples.motion == MOTIONS.index(name))
            & ~any_couples.collides[:, None]
        )
        assert (sign * moved[sideways][:, 0] > 0.7).all()


def test_large_objects_fill_a_quarter_to_a_half_of_the_picture() -> None:
    still = PhysicsConfig(max_objects=1, moving_objects=0, moving_camera=0)
    scenes = sample_scenes(range(100), 1, still)
    foot = scenes.position.clone()
    top = scenes.position.clone()
    foot[..., 1] = 0
    top[..., 1] = 2 * scenes.radius[:, None]
    ends = [
        in_picture(Scenes(**vars(scenes) | {"position": end}))[:, 0, 0, 1] for end in (foot, top)
    ]
    share = (ends[1] - ends[0]) / 2
    assert 0.18 < share.min() < 0.3 and 0.35 < share.max() < 0.55


def test_cameras_go_from_one_side_to_the_other_and_hold() -> None:
    config = PhysicsConfig(camera_seconds=1.0)
    eye, view = camera_path(torch.arange(len(CAMERAS)), 20, config)
    still, pan_left, pan_right, orbit_left, orbit_right, move_in = range(len(CAMERAS))
    assert (eye[still] == eye[still, 0]).all() and (view[still] == view[still, 0]).all()
    for camera, course in (
        (pan_left, -view[pan_left, :, 0]),
        (pan_right, view[pan_right, :, 0]),
        (orbit_left, -eye[orbit_left, :, 0]),
        (orbit_right, eye[orbit_right, :, 0]),
    ):
        moving = course[:13]
        held = course[12:]
        assert (moving.diff() > 0).all() and (held == held[0]).all(), CAMERAS[camera]
        assert course[0] == pytest.approx(-float(course[-1]), abs=1e-5)
    target = torch.tensor([0.0, CAMERA_TARGET, 0.0])
    away = (eye - target).norm(dim=-1)
    assert (away[move_in, :13].diff() < 0).all()
    for camera in (still, orbit_left, orbit_right, move_in):  # these look at one point all the time
        yaw, pitch = view[camera].unbind(-1)
        ahead = torch.stack([yaw.sin() * pitch.cos(), pitch.sin(), yaw.cos() * pitch.cos()], -1)
        torch.testing.assert_close(
            eye[camera] + ahead * away[camera][:, None], target.expand(20, 3)
        )


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"max_objects": 0}, "max_objects must be 1, 2 or 3; got 0"),
        ({"max_objects": 4}, "got 4"),
        ({"fps": 0}, "fps must be above 0; got 0"),
        ({"camera_seconds": -1}, "camera_seconds must be above 0; got -1"),
        ({"collisions": 1.5}, "collisions is a share, from 0 to 1; got 1.5"),
        ({"hold_out": True, "only_held_out": True}, "set one of them"),
    ],
)
def test_impossible_worlds_are_refused(settings: dict[str, float], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        PhysicsConfig(**settings)  # type: ignore[arg-type]


def test_no_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="frames must be at least 1; got 0"):
        sample_scenes([0], 0)
