"""The one way to write a file: beside its place, flushed to the disk, then renamed.

So what stands under a name is always whole. An error, a full disk or Ctrl-C removes what was begun
and leaves what was there before; what a killed process left goes when the same name is written
again. Files that are being written are locked, so that a process never takes those of another one
for leavings.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from io import BufferedRandom
from pathlib import Path
from typing import IO, Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows: a file that is open cannot be removed there
    fcntl = None

END = ".part"
LONGEST_NAME = 255  # bytes, on nearly all file systems


@contextlib.contextmanager
def whole_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """The name of an empty file to write to; it becomes `path` when the block has ended well. A
    missing folder is made.

    For libraries that open a file by its name; `whole_file` gives an open one.

    Raises:
        ValueError: there is a folder or a device of this name.
        OSError: naming `path`: the disk is full, or its folder is not writable. What was
            there before stays.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise ValueError(f"'{path}' is no ordinary file; give another name")
    with _disk_errors(path), _folder_of(path), _claimed(path) as beside:
        yield beside
        _flush(beside)
        os.replace(beside, path)
        _flush(path.parent)


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BufferedRandom]:
    """An open binary file to write to and to read back; errors are those of `whole_path`."""
    with whole_path(path) as beside, open(beside, "r+b") as file:
        yield file


def write_whole(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write a file at once, text as UTF-8; errors are those of `whole_path`."""
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def rewritten(beside: Path) -> Iterator[IO[bytes]]:
    """An open file whose content replaces that of a file which is being written, such as in a block
    of `whole_path`, when this block has ended well. The file stays the same one, with its lock;
    space for the new content is taken before the old one goes."""
    with tempfile.TemporaryFile(dir=beside.parent) as new:
        yield new
        size = new.seek(0, os.SEEK_END)
        new.seek(0)
        with open(beside, "r+b") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            shutil.copyfileobj(new, file)
            file.truncate(size)


@contextlib.contextmanager
def whole_new_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """An empty folder to fill; it becomes `folder`, which must be empty or not there yet, when the
    block has ended well.

    Raises:
        OSError: naming `folder`, as `whole_path`.
    """
    folder = Path(folder)
    with (
        _disk_errors(folder),
        _folder_of(folder),
        _claimed(folder, is_folder=True) as beside,
    ):
        yield beside
        for file in beside.iterdir():
            _flush(file)
        os.replace(beside, folder)
        _flush(folder.parent)


@contextlib.contextmanager
def _folder_of(path: Path) -> Iterator[None]:
    """Make the folder that a file shall lie in; it goes again if there will be no file."""
    missing = [folder for folder in path.absolute().parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only if nothing is in it
        raise


@contextlib.contextmanager
def whole_folder(folder: str | os.PathLike[str], last: str = "config.json") -> Iterator[Path]:
    """An empty folder to fill; its files take their places in `folder` when the block has ended
    well.

    `folder` is made if needed; files in it that the block did not write stay.

    Args:
        last: the file that takes its place after all others, and so says that they are there.

    Raises:
        OSError: naming `folder`, as `whole_path`.
    """
    folder = Path(folder)
    fresh = not folder.exists()
    try:
        with _disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with _claimed(folder / "folder", is_folder=True) as beside:
                yield beside
                _move_files(beside, folder, last)
    except BaseException:
        if fresh:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only if nothing is in it
        raise


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder where the system keeps what is temporary (TMPDIR), gone after the block; what
    killed processes left goes with the next one."""
    with _claimed(Path(tempfile.gettempdir()) / "kinetoscope", is_folder=True) as folder:
        yield folder


def _move_files(beside: Path, folder: Path, last: str) -> None:
    files = [path for path in beside.rglob("*") if path.is_file()]
    files.sort(key=lambda path: (path.name == last, path))
    for file in files:
        _flush(file)
    for file in files:
        place = folder / file.relative_to(beside)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, place)
    for parent in {folder / file.relative_to(beside).parent for file in files}:
        _flush(parent)


# ---- names beside a place ----


@contextlib.contextmanager
def _claimed(path: Path, is_folder: bool = False) -> Iterator[Path]:
    """A new file or folder beside `path`, locked; whatever is left of it in the end is removed."""
    _clear_leavings(path)
    beside, handle = _make(path, is_folder)
    while _lock(handle) is False or not beside.exists():  # a neighbour took it for a leaving
        os.close(handle)
        beside, handle = _make(path, is_folder)
    try:
        yield beside
    finally:
        _remove(beside)
        os.close(handle)


def _make(path: Path, is_folder: bool) -> tuple[Path, int]:
    beside = path.with_name(f"{_beginning(path)}{uuid.uuid4().hex[:8]}{END}")
    if is_folder:
        beside.mkdir()
        return beside, os.open(beside, os.O_RDONLY)
    return beside, os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)


def _beginning(path: Path) -> str:
    """The first part of names beside a path, which are no longer than a file system allows."""
    name = os.fsencode(path.name)
    if len(name) <= LONGEST_NAME - 15:  # two dots, eight digits and the end
        return f".{path.name}."
    return f".{hashlib.sha256(name).hexdigest()}."


def _clear_leavings(path: Path) -> None:
    """Remove what killed processes left of `path`; what a living one writes is locked."""
    ours = re.compile(rf"{re.escape(_beginning(path))}[0-9a-f]{{8}}{re.escape(END)}")
    for entry in path.parent.iterdir() if path.parent.is_dir() else ():
        if ours.fullmatch(entry.name):
            _remove_unlocked(entry)


def clear_leavings(folder: Path, ending: str) -> None:
    """Remove what killed processes left, in a folder and all in it, of files whose names end so,
    such as ".ckpt"; for names that nobody may ever write again."""
    ours = re.compile(rf"\..*{re.escape(ending)}\.[0-9a-f]{{8}}{re.escape(END)}")
    for entry in folder.rglob(f".*{ending}.*{END}"):
        if ours.fullmatch(entry.name):
            _remove_unlocked(entry)


def _remove_unlocked(entry: Path) -> None:
    """Remove a leaving, unless a living process writes it."""
    with contextlib.suppress(OSError):
        handle = os.open(entry, os.O_RDONLY)
        try:
            if _lock(handle):
                _remove(entry)
        finally:
            os.close(handle)


def _lock(handle: int) -> bool | None:
    """Whether the file is ours now; None where files cannot be locked, so that nobody knows."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


# ---- the disk ----


def _flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk, where that can be asked for."""
    with contextlib.suppress(PermissionError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """An error of the disk, however a library wraps it, as an OSError that names `path`."""
    try:
        yield
    except OSError as error:
        hidden = error.filename is None or str(error.filename).endswith(END)
        error.filename = str(path) if hidden else error.filename
        raise
    except Exception as error:
        cause = error.__context__
        number = re.search(r"\(os error (\d+)\)", str(error))  # as safetensors says it
        if isinstance(error, RuntimeError) and isinstance(cause, OSError):  # as torch.save hides it
            raise OSError(cause.errno, cause.strerror, str(path)) from error
        if number:
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
        raise
