"""The stage as training sees it: windows and averages of stored clips, the same after a stop."""

import logging
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.data.ledger.content import content_sha256
from kinetoscope.data.ledger.rows import RENDERED, read_ledger
from kinetoscope.data.ledger.struck_out import strike_out
from kinetoscope.data.worlds.stage.clips import HELD_OUT_SEED, stage_batch
from kinetoscope.data.worlds.stage.scene import StageConfig
from kinetoscope.data.worlds.stage.store import kinds, stage_store
from kinetoscope.tokenizer.training.stage_data_module import StageDataModule, averaged, window

WORLD = StageConfig(styles=("shaded",), weathers=("clear",))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def module(folder: Path, **settings: Any) -> StageDataModule:
    small = {"batch_size": 3, "frames": 2, "size": 16, "render_frames": 3, "render_size": 32}
    data = StageDataModule(
        str(folder),
        **{**small, "first_clips": 8, "new_per_batch": 0.0, "world": WORLD, **settings},
    )
    data.setup()
    return data


def first(loader: Any, count: int) -> list[dict[str, Any]]:
    return list(islice(loader, count))


def test_batches_are_windows_and_averages_and_go_on_after_a_stop(clips: Path) -> None:
    batches = first(module(clips).train_dataloader(), 3)
    for batch in batches:
        assert batch["video"].shape == (3, 3, 2, 16, 16) and batch["video"].dtype == torch.uint8
        assert batch["foreground"].shape == (3, 1, 2, 16, 16)
    resumed = module(clips)
    resumed.load_state_dict({"batches_done": 2})
    assert torch.equal(first(resumed.train_dataloader(), 1)[0]["video"], batches[2]["video"])


def test_without_crops_a_clip_is_the_averaged_picture_mirrored_or_not(clips: Path) -> None:
    data = module(clips, crops=0.0, frames=3)
    whole = averaged(stage_batch(range(8), 3, 32, WORLD)["video"].flatten(0, 1), 2)
    whole = whole.unflatten(0, (8, 3))
    for clip in first(data.train_dataloader(), 1)[0]["video"]:
        assert any(torch.equal(clip, one) or torch.equal(clip.flip(-1), one) for one in whole)


def test_the_store_grows_with_the_steps_up_to_its_size(clips: Path, tmp_path: Path) -> None:
    data = module(tmp_path, clips=16, new_per_batch=8.0)
    first(data.train_dataloader(), 4)
    assert len(list(tmp_path.glob("*/*.safetensors"))) == 2


def test_validation_has_scenes_of_its_own_by_kind(clips: Path) -> None:
    world = StageConfig(styles=("shaded", "pencil"), weathers=("clear", "fog"))
    data = module(clips, world=world, validation=4)
    batches = list(data.val_dataloader())
    assert [batch["kind"] for batch in batches] == [
        kind for kind in ("shaded", "pencil", "fog") for _ in range(2)
    ]
    assert [len(batch["video"]) for batch in batches[:2]] == [3, 1]
    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + 3)
    wanted = stage_batch(seeds, 3, 16, kinds(world)["shaded"])["video"]
    assert torch.equal(batches[0]["video"], wanted)
    larger = module(clips, world=world, validation=2, validation_size=32).val_dataloader()
    assert next(iter(larger))["video"].shape[-2:] == (32, 32)


def test_real_clips_that_are_absent_are_reported(
    clips: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        data = module(clips, real_root=str(clips / "absent"), real_per_batch=1)
    assert "absent is not a folder" in caplog.text
    assert len(first(data.train_dataloader(), 1)[0]["video"]) == 3


def test_the_ledger_names_renders_and_real_videos_but_for_those_struck_out(
    clips: Path, tmp_path: Path, write_clip: Any
) -> None:
    films = tmp_path / "films"
    for shift in range(2):
        write_clip(films / f"{shift}.mp4", shift)
    gone = content_sha256(films / "1.mp4")
    strike_out(films, [gone], "asked for")
    data = module(clips, real_root=str(films), real_per_batch=1, real_pool=2, clips=12)
    data.save_training_data(tmp_path, None)
    rendered, kept, struck = read_ledger(tmp_path / "training_data.csv")
    assert (rendered.source, rendered.clips) == (RENDERED, 12)
    assert (kept.sha256, kept.clips) == (content_sha256(films / "0.mp4"), 1)
    assert (struck.sha256, struck.clips, bool(struck.struck_out)) == (gone, 0, True)


def test_the_window_with_the_most_foreground_is_taken() -> None:
    mask = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    mask[..., 20:40, 20:40] = True
    video = torch.arange(64 * 64).view(1, 1, 64, 64).expand(3, 1, -1, -1)
    generator = torch.Generator().manual_seed(0)
    shares = [float(window(video, mask, 24, generator)[1].float().mean()) for _ in range(90)]
    assert sum(shares) / 90 > 0.25  # of windows at random .17
    cut, _ = window(video, mask, 24, generator)
    assert (cut[0, 0, :, 1:] - cut[0, 0, :, :-1] == 1).all()


def test_keys_differ_with_the_world_and_the_size(tmp_path: Path) -> None:
    stores = [
        stage_store(tmp_path, 2, 16, WORLD),
        stage_store(tmp_path, 2, 32, WORLD),
        stage_store(tmp_path, 3, 16, WORLD),
        stage_store(tmp_path, 2, 16, StageConfig()),
        stage_store(tmp_path, 2, 16, WORLD, first_seed=1),
    ]
    assert len({store.folder for store in stores}) == 5


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": 24}, "multiple of the size, 24; got 32"),
        ({"frames": 4}, "1 to render_frames, 3; got 4"),
        ({"crops": 1.5}, "crops is a share"),
        ({"real_per_batch": 3}, "real_per_batch must be 0 to batch_size - 1"),
    ],
)
def test_mistakes_are_named(clips: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        module(clips, **settings)
