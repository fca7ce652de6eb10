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
from kinetoscope.files.number_rows import read_number_rows

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


def claiming(path: Path, shape: tuple[int, ...]) -> None:
    """A file of numpy that says that it holds more than it does."""
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f8", "fortran_order": False, "shape": shape}
        )
        file.write(bytes(800))


def unbalanced(path: Path) -> None:
    np.save(path, np.ones((3, 2)))
    path.write_bytes(path.read_bytes().replace(b"3, 2)", b"3, 2("))


def pickled(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a.csv of words": (lambda path: path.write_text("left\nright\n"), "holds no rows of numbers"),
    "b.csv of nothing": (lambda path: path.write_text(""), r"its shape is \[0\]"),
    "c.csv of no number": (lambda path: path.write_text("1,nan\n"), "no finite number"),
    "d.csv of too much": (lambda path: path.write_text("1e300\n"), "no finite number"),
    "e.npy of nothing": (lambda path: path.write_bytes(b""), "holds no rows of numbers"),
    "f.npy of 8 TB": (lambda path: claiming(path, (10**6, 10**6)), "holds no rows of numbers"),
    "g.npy of a pickle": (pickled, "holds no rows of numbers"),
    "m.npy of brackets": (unbalanced, "holds no rows of numbers"),
    "h.npy of words": (lambda path: np.save(path, np.array(["a"])), "no array of real numbers"),
    "i.npy of i": (lambda path: np.save(path, np.ones(3) * 1j), "no array of real numbers"),
    "j.npy of a number": (lambda path: np.save(path, np.float64(3)), r"its shape is \[\]"),
    "k.npy of volumes": (lambda path: np.save(path, np.ones((2, 3, 4))), r"shape is \[2, 3, 4\]"),
    "l.npy of archives": (
        lambda path: path.write_bytes(b"PK\x03\x04" + bytes(60)),
        "holds no rows of numbers",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_rows_of_something_else_are_refused_in_a_line(tmp_path: Path, name: str) -> None:
    write, message = BAD[name]
    path = tmp_path / name.split()[0]
    write(path)
    with pytest.raises(ValueError, match=message) as caught:
        read_number_rows(path)
    assert "\n" not in str(caught.value) and f"{path.name}'" in str(caught.value)


def test_rows_come_in_any_usual_form(tmp_path: Path) -> None:
    rows = np.arange(6.0).reshape(3, 2)
    np.save(tmp_path / "a.npy", np.asfortranarray(rows))
    np.save(tmp_path / "b.npy", rows[:, 0] > 1)
    (tmp_path / "c.csv").write_text("\ufeff0,1\r\n2,3\r\n4,5\r\n", encoding="utf-8")
    (tmp_path / "d.csv").write_text("7\n")
    read = [read_number_rows(path).tolist() for path in sorted(tmp_path.iterdir())]
    assert read[0] == read[2] == rows.tolist()
    assert read[1] == [[0.0], [1.0], [1.0]] and read[3] == [[7.0]]


def test_a_file_that_holds_no_numbers_is_named(folder: Path) -> None:
    (folder / "a.actions.csv").write_text("left\nright\n")
    with pytest.raises(VideoError, match=r"a\.actions\.csv' holds no rows of numbers"):
        read_actions(list_source(folder).videos[0])
