"""Which files a command reads and where each result goes. All mistakes are found before a model
loads.

One file becomes one file. Several files, a folder or a pattern fill a folder, whose names mirror
those of the sources.
"""

from __future__ import annotations

import glob
import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...data.datasets import SKIPPED
from ...files.image_files import PICTURE_NUMBER, numbered_pictures
from ...files.output_path import VIDEO_SUFFIXES, check_output
from ...files.walk import files_below


@dataclass(frozen=True)
class FileJob:
    """One file to read and one to write."""

    source: Path
    out: Path


@dataclass(frozen=True)
class FilePlan:
    """What a command does. folder: what the results fill, if there may be several; left_out: files
    of other kinds in the source folders; hint: what somebody may have meant."""

    jobs: Sequence[FileJob]
    folder: Path | None = None
    left_out: int = 0
    hint: str = ""


def plan_files(
    inputs: Sequence[str],
    out: str,
    kind: str,
    suffixes: Callable[[], Collection[str]],
    end: str,
    fps: float | None = None,
) -> FilePlan:
    """Where each input goes.

    Args:
        inputs: files, folders (searched with their subfolders, links followed) and patterns such as
            "clips/**/*.mp4" or, of numbered images, "frames/%05d.png".
        out: a file for a single file; a folder for anything else, which is made when the work
            begins.
        kind: what the files are called in messages, such as "videos".
        suffixes: gives the endings of files that are taken from folders.
        end: the ending of the files that are written; a single ".mp4" may have any other ending
            of a video.
        fps: makes one video of the numbered images of a folder or a pattern.

    Raises:
        ValueError: there is nothing to do, or results would overwrite each other or a source.
    """
    alone = len(inputs) == 1 and _is_one(inputs[0], fps)
    if alone and not Path(out).is_dir():
        plan = FilePlan(
            [FileJob(Path(inputs[0]), check_output(out, None if end == ".mp4" else end))]
        )
    else:
        _check_folder(inputs, out, end)
        found, left_out = _find(inputs, Path(out), suffixes, fps)
        if not found:
            ends = ", ".join(sorted(suffixes()))
            raise ValueError(
                f"there are no {kind} in '{', '.join(inputs)}'; looked for names that end in {ends}"
            )
        jobs = _name_results(found, Path(out), end)
        plan = FilePlan(jobs, Path(out), left_out, _hint(inputs, fps))
    sources = {job.source.resolve() for job in plan.jobs}
    for job in plan.jobs:
        if job.out.resolve() in sources:
            raise ValueError(f"'{job.out}' would overwrite a source; give another --out")
    return plan


def _is_one(given: str, fps: float | None) -> bool:
    """Does an input stand for one video?"""
    path = Path(given)
    is_numbered = bool(PICTURE_NUMBER.search(path.name)) and path.suffix.lower() != ".safetensors"
    if is_numbered and not path.exists():
        if fps is None:
            raise ValueError(
                f"'{given}' is a pattern of numbered pictures; say with --fps how many frames a "
                "second they make"
            )
        return True
    if path.is_dir() or _is_pattern(given):
        return fps is not None and bool(numbered_pictures(path))
    return True


def _hint(inputs: Sequence[str], fps: float | None) -> str:
    if fps is not None or len(inputs) > 1 or not Path(inputs[0]).is_dir():
        return ""
    pictures = numbered_pictures(Path(inputs[0]))
    if not pictures:
        return ""
    return f"'{inputs[0]}' holds {len(pictures)} numbered pictures; with --fps they are one video"


def _is_pattern(name: str) -> bool:
    return glob.has_magic(name) and not Path(name).exists()


def _check_folder(inputs: Sequence[str], out: str, end: str) -> None:
    place = Path(out)
    ends = VIDEO_SUFFIXES if end == ".mp4" else (end,)
    if place.is_dir() or (not place.exists() and place.suffix.lower() not in ends):
        return
    if len(inputs) == 1 and Path(inputs[0]).is_dir():
        raise ValueError(
            f"'{inputs[0]}' is a folder, so its results need one too; '{out}' is the name of a file"
        )
    raise ValueError(f"several files cannot become one; give a folder in place of '{out}'")


def _find(
    inputs: Sequence[str],
    out: Path,
    suffixes: Callable[[], Collection[str]],
    fps: float | None,
) -> tuple[dict[Path, Path], int]:
    """Sources with the names below the folder of results that mirror theirs, and how many files
    of other kinds there were in folders."""
    found: dict[Path, Path] = {}
    left_out = 0
    for given in inputs:
        for path, name in _named(given, alone=len(inputs) == 1):
            if not path.is_dir():
                found.setdefault(path, name)
                continue
            inside = list(_below(path, out))
            taken = [file for file in inside if file.suffix.lower() in suffixes()]
            lists = sum(path.name == SKIPPED for path in inside)  # of an earlier run
            left_out += len(inside) - len(taken) - lists
            for file in taken if fps is None else _with_folders_for_frames(taken):
                found.setdefault(file, name / file.relative_to(path))
    return found, left_out


def _named(given: str, alone: bool) -> Iterator[tuple[Path, Path]]:
    """Files and folders that an input stands for, and their names below the folder of results."""
    path = Path(given)
    if not _is_pattern(given):
        yield path, Path() if alone and path.is_dir() else Path(path.resolve().name)
        return
    matches = sorted(glob.glob(given, recursive=True))
    if not matches:
        raise ValueError(f"no file matches '{given}'")
    fixed = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
    for match in matches:
        yield Path(match), Path(match).relative_to(fixed)


def _with_folders_for_frames(files: Sequence[Path]) -> Iterator[Path]:
    """Files, but a folder of numbered pictures in place of these."""
    folders = {
        folder: bool(numbered_pictures(folder)) for folder in {file.parent for file in files}
    }
    yield from dict.fromkeys(file.parent if folders[file.parent] else file for file in files)


def _below(root: Path, out: Path) -> Iterator[Path]:
    """The files in a folder and its subfolders in a stable order, without hidden ones and
    earlier results."""
    results = out.resolve()
    inner = results != root.resolve()
    for path in files_below(root):
        if not (inner and path.resolve().is_relative_to(results)):
            yield path


def _name_results(found: Mapping[Path, Path], out: Path, end: str) -> list[FileJob]:
    taken = Counter(name.with_suffix(end) for name in found.values())
    jobs: dict[Path, FileJob] = {}
    for source, name in found.items():
        # a.mp4 and a.gif in one folder keep their endings
        place = out / (
            name.with_suffix(end)
            if taken[name.with_suffix(end)] == 1
            else name.with_name(name.name + end)
        )
        if place in jobs:
            raise ValueError(
                f"'{jobs[place].source}' and '{source}' would both become '{place}'; do them one "
                "by one"
            )
        jobs[place] = FileJob(source, place)
    return list(jobs.values())
