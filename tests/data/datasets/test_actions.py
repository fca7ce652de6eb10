"""Actions come along with the frames that they belong to, at any rate and any place."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from kinetoscope.data.datasets.actions import at_frames, read_actions
from kinetoscope.data.datasets.folder import ClipFolder
from kinetoscope.data.datasets.layouts import list_source
from kinetoscope.data.datasets.source import FolderSource
from kinetoscope.data.video import VideoError, read_clip

WriteClip = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, write_clip: WriteClip) -> Path:
    """Two videos of nine frames with the number of each frame as its action, one without any."""
    root = tmp_path / "robot"
    for name in ("a", "b", "silent"):
        write_clip(root / f"{name}.mp4")
    rows = [[frame, -frame] for frame in range(9)]
    np.savetxt(root / "a.actions.csv", rows, delimiter=",")
    np.save(root / "b.actions.npy", np.array(rows, np.float64))
    return root


def test_a_clip_brings_the_actions_of_its_own_frames(folder: Path) -> None:
    clips = ClipFolder(folder, 4, (16, 24), actions=True, flip=True)
    assert len(clips) == 2
    whole = read_clip(folder / "a.mp4").video
    starts = set()
    for epoch in range(8):
        clips.set_epoch(epoch)
        item = clips[0]
        first = int(item["actions"][0, 0])
        assert item["actions"].tolist() == [[f, -f] for f in range(first, first + 4)]
        # never mirrored: the actions would be untrue
        assert torch.equal(item["video"], whole[:, first : first + 4])
        starts.add(first)
    assert len(starts) > 2
    (reason,) = clips.skipped.values()
    assert "'silent.mp4' has no actions: there is no silent.actions.csv" in reason.replace(
        str(folder) + "/", ""
    )


def test_actions_follow_the_rate_that_frames_are_read_at(folder: Path) -> None:
    # 12 frames a second in the file, every third is read
    item = ClipFolder(folder, 3, 16, fps=4, actions=True).fixed()[0]
    assert item["actions"][:, 0].tolist() == [0, 3, 6]
    rows = torch.arange(5.0)[:, None]
    assert at_frames(rows, 3, 1, 4)[:, 0].tolist() == [3, 4, 4, 4]


def test_a_source_stacks_them(folder: Path) -> None:
    batch = FolderSource(str(folder), 4, 16, held_out=0, actions=True).clips(range(2))
    assert batch["actions"].shape == (2, 4, 2)
    assert "actions" not in FolderSource(str(folder), 4, 16, held_out=0).clips(range(1))


def test_a_file_that_holds_no_numbers_is_named(folder: Path) -> None:
    (folder / "a.actions.csv").write_text("left\nright\n")
    with pytest.raises(VideoError, match=r"a\.actions\.csv' holds no rows of numbers"):
        read_actions(list_source(folder).videos[0])
