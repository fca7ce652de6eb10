"""A folder of videos: captions are found, clips are random but reproducible, and bad files are
named and left out."""

import logging
import pickle
from pathlib import Path

import pytest
import torch
from kinetoscope.data.datasets.folder import ClipFolder
from kinetoscope.data.video import write_video
from PIL import Image
from torch.utils.data import DataLoader


def make_video(path: Path, frames: int = 12, shade: int = 0) -> Path:
    """Red rises from left to right, green from top to bottom, blue with time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    f, y, x = torch.meshgrid(
        torch.arange(frames), torch.arange(24), torch.arange(40), indexing="ij"
    )
    write_video(path, torch.stack([x * 5 + 20, y * 8 + 20, f * 8 + shade]).to(torch.uint8), fps=10)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index, name in enumerate(["star_jump/one.mp4", "star_jump/two.mp4", "cartwheel/three.mp4"]):
        make_video(tmp_path / name, shade=40 * index)
    return tmp_path


def test_clips_have_the_shape_asked_for_and_the_folders_name(folder: Path) -> None:
    clips = ClipFolder(folder, frames=5, size=16)
    items = [clips[index] for index in range(len(clips))]
    assert {tuple(item["video"].shape) for item in items} == {(3, 5, 16, 16)}
    assert all(item["video"].dtype == torch.uint8 for item in items)
    assert [item["caption"] for item in items] == ["cartwheel", "star jump", "star jump"]
    assert ClipFolder(folder, frames=5, size=(8, 32))[0]["video"].shape == (3, 5, 8, 32)


def test_captions_come_from_a_manifest_then_text_files_then_folders(folder: Path) -> None:
    (folder / "star_jump/one.txt").write_text("a child jumps\nsomeone jumps up\n")
    clips = ClipFolder(folder, frames=2, size=8, clips_per_video=20)
    captions: dict[str, set[str]] = {
        clips.entries[index % 3].path.name: set() for index in range(3)
    }
    for index in range(len(clips)):
        captions[clips.entries[index % 3].path.name].add(clips[index]["caption"])
    assert captions == {
        "one.mp4": {"a child jumps", "someone jumps up"},
        "two.mp4": {"star jump"},
        "three.mp4": {"cartwheel"},
    }
    (folder / "manifest.csv").write_text(
        "\ufeffCaption; File ; licence\nwheels, many;cartwheel/three.mp4;MIT\n"
    )
    listed = ClipFolder(folder, frames=2, size=8)
    assert [listed[index]["caption"] for index in range(len(listed))] == ["wheels, many"]
    assert ClipFolder(folder, frames=2, size=8, captions="folder")[0]["caption"] == "cartwheel"
    assert ClipFolder(folder, frames=2, size=8, captions="none")[0]["caption"] == ""


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "name,words\na.mp4,x\n",
            "needs the columns file and caption in its first line; found name, words",
        ),
        ("", "found none"),
        ("file,caption\n", "lists no files"),
        ("file,caption\nno.mp4,x\n", "none of the 1 files .* does not exist"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_why(folder: Path, table: str, message: str) -> None:
    (folder / "manifest.csv").write_text(table)
    with pytest.raises(ValueError, match=message):
        ClipFolder(folder, frames=2, size=8)


def test_a_clip_depends_on_seed_epoch_and_index_alone(folder: Path) -> None:
    def epoch(clips: ClipFolder) -> torch.Tensor:
        return torch.stack([clips[index]["video"] for index in range(len(clips))])

    clips = ClipFolder(folder, frames=4, size=16, clips_per_video=3)
    first = epoch(clips)
    assert torch.equal(first, epoch(ClipFolder(folder, frames=4, size=16, clips_per_video=3)))
    assert not torch.equal(
        first, epoch(ClipFolder(folder, frames=4, size=16, clips_per_video=3, seed=1))
    )
    clips.set_epoch(1)
    assert not torch.equal(first, epoch(clips))
    clips.set_epoch(0)
    assert torch.equal(first, epoch(clips))


def test_a_copy_in_another_process_gives_the_same_clips(folder: Path) -> None:
    clips = ClipFolder(folder, frames=4, size=16)
    clips[0]  # an open file could not be pickled
    assert torch.equal(pickle.loads(pickle.dumps(clips))[1]["video"], clips[1]["video"])


@pytest.mark.slow
def test_spawned_workers_give_the_same_clips_and_follow_the_epoch(folder: Path) -> None:
    clips = ClipFolder(folder, frames=4, size=16, clips_per_video=2)
    workers = DataLoader(
        clips, batch_size=2, num_workers=1, multiprocessing_context="spawn", persistent_workers=True
    )
    for epoch in (0, 1):
        clips.set_epoch(epoch)
        alone = torch.stack([clips[index]["video"] for index in range(len(clips))])
        assert torch.equal(torch.cat([batch["video"] for batch in workers]), alone)


def test_random_clips_move_in_time_and_space(folder: Path) -> None:
    clips = ClipFolder(folder, frames=4, size=16, clips_per_video=20, zoom=1.5)
    means = torch.stack(
        [clips[index]["video"].float().mean(dim=(1, 2, 3)) for index in range(0, len(clips), 3)]
    )
    assert (means.std(dim=0) > 3).all()  # left-right, top-bottom, early-late


def test_fixed_clips_are_the_middle_of_each_video(folder: Path) -> None:
    clips = ClipFolder(folder, frames=4, size=24, clips_per_video=5).fixed()
    assert len(clips) == 3
    video = clips[0]["video"].float()
    assert video[0].mean() == pytest.approx(20 + 5 * 19.5, abs=6)
    assert video[2].mean(dim=(1, 2)).tolist() == pytest.approx(
        [80 + 8 * f for f in (4, 5, 6, 7)], abs=6
    )
    assert torch.equal(clips[0]["video"], clips[0]["video"])


def mirrored(clips: ClipFolder) -> int:
    """How many clips have their bright side on the left."""
    videos = (clips[index]["video"][0].float() for index in range(len(clips)))
    return sum(bool(video[..., 0].mean() > video[..., -1].mean()) for video in videos)


def test_clips_are_mirrored_only_where_no_word_belies_it(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4")
    assert mirrored(ClipFolder(tmp_path, 2, 16, clips_per_video=20)) == 0
    assert 3 < mirrored(ClipFolder(tmp_path, 2, 16, clips_per_video=20, captions="none")) < 17
    assert 3 < mirrored(ClipFolder(tmp_path, 2, 16, clips_per_video=20, flip=True)) < 17
    (tmp_path / "a.txt").write_text("A ball rolls leftward")
    assert mirrored(ClipFolder(tmp_path, 2, 16, clips_per_video=20, flip=True)) == 0


def test_bad_files_are_named_once_counted_and_left_out(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "empty.mp4").touch()
    (folder / "letter.mp4").write_text("not a video" * 99)
    make_video(folder / "short.mp4", frames=3)
    (folder / "notes.txt").write_text("no video by its name, so nobody misses it")
    with caplog.at_level(logging.WARNING):
        clips = ClipFolder(folder, frames=5, size=8)
    assert len(clips) == 3
    assert {path.name for path in clips.skipped} == {"empty.mp4", "letter.mp4", "short.mp4"}
    for name in ("empty.mp4", "letter.mp4", "short.mp4"):
        assert caplog.text.count(name) == 1
    assert "skipped 3 of 6 files" in caplog.text
    assert "has 3 frames and a clip needs 5" in caplog.text


def test_short_videos_can_hold_their_last_frame(tmp_path: Path) -> None:
    make_video(tmp_path / "short.mp4", frames=3)
    video = ClipFolder(tmp_path, frames=5, size=8, short="repeat")[0]["video"]
    assert video.shape == (3, 5, 8, 8)
    assert torch.equal(video[:, 2], video[:, 4])
    assert not torch.equal(video[:, 0], video[:, 2])


def test_a_file_that_breaks_off_is_replaced_while_reading(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = make_video(folder / "cut.mp4", frames=60)
    data = good.read_bytes()
    good.write_bytes(data[: len(data) * 2 // 3])  # the index in front promises all the frames
    clips = ClipFolder(folder, frames=5, size=8, clips_per_video=10)
    assert len(clips) == 40
    with caplog.at_level(logging.WARNING):
        videos = [clips[index]["video"] for index in range(len(clips))]
    assert {tuple(video.shape) for video in videos} == {(3, 5, 8, 8)}
    assert clips.unreadable == 1
    assert caplog.text.count("cut.mp4") == 1


def test_images_are_used_for_clips_of_one_frame(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), (200, 0, 0)).save(tmp_path / "a.png")
    make_video(tmp_path / "b.mp4")
    assert len(ClipFolder(tmp_path, frames=1, size=8)) == 2
    assert len(ClipFolder(tmp_path, frames=2, size=8)) == 1


def test_clips_at_another_rate_last_as_long_as_asked(folder: Path) -> None:
    slow = ClipFolder(folder, frames=4, size=24, fps=5, captions="none", flip=False).fixed()[0][
        "video"
    ]
    blue = slow[2].float().mean(dim=(1, 2))
    # two frames of the file at each step
    assert blue.diff().tolist() == pytest.approx([16, 16, 16], abs=4)


def test_folders_and_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a folder"):
        ClipFolder(tmp_path / "no", frames=2, size=8)
    with pytest.raises(ValueError, match="holds no videos"):
        ClipFolder(tmp_path, frames=2, size=8)
    (tmp_path / "broken.mp4").write_text("x")
    with pytest.raises(ValueError, match="none of the 1 files"):
        ClipFolder(tmp_path, frames=2, size=8)
    for options, message in [
        ({"frames": 0}, "frames must be at least 1; got 0"),
        ({"size": 0}, "size must be at least 1"),
        ({"fps": 0.0}, "fps must be above 0"),
        ({"stride": 2, "fps": 5.0}, "either fps or stride"),
        ({"captions": "guess"}, "captions must be one of"),
        ({"captions": "manifest"}, "manifest.csv' does not exist"),
        ({"captions": "sidecar"}, "has no text file of the same name"),
    ]:
        with pytest.raises(ValueError, match=message):
            ClipFolder(tmp_path, **{"frames": 2, "size": 8, **options})  # type: ignore
