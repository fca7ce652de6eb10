"""Motion on the stage: gravity, bounces, friction and walls as they should be, nothing inside
another."""

import pytest
import torch
from kinetoscope.data.worlds.stage.dynamics import (
    BOUNCE,
    GRAVITY,
    ROLLING,
    SLIDING,
    footprints,
    gaps,
    reach,
    rest_height,
    restitution,
)
from kinetoscope.data.worlds.stage.sample import sample_scenes
from kinetoscope.data.worlds.stage.scene import (
    GROUNDS,
    HALF_DEPTH,
    HALF_WIDTH,
    MOTIONS,
    SHAPES,
    Scenes,
    StageConfig,
)
from torch import Tensor

FPS = StageConfig().fps


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def crowd() -> Scenes:
    """Ten seconds of many objects on slippery ground, where most touch sooner or later."""
    config = StageConfig(
        min_objects=3,
        max_objects=4,
        moving_objects=1.0,
        motions=("roll", "slide", "collide", "orbit", "bounce"),
        speeds=("fast",),
        grounds=("ice", "wood"),
        then=0,
    )
    return sample_scenes(range(48), 120, config)


def yaw(scenes: Scenes) -> Tensor:
    """Where the footprints point at each frame, [B, F, N]: the horizontal axis of each object."""
    upright = torch.atan2(scenes.rotation[..., 2, 0], scenes.rotation[..., 0, 0])
    lying = torch.atan2(scenes.rotation[..., 2, 1], scenes.rotation[..., 0, 1])
    return torch.where(scenes.lying[:, None], lying, upright).double()


def test_nothing_is_inside_another_nor_beyond_a_wall(crowd: Scenes) -> None:
    foot = footprints(crowd.shape, crowd.lying, crowd.size)[:, None]
    gap = gaps(foot, yaw(crowd), crowd.position.double())
    both = crowd.present[:, :, None] & crowd.present[:, None, :]
    both = both & ~torch.eye(both.shape[1], dtype=torch.bool)
    assert crowd.touched.flatten(1).any(1).float().mean() > 0.4
    assert torch.where(both[:, None], gap, 1.0).min() > -0.02
    one, zero = torch.ones(()).double(), torch.zeros(()).double()
    there = crowd.present[:, None].expand(-1, 120, -1)
    for axis, end, x, z in ((0, HALF_WIDTH, one, zero), (2, HALF_DEPTH, zero, one)):
        far = crowd.position[..., axis].abs() + reach(foot, yaw(crowd), x, z)
        assert far[there].max() < end + 1e-3
    height = crowd.position[..., 1] - rest_height(crowd.shape, crowd.lying, crowd.size)[:, None]
    assert height[there].min() > -1e-5


def test_walls_throw_back(crowd: Scenes) -> None:
    hits = (crowd.impact[..., -1] > 0.3).nonzero().tolist()
    assert len(hits) > 20
    for clip, frame, slot in hits[:60]:
        before = crowd.velocity[clip, frame - 1, slot].norm()
        after = crowd.velocity[clip, frame, slot].norm()
        if not crowd.touched[clip, frame, slot].any():
            assert after < before + 0.02


def test_energy_never_grows(crowd: Scenes) -> None:
    driven = (crowd.motion[..., 0] == MOTIONS.index("orbit")) & crowd.present
    free = ~driven.any(1)
    mass = (crowd.radius**3 * crowd.present)[:, None]
    kinetic = 0.5 * (crowd.velocity**2).sum(-1)
    energy = (mass * (kinetic + GRAVITY * crowd.position[..., 1])).sum(2)[free]
    assert free.sum() > 10
    growth = energy.diff(dim=1) / energy[:, :1]
    assert growth.max() < 2e-3


def test_collisions_create_no_momentum(crowd: Scenes) -> None:
    driven = (crowd.motion[..., 0] == MOTIONS.index("orbit")) & crowd.present
    calm = (crowd.impact[..., -1] == 0) & ~driven[:, None]  # walls do change momentum
    mass = (crowd.radius**3 * crowd.present)[:, None, :, None]
    momentum = (mass * crowd.velocity)[..., [0, 2]].sum(2)
    change = momentum.diff(dim=1).norm(dim=-1)
    friction = (mass[..., 0].sum(2) * max(SLIDING) / FPS).expand_as(change)
    quiet = calm.all(2)[:, 1:]
    touched = crowd.touched.flatten(2).any(2)[:, 1:] & quiet
    assert touched.sum() > 10
    assert (change <= friction + 1e-4)[touched].all()


def test_falls_have_the_acceleration_of_gravity_and_bounces_their_height() -> None:
    for ground in GROUNDS:
        config = StageConfig(
            max_objects=1,
            grounds=(ground,),
            shapes=("ball", "cube"),
            motions=("fall",),
            moving_objects=1.0,
            then=0,
        )
        scenes = sample_scenes(range(8), 49, config)
        spring = restitution(scenes.shape, scenes.ground[:, None])[:, 0]
        rest = rest_height(scenes.shape, scenes.lying, scenes.size)[:, 0]
        for clip in range(8):
            height = scenes.position[clip, :, 0, 1].double() - rest[clip]
            lands = int((scenes.impact[clip, :, 0, -2] > 0).nonzero()[0])
            fall = height[: lands - 1].diff().diff() * FPS**2
            assert torch.allclose(fall, torch.full_like(fall, -GRAVITY), atol=1e-2)
            rebound = height[lands:].max()
            wanted = height[0] * spring[clip] ** 2
            if spring[clip] > 0.35:
                assert abs(rebound - wanted) < 0.09 * height[0]
            else:
                assert rebound < 0.2 * height[0]
    word = torch.where(
        scenes.motion[:, 0, 0] == MOTIONS.index("bounce"), spring >= 0.5, spring < 0.5
    )
    assert word.all() and len(BOUNCE) == len(GROUNDS)


def test_friction_slows_by_ground_and_kind() -> None:
    for index, ground in enumerate(GROUNDS):
        for word, table in (("roll", ROLLING), ("slide", SLIDING)):
            shapes = ("ball", "ring") if word == "roll" else ("cube", "cone")
            config = StageConfig(
                max_objects=1,
                grounds=(ground,),
                shapes=shapes,
                motions=(word,),
                speeds=("fast",),
                moving_objects=1.0,
                then=0,
            )
            scenes = sample_scenes(range(6), 9, config)
            speed = scenes.velocity[:, :, 0].norm(dim=-1)
            slowing = -speed.diff(dim=1) * FPS
            assert torch.allclose(slowing, torch.full_like(slowing, table[index]), atol=1e-3)


def test_what_rolls_turns_as_far_as_it_goes() -> None:
    config = StageConfig(
        max_objects=1,
        shapes=("ball", "cylinder", "ring", "capsule"),
        motions=("roll",),
        moving_objects=1.0,
        then=0,
    )
    scenes = sample_scenes(range(24), 9, config)
    rest = rest_height(scenes.shape, scenes.lying, scenes.size)[:, 0]
    turned = scenes.turning[:, 1:, 0].norm(dim=-1) / FPS
    moved = scenes.position[:, :, 0].diff(dim=1).norm(dim=-1)
    assert torch.allclose(turned * rest[:, None].float(), moved, atol=1e-3)
    # The point that touches the ground stands still: the top moves twice as fast as the centre.
    top = torch.stack([torch.zeros_like(rest), rest, torch.zeros_like(rest)], -1).float()
    spin = torch.linalg.cross(scenes.turning[:, 1:, 0], top[:, None].expand(-1, 8, -1))
    step = scenes.position[:, :, 0].diff(dim=1) * FPS
    assert torch.allclose(spin, step, atol=1e-2)
    eye = scenes.rotation @ scenes.rotation.transpose(-1, -2)
    assert torch.allclose(eye, torch.eye(3).expand_as(eye), atol=1e-5)


def test_a_minute_keeps_its_objects() -> None:
    scenes = sample_scenes(range(4), 720, StageConfig(max_objects=4))
    there = scenes.present[:, None].expand(-1, 720, -1)
    assert scenes.position.isfinite().all()
    assert scenes.position[there].abs().amax() < 4
    assert len(SHAPES) == 6
