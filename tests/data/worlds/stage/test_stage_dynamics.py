"""Motion on the stage: gravity, bounces, friction and walls as they should be, nothing inside
another."""

from dataclasses import dataclass

import pytest
import torch
from kinetoscope.data.worlds.stage.motion.bodies import (
    GRAVITY,
    ROLLING,
    SLIDING,
    footprints,
    gaps,
    reach,
    rest_height,
    restitution,
)
from kinetoscope.data.worlds.stage.motion.dynamics import simulate
from kinetoscope.data.worlds.stage.motion.script import Course, Script
from kinetoscope.data.worlds.stage.sample import sample_scenes
from kinetoscope.data.worlds.stage.scene import (
    GROUNDS,
    HALF_DEPTH,
    HALF_WIDTH,
    MOTIONS,
    RADII,
    SHAPES,
    StageConfig,
)
from torch import Tensor

FPS = StageConfig().fps


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@dataclass(frozen=True)
class Crowd:
    """Four objects a clip, pushed at one another on ice and wood, and what became of them."""

    script: Script
    course: Course


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    B, N = 24, 4
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator).double()

    shape = (random(B, N) * len(SHAPES)).long()
    size = (random(B, N) * 2).long()
    lying = (random(B, N) < 0.5) & (shape >= 2) & (shape != SHAPES.index("cone"))
    corner = torch.tensor([[-1.7, -1.2], [1.7, -1.2], [-1.7, 1.2], [1.7, 1.2]]).double()
    start = torch.zeros(B, N, 3, dtype=torch.float64)
    start[..., [0, 2]] = corner + 0.2 * (random(B, N, 2) - 0.5)
    start[..., 1] = rest_height(shape, lying, size) + torch.where(random(B, N) < 0.3, 0.8, 0.0)
    push = torch.zeros(B, N, 2, 2, dtype=torch.float64)
    push[:, :, 0] = -1.4 * corner + 1.5 * (random(B, N, 2) - 0.5)
    zero = torch.zeros(B, N, dtype=torch.long)
    script = Script(
        present=torch.ones(B, N, dtype=torch.bool),
        shape=shape,
        size=size,
        lying=lying,
        ground=torch.where(torch.arange(B) % 2 == 0, GROUNDS.index("ice"), GROUNDS.index("wood")),
        motion=torch.stack([zero, zero - 1], -1),
        direction=torch.stack([zero, zero], -1),
        speed=torch.stack([zero, zero], -1),
        then_frame=zero - 1,
        target=zero - 1,
        start=start,
        push=push,
        yaw=random(B, N) * 3,
        around=torch.zeros(B, N, 3, dtype=torch.float64),
        steered=torch.full((B,), -1),
        action=torch.zeros(B, 20, dtype=torch.long),
        heading=torch.zeros(B, dtype=torch.float64),
    )
    return Crowd(script, simulate(script, 60, FPS))


def touched(crowd: Crowd) -> Tensor:
    return crowd.course.impact[..., :4] > 0


def test_nothing_is_inside_another_nor_beyond_a_wall(crowd: Crowd) -> None:
    script, course = crowd.script, crowd.course
    foot = footprints(script.shape, script.lying, script.size)[:, None]
    yaw = script.yaw[:, None].expand(-1, 60, -1)
    gap = gaps(foot, yaw, course.position)
    gap = gap + 9 * torch.eye(4)
    assert gap[:, 0].min() > 0
    assert touched(crowd).flatten(1).any(1).all()
    assert gap.min() > -0.02
    one, zero = torch.ones(()).double(), torch.zeros(()).double()
    for axis, end, x, z in ((0, HALF_WIDTH, one, zero), (2, HALF_DEPTH, zero, one)):
        far = course.position[..., axis].abs() + reach(foot, yaw, x, z)
        assert far.max() < end + 1e-9
    rest = rest_height(script.shape, script.lying, script.size)[:, None]
    assert (course.position[..., 1] - rest).min() > -1e-9


def test_walls_throw_back(crowd: Crowd) -> None:
    course = crowd.course
    alone = ~touched(crowd).any(3) & (course.impact[..., -1] > 0.3)
    speed = course.velocity[..., [0, 2]].norm(dim=-1)
    before, after = speed[:, :-1][alone[:, 1:]], speed[:, 1:][alone[:, 1:]]
    assert len(after) > 20
    assert (after < before).all() and (after > 0.3 * before).all()


def test_energy_never_grows(crowd: Crowd) -> None:
    course = crowd.course
    mass = torch.tensor(RADII).double()[crowd.script.size][:, None] ** 3
    kinetic = 0.5 * (course.velocity**2).sum(-1)
    energy = (mass * (kinetic + GRAVITY * course.position[..., 1])).sum(2)
    growth = energy.diff(dim=1) / energy[:, :1]
    assert growth.max() < 1e-3
    assert energy[:, -1].mean() < 0.9 * energy[:, 0].mean()


def test_collisions_create_no_momentum(crowd: Crowd) -> None:
    course = crowd.course
    mass = torch.tensor(RADII).double()[crowd.script.size][:, None] ** 3
    momentum = (mass[..., None] * course.velocity)[..., [0, 2]].sum(2)
    change = momentum.diff(dim=1).norm(dim=-1)
    friction = mass.sum(2) * max(SLIDING) / FPS
    no_wall = (course.impact[..., -1] == 0).all(2)[:, 1:]
    hit = touched(crowd).flatten(2).any(2)[:, 1:] & no_wall
    assert hit.sum() > 20
    assert (change <= friction + 1e-9)[hit].all()


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
        bounces = scenes.motion[:, 0, 0] == MOTIONS.index("bounce")
        assert torch.equal(bounces, spring >= 0.5)


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
            assert (scenes.motion[:, 0, 0] == MOTIONS.index(word)).all()
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
