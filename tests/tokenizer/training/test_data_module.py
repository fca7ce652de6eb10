"""What training gets to see: rendered and real clips in a batch, folders split once, no scene
twice after a stop."""

import logging
from itertools import islice
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from kinetoscope.data.datasets.clip_pool import ClipPool
from kinetoscope.data.datasets.folder import ClipFolder
from kinetoscope.data.datasets.held_out import split_by_source
from kinetoscope.data.video.write import write_video
from kinetoscope.data.worlds.physics.clips import HELD_OUT_SEED, physics_batch
from kinetoscope.tokenizer.training.data_module import FolderDataModule, PhysicsDataModule
from torch import Tensor
from torch.utils.data import DataLoader

TINY: dict[str, Any] = {"batch_size": 3, "frames": 2, "size": 8}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five videos of 12 frames, each with its own grey and a ramp of columns, brighter with
    time."""
    root = tmp_path_factory.mktemp("videos")
    for index in range(5):
        grey = 40 * index + torch.arange(12).view(12, 1, 1) + torch.arange(0, 32, 2)
        write_video(root / f"{index}.mp4", grey.expand(3, 12, 16, 16).to(torch.uint8), fps=8, crf=0)
    return root


def first(loader: Any, count: int = 1) -> list[dict[str, Any]]:
    return list(islice(loader, count))


def test_rendered_batches_are_the_world_and_go_on_after_a_stop() -> None:
    data = PhysicsDataModule(**TINY, seed=7)
    data.setup()
    batches = first(data.train_dataloader(), 3)
    assert torch.equal(batches[1]["video"], physics_batch(range(10, 13), 2, 8)["video"])
    assert batches[0]["foreground"].shape == (3, 1, 2, 8, 8) and len(batches[0]["caption"]) == 3
    resumed = PhysicsDataModule(**TINY, seed=7)
    resumed.load_state_dict({"batches_done": 2})
    assert torch.equal(first(resumed.train_dataloader())[0]["video"], batches[2]["video"])


def test_validation_has_its_own_scenes_and_they_stay_the_same() -> None:
    data = PhysicsDataModule(**TINY)
    loader = data.val_dataloader()
    assert len(list(loader)) == 8
    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + 3)
    assert torch.equal(first(loader)[0]["video"], physics_batch(seeds, 2, 8)["video"])


def test_real_clips_are_mixed_in_and_go_on_after_a_stop(folder: Path) -> None:
    def module() -> PhysicsDataModule:
        data = PhysicsDataModule(**TINY, real_root=str(folder), real_per_batch=2, real_pool=7)
        data.setup()
        return data

    batches = first(module().train_dataloader(), 4)
    for batch in batches:
        assert batch["video"].shape == (3, 3, 2, 8, 8) and batch["video"].dtype == torch.uint8
        assert batch["caption"][1:] == ["", ""] and batch["caption"][0]
        assert not batch["foreground"][1:].any()
        greys = batch["video"][1:].float()
        assert (greys[:, 0] - greys[:, 1]).abs().mean() < 6  # the real ones are grey
    resumed = module()
    resumed.load_state_dict({"batches_done": 3})
    assert torch.equal(first(resumed.train_dataloader())[0]["video"], batches[3]["video"])


def test_a_missing_real_folder_is_reported_and_left_out(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    data = PhysicsDataModule(**TINY, real_root=str(tmp_path / "absent"))
    with caplog.at_level(logging.WARNING):
        data.setup()
    assert "absent is not a folder" in caplog.text
    assert all(first(data.train_dataloader())[0]["caption"])


def test_held_out_videos_validate_and_never_train(folder: Path) -> None:
    real: dict[str, Any] = {
        "real_root": str(folder),
        "real_held_out": ["[12].mp4", "4*"],
        "real_validation": 5,
    }
    data = PhysicsDataModule(**TINY, **real, real_pool=20)
    data.setup()
    batches = list(data.val_dataloader())
    assert [batch["kind"] for batch in batches] == ["rendered"] * 8 + ["real"] * 2
    assert [len(batch["video"]) for batch in batches[8:]] == [3, 2]
    assert greys(batches[8:]) == {1, 2, 4}
    trained = [{"video": batch["video"][1:]} for batch in first(data.train_dataloader(), 20)]
    assert greys(trained) == {0, 3}
    again = PhysicsDataModule(
        **TINY, real_root=str(folder), real_held_out=["[12].mp4", "4*"], real_validation=5, seed=9
    )
    again.setup()
    assert torch.equal(list(again.val_dataloader())[8]["video"], batches[8]["video"])


def test_sources_come_from_the_manifest(folder: Path, tmp_path: Path) -> None:
    for video in folder.glob("*.mp4"):
        (tmp_path / video.name).hardlink_to(video)
    rows = [
        f"{index}.mp4,{'near' if index % 2 else 'far'}/lake {index},a lake" for index in range(4)
    ]
    (tmp_path / "manifest.csv").write_text("\n".join(["file,source,caption", *rows]))
    clips = ClipFolder(tmp_path, 2, 8, captions="none")
    assert split_by_source(clips, ["near/*"]) == ([0, 2, 4], [1, 3])
    # the last is in no row
    assert split_by_source(clips, ["far/lake 2", "4.mp4"]) == ([0, 1, 3], [2, 4])
    assert split_by_source(clips, []) == ([0, 1, 2, 3, 4], [])
    with pytest.raises(ValueError, match=r"has a source like 'naer/\*' \(one is 'far/lake 0'\)"):
        split_by_source(clips, ["naer/*"])
    with pytest.raises(ValueError, match=r"all 5 videos in .* would be held out"):
        split_by_source(clips, ["*"])


def test_held_out_videos_need_a_folder() -> None:
    with pytest.raises(ValueError, match="set real_root"):
        PhysicsDataModule(real_held_out=["a*"])
    with pytest.raises(ValueError, match="real_jitter must be from 0 to 1; got 2"):
        PhysicsDataModule(real_jitter=2)


@pytest.mark.parametrize("real_per_batch", [-1, 3])
def test_a_batch_of_real_clips_alone_is_refused(real_per_batch: int) -> None:
    with pytest.raises(ValueError, match=f"0 to batch_size - 1; got {real_per_batch} of 3"):
        PhysicsDataModule(**TINY, real_root=".", real_per_batch=real_per_batch)


def test_a_pool_draws_all_its_clips_and_mirrors_half(folder: Path) -> None:
    pool = ClipPool(ClipFolder(folder, 2, 8, captions="none", flip=False), 12)
    assert pool.video.shape == (12, 3, 2, 8, 8)
    drawn = pool.draw(200, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, pool.draw(200, torch.Generator().manual_seed(0)))
    slope = drawn[..., -1].float().mean((1, 2, 3)) - drawn[..., 0].float().mean((1, 2, 3))
    assert 60 < (slope < 0).sum() < 140
    assert len(drawn.flatten(1).unique(dim=0)) > 12
    with pytest.raises(ValueError, match="count must be at least 1; got 0"):
        ClipPool(ClipFolder(folder, 2, 8), 0)


def test_long_videos_give_more_clips_than_short_ones(tmp_path: Path) -> None:
    for index, (frames, side) in enumerate([(4, 8), (12, 8), (6, 16)]):
        grey = torch.full((3, frames, side, side), 40 * index + 20, dtype=torch.uint8)
        write_video(tmp_path / f"{index}.mp4", grey, fps=8, crf=0)
    pool = ClipPool(ClipFolder(tmp_path, 4, 8, captions="none"), 10)
    seen = [int((float(clip.float().mean()) - 20) / 40 + 0.5) for clip in pool.video]
    # of 4 frames of 8 x 8 the videos hold 1, 3 and 6; then all have had their turn
    assert [seen.count(index) for index in (0, 1, 2)] == [1, 3, 6]
    assert set(seen[:3]) == {0, 1, 2}


def test_jitter_changes_colours_and_nothing_else(folder: Path) -> None:
    pool = ClipPool(ClipFolder(folder, 2, 8, captions="none", flip=False), 12)
    plain = pool.draw(50, torch.Generator().manual_seed(0)).float()
    jittered = pool.draw(50, torch.Generator().manual_seed(0), jitter=0.2)
    assert jittered.dtype == torch.uint8
    assert torch.equal(jittered, pool.draw(50, torch.Generator().manual_seed(0), jitter=0.2))
    change = (jittered.float() - plain).mean((2, 3, 4))
    assert change.abs().max() > 10 and change.abs().max() < 0.5 * 255
    assert (change.amax(1) - change.amin(1)).max() > 3  # the grey videos got a tint
    order = plain[:, :, 0, 4].diff(dim=-1).sign() * jittered[:, :, 0, 4].float().diff(dim=-1)
    assert (order >= 0).all()  # brighter columns stay brighter


def greys(batches: Any) -> set[int]:
    """Which of the five videos were seen."""
    return {
        int((float(clip.float().mean()) - 20) / 40 + 0.5)
        for batch in batches
        for clip in batch["video"]
    }


def test_a_folder_is_split_once(folder: Path) -> None:
    data = FolderDataModule(str(folder), **TINY, validation=0.4)
    data.setup()
    train = greys(data.train_dataloader())
    validation = greys(data.val_dataloader())
    assert len(train) == 3 and len(validation) == 2 and not train & validation
    assert first(data.val_dataloader())[0]["video"].shape == (2, 3, 2, 8, 8)


def test_a_folder_goes_on_in_the_middle_of_an_epoch(folder: Path) -> None:
    def loader(done: int) -> DataLoader[Any]:
        data = FolderDataModule(str(folder), **TINY | {"batch_size": 1}, validation=0.0)
        data.setup()
        data.load_state_dict({"batches_done": done})
        return data.train_dataloader()

    whole = list(loader(0))
    goes_on = loader(2)
    rest = list(goes_on)
    assert len(rest) == len(whole) - 2 > 0
    for batch, same in zip(rest, whole[2:]):
        assert torch.equal(batch["video"], same["video"])
    assert len(list(goes_on)) == len(whole)  # the epoch after it is whole
    assert len(list(loader(len(whole)))) == len(whole)  # stopped between two epochs


def test_without_validation_every_video_is_trained_on(folder: Path) -> None:
    data = FolderDataModule(str(folder), **TINY, validation=0.0)
    data.setup()
    assert len(greys(data.train_dataloader())) == 5 and list(data.val_dataloader()) == []


class Watcher(pl.LightningModule):
    """Trains nothing and remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.epochs: dict[int, list[Tensor]] = {}

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        self.epochs.setdefault(self.current_epoch, []).append(batch["video"])
        return self.weight * 0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def test_every_epoch_shows_other_clips_of_the_same_videos(folder: Path, tmp_path: Path) -> None:
    def epochs(count: int) -> dict[int, list[Tensor]]:
        watcher = Watcher()
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        trainer = pl.Trainer(
            max_epochs=count, accelerator="cpu", enable_model_summary=False, **quiet
        )
        trainer.fit(watcher, FolderDataModule(str(folder), **TINY))
        return watcher.epochs

    seen = {epoch: torch.cat(clips) for epoch, clips in epochs(2).items()}
    assert len(seen[0]) == len(seen[1]) == 4
    as_sets = [set(map(bytes, (clip.numpy() for clip in seen[epoch]))) for epoch in (0, 1)]
    assert as_sets[0] != as_sets[1]
    assert torch.equal(torch.cat(epochs(1)[0]), seen[0])


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1; got 0"):
        FolderDataModule(".", batch_size=0)
