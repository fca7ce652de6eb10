"""The laws give the stage's own numbers on its exact tracks."""

from statistics import median

import pytest
import torch
from kinetoscope.data.worlds.stage.motion.bodies import (
    GRAVITY,
    deceleration,
    restitution,
)
from kinetoscope.data.worlds.stage.sample import sample_scenes
from kinetoscope.data.worlds.stage.scene import GROUNDS, RADII, Scenes, StageConfig
from kinetoscope.evaluation.stage.physics import laws
from torch import Tensor

SEEN = torch.ones(33, dtype=torch.bool)


def moving(motions: tuple[str, ...], clips: int, **settings: object) -> Scenes:
    config = StageConfig(
        motions=motions,
        moving_objects=1.0,
        moving_camera=0.0,
        then=0.0,
        **settings,  # type: ignore[arg-type]
    )
    return sample_scenes(range(clips), 33, config)


def drag(scenes: Scenes, row: int, slot: int) -> float:
    one = (slice(row, row + 1), slice(slot, slot + 1))
    return float(
        deceleration(scenes.shape[one], scenes.lying[one], scenes.ground[row : row + 1, None])
    )


def noisy(place: Tensor, metres: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return place + metres * torch.randn(place.shape, generator=generator)


@pytest.mark.parametrize("metres", [0.0, 0.01], ids=["exact", "1 cm of noise"])
def test_falls_bounces_and_jumps_have_the_gravity_of_the_stage(metres: float) -> None:
    scenes = moving(("fall", "bounce", "jump"), 24, max_objects=1)
    found = []
    for row in range(24):
        height = noisy(scenes.position[row, :, 0, 1], metres, row)
        for flight in laws.flights(height, SEEN):
            fit = laws.gravity(height, flight)
            if fit is not None:
                found.append(fit)
    assert len(found) >= 24
    assert median(fit.acceleration for fit in found) == pytest.approx(GRAVITY, rel=0.03)
    assert all(fit.acceleration == pytest.approx(GRAVITY, rel=1e-4) for fit in found if not metres)
    assert median(fit.residual for fit in found) == pytest.approx(metres, abs=0.5 * metres + 1e-6)


def test_bounces_rise_as_high_as_their_ground_and_shape_let_them() -> None:
    scenes = moving(("bounce",), 48, max_objects=1, grounds=("checker", "wood", "ice"))
    shares = []
    grounds = set()
    for row in range(48):
        height = scenes.position[row, :, 0, 1]
        keep = float(restitution(scenes.shape[row, 0], scenes.ground[row]))
        for drop, rise in laws.bounces(height, SEEN):
            assert rise == pytest.approx(laws.rise(drop, keep), rel=0.04, abs=0.02)
            shares.append(rise / laws.rise(drop, keep))
            grounds.add(GROUNDS[int(scenes.ground[row])])
    assert grounds == {"checker", "wood", "ice"}
    assert median(shares) == pytest.approx(1.0, abs=0.03)


def test_what_rolls_and_slides_slows_down_as_its_ground_says() -> None:
    scenes = moving(("roll", "slide"), 48, max_objects=1)
    grounds = set()
    for row in range(48):
        fit = laws.slowing(scenes.position[row, :, 0], SEEN)
        if fit is not None:
            assert fit.acceleration == pytest.approx(drag(scenes, row, 0), abs=0.02)
            grounds.add(int(scenes.ground[row]))
    assert grounds == set(range(len(GROUNDS)))
    still = torch.zeros(33, 3)
    assert laws.slowing(still, SEEN) is None and laws.flights(still[:, 1], SEEN) == []


def test_things_part_with_half_of_their_speed_by_their_masses() -> None:
    scenes = moving(("collide",), 32, min_objects=2, max_objects=2)
    found = []
    for row in range(32):
        touches = scenes.touched[row].nonzero()
        if not len(touches):
            continue
        hit = laws.collision(
            scenes.position[row, :, 0],
            scenes.position[row, :, 1],
            SEEN,
            int(touches[0, 0]),
            [RADII[int(size)] ** 3 for size in scenes.size[row]],
            [drag(scenes, row, slot) for slot in range(2)],
        )
        if hit is not None:
            found.append(hit)
    assert len(found) >= 16
    assert median(hit.missed / hit.closing for hit in found) < 0.02
    through = torch.stack([torch.arange(33) * 0.1, torch.zeros(33), torch.zeros(33)], -1)
    wall = torch.tensor([1.65, 0.0, 0.0]).expand(33, 3)
    ghost = laws.collision(through, wall, SEEN, 16, [1.0, 1.0], [0.0, 0.0])
    assert ghost is not None and ghost.missed == pytest.approx(0.75 * ghost.closing, rel=1e-4)


def test_a_flight_that_is_not_seen_throughout_is_cut() -> None:
    height = torch.linspace(1.0, 2.0, 33)
    seen = SEEN.clone()
    seen[10:12] = False
    height[0] = 0.0
    assert [(run.start, run.stop) for run in laws.runs(seen)] == [(0, 10), (12, 33)]
    assert [(f.start, f.stop) for f in laws.flights(height, seen)][-1] == (12, 33)
