"""The judge reads held-out renders, also spoiled ones, and is not fooled by stains and flashes."""

import sys
from dataclasses import replace

import pytest
import torch
from kinetoscope.data.worlds.physics.captions import Attributes, attributes
from kinetoscope.data.worlds.physics.clips import HELD_OUT_SEED
from kinetoscope.data.worlds.physics.judge import fit as judge_fit
from kinetoscope.data.worlds.physics.judge.fit import spoil
from kinetoscope.data.worlds.physics.judge.judge import Judge, Reading, agreement, calibrate, score
from kinetoscope.data.worlds.physics.judge.network import JudgeConfig
from kinetoscope.data.worlds.physics.judge.tracks import camera_of, pose_of, smooth_pose, to_floor
from kinetoscope.data.worlds.physics.render import render
from kinetoscope.data.worlds.physics.scene import (
    CAMERAS,
    COLOURS,
    MOTIONS,
    PhysicsConfig,
    Scenes,
    camera_path,
    sample_scenes,
)
from torch import Tensor

FRAMES = 17


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.from_pretrained()


@pytest.fixture(scope="module")
def clips() -> tuple[Scenes, Tensor]:
    scenes = sample_scenes(range(HELD_OUT_SEED + 70_000, HELD_OUT_SEED + 70_008), FRAMES)
    return scenes, render(scenes, samples=2)[0]


@pytest.mark.parametrize("spoiled", [False, True])
def test_reads_held_out_clips(judge: Judge, clips: tuple[Scenes, Tensor], spoiled: bool) -> None:
    scenes, video = clips
    if spoiled:
        video = spoil(video, torch.Generator().manual_seed(0))
    table = calibrate(judge, [{"video": video, "attributes": attributes(scenes)}])
    assert (
        min(table[name] for name in ("colour", "shape", "motion", "count", "camera", "time"))
        >= 0.85
    ), table
    assert table["colour"] == table["count"] == table["time"] == 1.0, table


def test_what_rolls_past_hits_nothing(judge: Judge) -> None:
    """Objects that move sideways and stay clear of another; where they start does not say how
    they move."""
    world = PhysicsConfig(any_motions=True, collisions=0)
    scenes = sample_scenes(range(HELD_OUT_SEED + 80_000, HELD_OUT_SEED + 80_200), 33, world)
    sideways = (
        (scenes.motion == MOTIONS.index("left")) | (scenes.motion == MOTIONS.index("right"))
    ) & scenes.present
    rows = (sideways.any(1) & (scenes.count == 2) & ~scenes.contact.flatten(1).any(1)).nonzero()[
        :16, 0
    ]
    clear = scenes[rows]
    table = calibrate(
        judge, [{"video": render(clear, samples=1)[0], "attributes": attributes(clear)}]
    )
    assert len(clear) == 16 and table["motion"] >= 0.9 and table["collision"] >= 0.9, table


def test_objects_come_from_left_to_right(judge: Judge, clips: tuple[Scenes, Tensor]) -> None:
    scenes, video = clips
    still = (scenes.camera <= 2).nonzero()[:, 0]  # an orbit starts from the side
    for row, reading in zip(still.tolist(), judge.read(video[still])):
        assert [thing[0] for thing in reading.objects] == scenes.colour[row][
            : scenes.count[row]
        ].tolist()


def test_a_clip_reads_the_same_alone_and_in_a_batch(
    judge: Judge, clips: tuple[Scenes, Tensor]
) -> None:
    video = clips[1][:3]
    together = judge.read(video)
    for row in range(3):
        alone = judge.read(video[row : row + 1])[0]
        assert (alone.objects, alone.camera, alone.time, alone.collides) == (
            together[row].objects,
            together[row].camera,
            together[row].time,
            together[row].collides,
        )


def test_other_sizes_are_read(judge: Judge, clips: tuple[Scenes, Tensor]) -> None:
    scenes = clips[0][:1]
    nine = replace(
        scenes, position=scenes.position[:, :9], eye=scenes.eye[:, :9], view=scenes.view[:, :9]
    )
    video = render(nine, size=96, samples=1)[0]
    assert [thing[:2] for thing in judge.read(video)[0].objects] == list(
        zip(scenes.colour[0].tolist(), scenes.shape[0].tolist())
    )[: scenes.count[0]]


def test_a_stain_and_a_flash_are_no_objects(judge: Judge) -> None:
    scenes = sample_scenes([HELD_OUT_SEED], 9)
    floor = replace(
        scenes, count=torch.zeros(1, dtype=torch.long), camera=torch.zeros(1, dtype=torch.long)
    )
    video = render(floor, samples=1)[0]
    assert judge.read(video)[0].objects == ()
    red = torch.tensor([200, 40, 40], dtype=torch.uint8).view(1, 3, 1, 1, 1)
    stained = video.clone()
    flashed = video.clone()
    stained[..., 40:44, 30:34] = red
    flashed[:, :, 4:5, 28:44, 24:40] = red
    assert judge.read(stained)[0].objects == ()
    assert judge.read(flashed)[0].objects == ()
    assert judge.presence(flashed)[0, :, COLOURS.index("red")].gt(100).tolist() == [
        f == 4 for f in range(9)
    ]


@pytest.mark.parametrize("frames", [9, 33])
def test_every_camera_move_is_told_from_its_path(frames: int) -> None:
    config = PhysicsConfig()
    camera = torch.arange(len(CAMERAS))
    scenes = sample_scenes([0] * len(CAMERAS), frames, config)
    eye, view = camera_path(camera, frames, config)
    pose = pose_of(replace(scenes, eye=eye, view=view))
    smooth, gain = smooth_pose(pose)
    assert camera_of(gain).tolist() == camera.tolist()
    torch.testing.assert_close(smooth, pose, atol=1e-4, rtol=0)


def test_to_floor_inverts_the_camera() -> None:
    scenes = sample_scenes(range(20), 5)
    foot = torch.cat(
        [scenes.position[:, :, 0, :1], torch.zeros(20, 5, 1), scenes.position[:, :, 0, 2:]], -1
    )
    ray = foot - scenes.eye
    yaw, pitch = scenes.view.unbind(-1)
    x = yaw.cos() * ray[..., 0] - yaw.sin() * ray[..., 2]
    ahead = yaw.sin() * ray[..., 0] + yaw.cos() * ray[..., 2]
    depth = pitch.cos() * ahead + pitch.sin() * ray[..., 1]
    up = pitch.cos() * ray[..., 1] - pitch.sin() * ahead
    floor_x, floor_z, _ = to_floor(x / depth, up / depth, pose_of(scenes))
    torch.testing.assert_close(
        torch.stack([floor_x, floor_z], -1), foot[..., [0, 2]], atol=1e-3, rtol=1e-3
    )


def test_agreement_names_what_is_wrong() -> None:
    truth = Attributes(((0, 1, 0, 2), (3, 0, 1, 0)), camera=1, time=2, collides=True)
    reading = Reading(((0, 1, 2), (3, 0, 0)), 1, 2, True, (50.0, 50.0), (0.0, 0.0, 0.0))
    assert all(all(values) for values in agreement(reading, truth).values())
    swapped = agreement(replace(reading, objects=((0, 0, 2), (3, 1, 0))), truth)
    assert (swapped["colour"], swapped["shape"]) == ([True, True], [False, False])
    assert not swapped["objects"][0] and not swapped["all"][0] and swapped["camera"][0]
    missing = agreement(replace(reading, objects=((0, 1, 2),)), truth)
    assert missing["colour"] == missing["shape"] == missing["motion"] == [True, False]
    extra = agreement(replace(reading, objects=(*reading.objects, (5, 1, 0))), truth)
    assert extra["objects"] == [True] and extra["count"] == extra["all"] == [False]
    table = score([reading, replace(reading, camera=0)], [truth, truth])
    assert (table["camera"], table["all"], table["time"]) == (0.5, 0.5, 1.0)


def test_mistakes_are_named(judge: Judge, tmp_path: object) -> None:
    with pytest.raises(ValueError, match=r"uint8 clips.*float32"):
        judge.read(torch.zeros(1, 3, 9, 64, 64))
    with pytest.raises(ValueError, match="at least 9 frames; got 8"):
        judge.read(torch.zeros(1, 3, 8, 64, 64, dtype=torch.uint8))
    with pytest.raises(ValueError, match="holds no judge"):
        Judge.from_pretrained(str(tmp_path))
    with pytest.raises(ValueError, match="got 0 and 0"):
        score([], [])


def test_spoil_touches_about_half_of_the_clips() -> None:
    video = torch.randint(60, 200, (40, 3, 5, 64, 64), dtype=torch.uint8)
    spoiled = spoil(video, torch.Generator().manual_seed(0))
    same = (spoiled == video).flatten(1).all(1).sum()
    assert spoiled.dtype == torch.uint8 and spoiled.shape == video.shape
    assert 10 < same < 30
    assert (spoiled.float() - video.float()).abs().flatten(1).mean(1).max() < 60


def test_the_recipe_writes_an_oracle(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    few = [
        "--frame-clips=4",
        "--frame-steps=2",
        "--track-clips=3",
        "--track-steps=2",
        "--check-clips=1",
        "--eager",
    ]
    monkeypatch.setattr(sys, "argv", ["judge_fit", f"--out={tmp_path}", *few])
    judge_fit.main()
    judge = Judge.from_pretrained(str(tmp_path))
    assert judge.config == JudgeConfig()
    assert len(judge.read(torch.zeros(2, 3, 9, 64, 64, dtype=torch.uint8))) == 2
    monkeypatch.setattr(
        sys, "argv", ["judge_fit", f"--out={tmp_path}/again", f"--frames={tmp_path}", *few]
    )
    judge_fit.main()
    again = Judge.from_pretrained(f"{tmp_path}/again")
    same = [
        torch.equal(a, b) for a, b in zip(judge.state_dict().values(), again.state_dict().values())
    ]
    assert all(same[: len(judge.frame.state_dict())]) and not all(same)
