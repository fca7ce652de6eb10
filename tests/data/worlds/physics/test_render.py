"""Pictures of the physics world show what its state says."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from kinetoscope.data.worlds.physics.render import ALBEDO, FIELD_OF_VIEW, render
from kinetoscope.data.worlds.physics.scene import (
    COLOURS,
    SHAPES,
    TIMES,
    PhysicsConfig,
    Scenes,
    sample_scenes,
)
from torch import Tensor

LONE = PhysicsConfig(max_objects=1)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def by_day(scenes: Scenes) -> Scenes:
    return replace(scenes, time=torch.zeros_like(scenes.time))


def pixel_of(point: Tensor, scenes: Scenes, size: int) -> tuple[int, int]:
    """Row and column of a point as the camera of the first clip sees it in its first frame."""
    (x, y, z) = (point - scenes.eye[0, 0]).tolist()
    (yaw, pitch) = scenes.view[0, 0]
    x, z = float(yaw.cos() * x - yaw.sin() * z), float(yaw.sin() * x + yaw.cos() * z)
    y, z = float(pitch.cos() * y - pitch.sin() * z), float(pitch.sin() * y + pitch.cos() * z)
    return int((1 - y / z / FIELD_OF_VIEW) * size / 2), int((1 + x / z / FIELD_OF_VIEW) * size / 2)


def test_the_same_scene_gives_the_same_picture_in_any_batch() -> None:
    scenes = sample_scenes(range(5), 3)
    video, slots = render(scenes, 16)
    again, _ = render(scenes, 16)
    assert torch.equal(video, again)
    alone, alone_slots = render(scenes[3:4], 16)
    assert (video[3:4].int() - alone.int()).abs().max() <= 1
    assert (slots[3:4] == alone_slots).float().mean() > 0.999


@pytest.mark.parametrize("size", [1, 20, (7, 13), (33, 8)])
def test_any_size_will_do(size: int | tuple[int, int]) -> None:
    video, slots = render(sample_scenes(range(2), 3), size)
    height, width = (size, size) if isinstance(size, int) else size
    assert video.shape == (2, 3, 3, height, width) and video.dtype == torch.uint8
    assert slots.shape == (2, 3, height, width) and slots.dtype == torch.uint8


def test_a_wider_picture_shows_more_on_both_sides() -> None:
    scenes = sample_scenes(range(2), 2)
    square, _ = render(scenes, 16)
    wide, _ = render(scenes, (16, 32))
    assert (wide[..., 8:24].int() - square.int()).abs().max() <= 1


def test_a_larger_picture_is_the_same_picture() -> None:
    scenes = sample_scenes(range(4), 1)
    small, large = (
        render(scenes, size, samples=64 // size)[0][:, :, 0].float() for size in (16, 64)
    )
    assert (F.avg_pool2d(large, 4) - small).abs().mean() < 4


@pytest.mark.parametrize("seed", range(6))
def test_a_lone_object_is_where_its_state_says(seed: int) -> None:
    scenes = sample_scenes([seed], 1, LONE)
    _, slots = render(scenes, 64)
    shown = slots[0, 0] == 1
    assert set(slots.unique().tolist()) == {0, 1}
    centre = scenes.position[0, 0, 0]
    row, column = pixel_of(centre, scenes, 64)
    assert shown[row, column]
    top, foot = (
        pixel_of(centre + torch.tensor([0.0, sign * float(scenes.radius[0, 0]), 0.0]), scenes, 64)[
            0
        ]
        for sign in (1, -1)
    )
    rows = shown.any(1).nonzero()[:, 0].tolist()
    near = 3 + (foot - top) // 5  # what is nearer than the axis seems larger
    assert abs(rows[0] - top) <= near and abs(rows[-1] - foot) <= near


@pytest.mark.parametrize("colour", range(len(COLOURS)), ids=COLOURS)
def test_an_object_has_the_hue_of_its_colour(colour: int) -> None:
    scenes = by_day(sample_scenes(range(12), 1, LONE))
    scenes = replace(scenes, colour=torch.full_like(scenes.colour, colour))
    video, slots = render(scenes, 24)
    light = (video[:, :, 0].float() / 255).square()  # back to linear light
    albedo = F.normalize(torch.tensor(ALBEDO), dim=1)
    for picture, shown in zip(light, slots[:, 0] == 1):
        seen = F.normalize(picture[:, shown].median(dim=1).values, dim=0)
        assert COLOURS[int((albedo @ seen).argmax())] == COLOURS[colour]


def test_shapes_look_different() -> None:
    scenes = sample_scenes([0], 1, LONE)
    masks = [
        render(replace(scenes, shape=torch.full((1, 1), k)), 48)[1] for k in range(len(SHAPES))
    ]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert (masks[a] != masks[b]).sum() > 0.03 * masks[a].sum()


def test_evening_and_night_are_darker_than_day() -> None:
    scenes = sample_scenes(range(4), 1)
    day, evening, night = (
        render(replace(scenes, time=torch.full_like(scenes.time, k)), 16)[0]
        .float()
        .mean((1, 2, 3, 4))
        for k in range(len(TIMES))
    )
    assert (day > evening + 10).all() and (evening > night + 10).all()


def test_the_nearer_object_hides_the_farther_and_empty_slots_are_not_drawn() -> None:
    scenes = sample_scenes(range(40), 1, PhysicsConfig(max_objects=2, moving_camera=0))
    scenes = scenes[scenes.count == 2][:1]
    place = torch.tensor([[0.0, 0.6, -1.0], [0.0, 0.6, 1.5]])
    for nearer in (0, 1):
        position = place if nearer == 0 else place.flip(0)
        stacked = replace(scenes, position=position[None, None])
        _, slots = render(stacked, 48)
        row, column = pixel_of(place[1], stacked, 48)
        assert slots[0, 0, row, column] == nearer + 1
        first_only = replace(stacked, count=torch.tensor([1]))
        assert set(render(first_only, 48)[1].unique().tolist()) == {0, 1}


@pytest.mark.parametrize(("size", "samples"), [(0, 1), ((4, 0), 1), (8, 0)])
def test_pictures_without_pixels_are_refused(size: int | tuple[int, int], samples: int) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        render(sample_scenes([0], 1), size, samples)


@pytest.mark.slow
def test_compiled_pictures_are_those_of_the_plain_caster() -> None:
    scenes = sample_scenes(range(8), 4, PhysicsConfig(max_objects=3))
    plain, plain_slots = render(scenes, 32)
    fused, fused_slots = render(scenes, 32, compiled=True)
    assert (plain.int() - fused.int()).abs().float().mean() < 0.02
    assert (plain_slots == fused_slots).float().mean() > 0.999
