"""Files are there as a whole or not at all: after errors, a full disk, kills, and with several
writers at once."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from kinetoscope.files.atomic import (
    clear_leavings,
    rewritten,
    scratch_folder,
    whole_file,
    whole_folder,
    whole_path,
    write_whole,
)
from kinetoscope.files.tensors import save_tensors

FULL = 4096  # bytes that the full disk of these tests still takes


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond `FULL`: the system refuses it as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FULL, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def by_file(path: Path) -> None:
    with whole_file(path) as file:
        file.write(bytes(100 * FULL))


def by_torch(path: Path) -> None:
    with whole_file(path) as file:
        torch.save(torch.zeros(100 * FULL), file)


def by_safetensors(path: Path) -> None:
    save_tensors(path, {"x": torch.zeros(100 * FULL)})


def by_name(path: Path) -> None:
    with whole_path(path) as beside:
        beside.write_bytes(bytes(100 * FULL))


WRITERS = (by_file, by_torch, by_safetensors, by_name)


@pytest.mark.parametrize("write", WRITERS)
def test_what_is_written_is_there_and_nothing_else(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    write(tmp_path / "a")
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").stat().st_size >= 100 * FULL
    write_whole(tmp_path / "a", "short")
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "short"


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_disk_leaves_the_old_file_and_is_named(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    (tmp_path / "a").write_text("old")
    with full_disk(), pytest.raises(OSError, match="File too large") as caught:
        write(tmp_path / "a")
    assert caught.value.filename == str(tmp_path / "a")
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), OSError(5, "other", "b")])
def test_an_error_leaves_the_old_file_and_stays_what_it_is(
    tmp_path: Path, error: BaseException
) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(type(error)) as caught, whole_file(tmp_path / "a") as file:
        file.write(b"new")
        raise error
    assert caught.value is error and getattr(error, "filename", "b") == "b"
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


def test_a_missing_folder_is_made_and_stays_only_with_its_file(tmp_path: Path) -> None:
    place = tmp_path / "one" / "two" / "a"
    with pytest.raises(RuntimeError), whole_file(place):
        raise RuntimeError
    assert os.listdir(tmp_path) == []
    write_whole(place, b"new")
    assert place.read_bytes() == b"new"


def test_a_folder_and_a_device_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ValueError, match="is no ordinary file"):
            write_whole(path, b"")
    assert os.listdir(tmp_path) == ["pipe"]


KILLED = """
import os, signal, sys
from pathlib import Path
from kinetoscope.files.atomic import whole_file, whole_folder
with whole_file(Path(sys.argv[1]) / "a") as file, whole_folder(Path(sys.argv[1]) / "f") as folder:
    file.write(b"half")
    file.flush()
    (folder / "half").write_text("half")
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    print("writing", flush=True)
    sys.stdin.readline()
"""


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path) -> None:
    words = [sys.executable, "-c", KILLED, str(tmp_path), "die"]
    assert subprocess.run(words).returncode == -signal.SIGKILL
    assert len(everything(tmp_path)) == 4  # the file, the folder, and what was begun in it
    write_whole(tmp_path / "b", b"another name")
    assert len(everything(tmp_path)) == 5
    write_whole(tmp_path / "a", b"whole")
    with whole_folder(tmp_path / "f") as folder:
        (folder / "c").write_text("whole")
    assert everything(tmp_path) == ["a", "b", "f", "f/c"]


def test_several_writers_of_one_name_do_not_meet(tmp_path: Path) -> None:
    words = [sys.executable, "-c", KILLED, str(tmp_path), "wait"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin and other.stdout
        assert other.stdout.readline() == "writing\n"
        write_whole(tmp_path / "a", b"ours")
        with whole_folder(tmp_path / "f") as folder:
            (folder / "ours").write_text("ours")
        assert (tmp_path / "a").read_bytes() == b"ours"
        other.communicate("\n")
    assert other.returncode == 0
    assert everything(tmp_path) == ["a", "f", "f/half", "f/ours"]
    assert (tmp_path / "a").read_bytes() == b"half"  # the one that ended last


def test_a_folder_takes_its_files_as_a_whole(tmp_path: Path) -> None:
    place = tmp_path / "model"
    with pytest.raises(ValueError, match="no"), whole_folder(place) as beside:
        (beside / "config.json").write_text("new")
        raise ValueError("no")
    assert everything(tmp_path) == []
    place.mkdir()
    (place / "notes").write_text("mine")
    with whole_folder(place) as beside:
        (beside / "sub").mkdir()
        for name in ("config.json", "z", "sub/a"):
            (beside / name).write_text(name)
        assert everything(place)[-1] == "notes" and not (place / "z").exists()
    assert everything(place) == ["config.json", "notes", "sub", "sub/a", "z"]


def test_the_file_that_says_that_all_are_there_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[str] = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (moved.append(Path(b).name), replace(a, b)))
    with whole_folder(tmp_path) as beside:
        for name in ("config.json", "a", "z"):
            (beside / name).write_text(name)
    assert moved == ["a", "z", "config.json"]


SCRATCH = """
import os, signal, sys
from kinetoscope.files.atomic import scratch_folder
with scratch_folder() as folder:
    (folder / "a").write_text("half")
    if sys.argv[1] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    print("writing", flush=True)
    sys.stdin.readline()
"""


def test_a_scratch_folder_goes_even_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    words = [sys.executable, "-c", SCRATCH]
    there = {**os.environ, "TMPDIR": str(tmp_path)}
    assert subprocess.run([*words, "die"], env=there).returncode == -signal.SIGKILL
    assert len(everything(tmp_path)) == 2
    with subprocess.Popen(
        [*words, "wait"], env=there, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout and other.stdout.readline() == "writing\n"
        (living,) = os.listdir(tmp_path)  # what was killed is gone
        with scratch_folder() as folder:
            assert sorted(os.listdir(tmp_path)) == sorted([living, folder.name])
        assert os.listdir(tmp_path) == [living]
        other.communicate("\n")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("new", [b"short", b"much longer than before"])
def test_what_is_being_written_can_be_rewritten(tmp_path: Path, new: bytes) -> None:
    with whole_path(tmp_path / "a") as beside:
        beside.write_bytes(b"as it was first")
        with pytest.raises(RuntimeError), rewritten(beside) as file:
            file.write(new)
            raise RuntimeError
        assert beside.read_bytes() == b"as it was first"
        with rewritten(beside) as file:
            file.write(new)
    assert (tmp_path / "a").read_bytes() == new
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_leavings_of_checkpoints_are_cleared_and_nothing_else(tmp_path: Path) -> None:
    inside = tmp_path / "version_0" / "checkpoints"
    inside.mkdir(parents=True)
    left = inside / ".step=4.ckpt.0123abcd.part"
    kept = [inside / "step=2.ckpt", inside / ".notes.ckpt.part", inside / ".a.png.0123abcd.part"]
    for path in (left, *kept):
        path.write_bytes(b"x")
    with whole_path(inside / "step=6.ckpt") as living:
        living.write_bytes(b"y")
        clear_leavings(tmp_path, ".ckpt")
        assert sorted(inside.iterdir()) == sorted([*kept, living])
    assert (inside / "step=6.ckpt").read_bytes() == b"y"
