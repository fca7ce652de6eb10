"""Numbered clips: a number is the same clip today and after a restart, and every setting has a
part in the key."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.data.datasets.source import (
    FolderSource,
    PhysicsSource,
    StageSource,
    split_rows,
)
from kinetoscope.data.video.write import write_video
from kinetoscope.data.worlds.physics.clips import HELD_OUT_SEED, PhysicsClips, physics_batch
from kinetoscope.data.worlds.physics.scene import PhysicsConfig
from kinetoscope.data.worlds.stage.clips import stage_batch
from kinetoscope.data.worlds.stage.scene import StageConfig

TINY: dict[str, Any] = {"count": 6, "frames": 3, "size": 8}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four videos of 9 frames, each with its own grey that brightens with time, and a caption
    for each."""
    root = tmp_path / "videos"
    for index in range(4):
        place = root / ("dark" if index < 2 else "light")
        place.mkdir(parents=True, exist_ok=True)
        greys = 60 * index + 5 * torch.arange(9)
        video = greys.view(1, 9, 1, 1).expand(3, 9, 16, 16).to(torch.uint8)
        write_video(place / f"{index}.mp4", video, fps=8, crf=0)
    return root


def test_physics_rows_do_not_depend_on_their_company() -> None:
    source = PhysicsSource(**TINY)
    everything = source.clips(range(6))
    some = source.clips(range(2, 4))
    assert len(source) == 6
    assert (everything["video"][2:4].int() - some["video"].int()).abs().max() <= 1
    assert everything["caption"][2:4] == some["caption"]
    assert some["foreground"].shape == (2, 1, 3, 8, 8)


def test_validation_never_meets_training() -> None:
    train = PhysicsSource(**TINY)
    validation = PhysicsSource(**TINY, validation=True)
    assert train.key != validation.key
    truth = physics_batch(range(HELD_OUT_SEED, HELD_OUT_SEED + 6), 3, 8)
    assert torch.equal(validation.clips(range(6))["video"], truth["video"])
    assert not torch.equal(train.clips(range(6))["video"], truth["video"])


@pytest.mark.parametrize(
    "change",
    [
        {"frames": 4},
        {"size": 16},
        {"first_seed": 6},
        {"validation": True},
        {"world": PhysicsConfig(max_objects=1)},
        {"world": PhysicsConfig(hold_out=True)},
        {"world": PhysicsConfig(fps=8)},
    ],
    ids=str,
)
def test_every_setting_of_a_world_changes_the_key(change: dict[str, Any]) -> None:
    assert PhysicsSource(**TINY | change).key != PhysicsSource(**TINY).key
    assert PhysicsSource(**TINY | change).key == PhysicsSource(**TINY | change).key


def test_clips_of_the_stage_are_those_of_its_seeds() -> None:
    one = StageConfig(max_objects=1)
    source = StageSource(6, frames=1, size=16, world=one)
    clips = source.clips(range(2, 4))
    truth = stage_batch(range(2, 4), 1, 16, one)
    assert torch.equal(clips["video"], truth["video"])
    assert clips["caption"] == truth["caption"]
    assert clips["foreground"].shape == (2, 1, 1, 16, 16)
    keys = {StageSource(6, size=16, world=world).key for world in (one, StageConfig())}
    assert len(keys | {source.key, PhysicsSource(6, size=16).key}) == 4


def test_more_clips_have_the_same_key_since_the_first_stay_what_they_are() -> None:
    assert PhysicsSource(**TINY | {"count": 9}).key == PhysicsSource(**TINY).key


def test_physics_batches_go_on_where_they_stopped() -> None:
    whole = list(PhysicsClips(3, 2, frames=2, size=8))
    resumed = list(PhysicsClips(1, 2, frames=2, size=8, start_batch=2))
    assert [len(batch["caption"]) for batch in whole] == [2, 2, 2]
    assert (
        torch.equal(whole[2]["video"], resumed[0]["video"])
        and whole[2]["caption"] == resumed[0]["caption"]
    )


def test_a_share_is_kept_for_validation() -> None:
    train, validation = split_rows(40, 0.05, seed=0)
    assert len(validation) == 2 and sorted(train + validation) == list(range(40))
    assert split_rows(40, 0.05, seed=0) == (train, validation) != split_rows(40, 0.05, seed=1)
    assert [len(split_rows(count, 0.05, 0)[1]) for count in (1, 2, 10)] == [0, 1, 1]
    assert split_rows(10, 0.0, 0)[1] == []
    with pytest.raises(ValueError, match="from 0 to below 1; got 1"):
        split_rows(10, 1.0, 0)


def test_folder_rows_are_repeatable_and_rounds_differ(folder: Path) -> None:
    source = FolderSource(str(folder), frames=3, size=8, rounds=3, held_out=0.0)
    assert len(source) == 12
    clips = source.clips(range(12))
    assert clips["video"].shape == (12, 3, 3, 8, 8) and len(clips["caption"]) == 12
    again = FolderSource(str(folder), frames=3, size=8, rounds=3, held_out=0.0).clips(range(5, 7))
    assert (
        torch.equal(again["video"], clips["video"][5:7])
        and again["caption"] == clips["caption"][5:7]
    )
    rounds = clips["video"].view(3, 4, -1)
    assert not torch.equal(rounds[0], rounds[1])  # another clip of the same videos
    assert (rounds.float().mean(2).amax(0) - rounds.float().mean(2).amin(0)).max() < 35


def test_validation_videos_are_not_trained_on(folder: Path) -> None:
    train = FolderSource(str(folder), frames=3, size=8, rounds=2, held_out=0.25)
    validation = FolderSource(
        str(folder), frames=3, size=8, rounds=2, held_out=0.25, validation=True
    )
    assert (len(train), len(validation)) == (6, 1)
    grey = validation.clips(range(1))["video"].float().mean()
    assert (train.clips(range(6))["video"].float().mean((1, 2, 3, 4)) - grey).abs().min() > 15


def test_whatever_changes_a_folder_changes_its_key(folder: Path) -> None:
    def key(**change: Any) -> str:
        return FolderSource(str(folder), **{"frames": 3, "size": 8} | change).key

    before = key()
    assert key() == before == key(rounds=7)
    settings: list[dict[str, Any]] = [
        {"frames": 4},
        {"size": 16},
        {"fps": 4.0},
        {"seed": 1},
        {"validation": True},
    ]
    keys = [before, *(key(**change) for change in settings)]
    (folder / "dark").rename(folder / "gloomy")  # the folder's name is the caption
    keys.append(key())
    os.utime(folder / "light" / "3.mp4", (1, 1))
    keys.append(key())
    (folder / "light" / "3.txt").write_text("a grey wall")
    keys.append(key())
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("make", [lambda: PhysicsSource(0), lambda: FolderSource(".", rounds=0)])
def test_nothing_to_draw_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="must be at least 1; got 0"):
        make()
