"""Is there a place for a file that is about to be made? Asked before the work that makes it."""

from __future__ import annotations

import os
from pathlib import Path

from .image_files import PICTURE_NUMBER

# names that a video may have; the last stands for a folder of pictures
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".gif", ".webp")
PICTURE_SUFFIX = ".png"
ONE_PICTURE = (".png", ".jpg", ".jpeg")  # names of a video that has one frame
PICTURES = "numbered pictures such as 'frames/%05d.png'"
SLOWEST = 0.001  # frames per second that a video file can have
FASTEST = 1000.0
FASTEST_GIF = 50.0  # a GIF counts hundredths of seconds, and players take 1 for 10


def check_output(path: str | Path, suffix: str | None = None, frames: int | None = None) -> Path:
    """The path, or a ValueError that says why nothing of this kind can be written there.

    Args:
        suffix: how the name must end; any of `VIDEO_SUFFIXES`, or a pattern of pictures, if not
            given. A missing folder is no obstacle, since whoever writes makes it.
        frames: of the video, if that is known: one frame may also be one picture.
    """
    path = Path(path)
    ends = _choice(VIDEO_SUFFIXES) + f", or be {PICTURES}" if suffix is None else suffix
    if path.is_dir():
        raise ValueError(f"'{path}' is a folder; give the name of a file that ends in {ends}")
    if suffix is None and is_pictures(path):
        return _check_pictures(path)
    is_picture = suffix is None and path.suffix.lower() in ONE_PICTURE
    if is_picture and frames != 1:
        raise ValueError(
            f"cannot write a video as '{path}', which is one picture; give {PICTURES}, or a name "
            f"that ends in {_choice(VIDEO_SUFFIXES)}"
        )
    if not is_picture and path.suffix.lower() not in (
        VIDEO_SUFFIXES if suffix is None else (suffix,)
    ):
        raise ValueError(f"cannot write '{path}': its name must end in {ends}")
    if path.exists() and not path.is_file():
        raise ValueError(f"cannot write '{path}': it is no ordinary file; give another name")
    _check_folder(path, path.parent)
    return path


def check_rate(fps: float, path: Path | None = None) -> float:
    """Frames per second that a video (at `path`) can have, or a ValueError."""
    fps = float(fps)
    if not SLOWEST <= fps <= FASTEST:
        raise ValueError(f"fps must be from {SLOWEST:g} to {FASTEST:g}; got {fps:g}")
    if path is not None and path.suffix.lower() == ".gif" and fps > FASTEST_GIF:
        raise ValueError(
            f"fps must be at most {FASTEST_GIF:g} for a GIF such as '{path}'; got {fps:g}"
        )
    return fps


def is_pictures(path: Path) -> bool:
    """Does a name stand for numbered pictures in a folder?"""
    return path.suffix.lower() == PICTURE_SUFFIX and bool(PICTURE_NUMBER.search(path.name))


def is_one_picture(path: Path) -> bool:
    """Does a name stand for a file of one picture?"""
    return path.suffix.lower() in ONE_PICTURE and not is_pictures(path)


def _check_pictures(path: Path) -> Path:
    folder = path.parent
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(
            f"cannot write '{path}': '{folder}' is not empty; give a new folder for the pictures"
        )
    _check_folder(path, folder.parent if folder.is_dir() else folder)
    return path


def _check_folder(path: Path, folder: Path) -> None:
    """Can a file be made in a folder, which may still have to be made itself?"""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise ValueError(f"cannot write '{path}': '{there}' is a file, no folder")
    if not os.access(there, os.W_OK):
        raise ValueError(
            f"cannot write '{path}': the folder '{there}' is not writable; choose another"
        )


def _choice(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
