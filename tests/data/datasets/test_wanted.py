"""Training reads data sets as they lie: layouts are found, splits and filters are obeyed."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from kinetoscope.data.datasets.folder import ClipFolder
from kinetoscope.data.datasets.layouts import list_source
from kinetoscope.data.datasets.source import FolderSource
from kinetoscope.data.datasets.wanted import Wanted, filtered, marked_source
from kinetoscope.data.video import read_clip

WriteClip = Callable[..., Path]


@pytest.fixture
def ucf(tmp_path: Path, write_clip: WriteClip) -> Path:
    """Four videos of two classes with the lists of UCF-101, one of them for testing."""
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    names = [f"{label}/v_{label}_g0{n}_c01.mp4" for label in ("Archery", "YoYo") for n in (1, 2)]
    for shift, name in enumerate(names):
        write_clip(tmp_path / "UCF-101" / name, shift=20 * shift)
    (lists / "trainlist01.txt").write_text("".join(f"{name} 1\n" for name in names[1:]))
    (lists / "testlist01.txt").write_text(f"{names[0]}\n")
    return tmp_path / "UCF-101"


@pytest.fixture
def parts(tmp_path: Path, write_clip: WriteClip) -> Path:
    """One file of nine frames at 12 a second; a table makes two videos of it."""
    root = tmp_path / "parts"
    write_clip(root / "abc.mp4")
    (root / "table.csv").write_text(
        "video,start,end,caption,aesthetic score\nabc.mp4,0,0.25,one,4.5\nabc.mp4,0.25,0.75,two,6\n"
    )
    return root


def test_a_training_folder_knows_splits_and_words_of_labels(
    ucf: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kinetoscope.data")
    whole = ClipFolder(ucf, 4, 16)
    assert len(whole) == 4
    assert caplog.messages == [
        "folders of classes with the lists of UCF-101: 4 videos (--layout says otherwise)"
    ]
    wanted = Wanted(split="test", template="a video of {label}")
    test = ClipFolder(ucf, 4, 16, wanted=wanted)
    assert [test[0]["caption"], len(test)] == ["a video of archery", 1]
    with pytest.raises(ValueError, match="has no split 'validation'"):
        ClipFolder(ucf, 4, 16, wanted=Wanted(split="validation"))


def test_a_source_validates_on_another_split(ucf: Path) -> None:
    train = FolderSource(
        str(ucf), 4, 16, rounds=2, wanted=Wanted(split="train"), validation_split="test"
    )
    validation = train.for_validation()
    assert validation is not None
    assert (len(train), len(validation)) == (6, 1)
    assert validation.clips(range(1))["caption"] == ["archery"]
    assert {*train.clips(range(6))["caption"]} == {"archery", "yo yo"}
    keys = {train.key, validation.key, FolderSource(str(ucf), 4, 16, rounds=2).key}
    assert len(keys) == 3  # the kept codes of one are never taken for another's


def test_a_span_of_a_file_is_a_clip_of_its_own(parts: Path) -> None:
    clips = ClipFolder(parts, 3, (16, 24))
    whole = read_clip(parts / "abc.mp4").video
    assert [entry.captions for entry in clips.entries] == [("one",), ("two",)]
    assert torch.equal(clips.fixed()[0]["video"], whole[:, :3])
    for _ in range(3):
        clip = clips[1]["video"]
        assert any(torch.equal(clip, whole[:, first : first + 3]) for first in range(3, 7))
    longer = ClipFolder(parts, 5, (16, 24))
    assert [entry.captions for entry in longer.entries] == [("two",)]  # the first is too short


def test_a_filter_asks_headers_and_columns_of_the_table(
    parts: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kinetoscope.data")
    for text, kept in (
        ("aesthetic_score > 5", ["two"]),
        ("seconds < 0.4 and height == 16", ["one"]),
        ("'o' in caption", ["one", "two"]),
    ):
        clips = ClipFolder(parts, 1, 16, wanted=Wanted("table", filter=text))
        assert [entry.captions[0] for entry in clips.entries] == kept, text
    assert "1 of 2 videos pass aesthetic_score > 5" in caplog.messages
    with pytest.raises(ValueError, match="none of the 2 videos in"):
        ClipFolder(parts, 1, 16, wanted=Wanted("table", filter="seconds > 9"))
    with pytest.raises(ValueError, match="unknown column 'beauty'"):
        ClipFolder(parts, 1, 16, wanted=Wanted("table", filter="beauty > 9"))


def test_a_filter_leaves_what_is_broken_to_its_reader(parts: Path) -> None:
    (parts / "abc.mp4").write_bytes(b"no video")
    videos = list_source(parts).videos
    assert filtered(videos, "seconds > 9", parts) == list(videos)


def test_plain_folders_keep_their_own_captions(tmp_path: Path, write_clip: WriteClip) -> None:
    write_clip(tmp_path / "Star_jump/a.mp4")
    write_clip(tmp_path / "yoga/b.mp4")
    assert marked_source(tmp_path, Wanted()) is None
    assert ClipFolder(tmp_path, 4, 16).entries[0].captions == ("Star jump",)
    (tmp_path / "manifest.csv").write_text("file,caption\nyoga/b.mp4,a person\n")
    assert marked_source(tmp_path, Wanted()) is None
    assert marked_source(tmp_path / "manifest.csv", Wanted()) is None
    insisted = ClipFolder(tmp_path, 4, 16, wanted=Wanted("classes"))
    assert insisted.entries[0].captions == ("star jump",)
