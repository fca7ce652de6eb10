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

from ...files.output_path import check_output


@dataclass(frozen=True)
class FileJob:
    """One file to read and one to write."""

    source: Path
    out: Path


@dataclass(frozen=True)
class FilePlan:
    """What a command does. many: the results fill a folder; left_out: files of other kinds in
    the source folders."""

    jobs: Sequence[FileJob]
    many: bool = False
    left_out: int = 0


def plan_files(
    inputs: Sequence[str], out: str, kind: str, suffixes: Callable[[], Collection[str]], end: str
) -> FilePlan:
    """Where each input goes.

    Args:
        inputs: files, folders (searched with their subfolders) and patterns such as
            "clips/**/*.mp4".
        out: a file for a single file; a folder for anything else, which is made when the work
            begins.
        kind: what the files are called in messages, such as "videos".
        suffixes: gives the endings of files that are taken from folders.
        end: the ending of the files that are written.

    Raises:
        ValueError: there is nothing to do, or results would overwrite each other or a source.
    """
    alone = len(inputs) == 1 and not Path(inputs[0]).is_dir() and not _is_pattern(inputs[0])
    if alone and not Path(out).is_dir():
        plan = FilePlan([FileJob(Path(inputs[0]), check_output(out, end))])
    else:
        _check_folder(inputs, out, end)
        found, left_out = _find(inputs, Path(out), suffixes)
        if not found:
            ends = ", ".join(sorted(suffixes()))
            raise ValueError(
                f"there are no {kind} in '{', '.join(inputs)}'; looked for names that end in {ends}"
            )
        plan = FilePlan(_name_results(found, Path(out), end), many=True, left_out=left_out)
    sources = {job.source.resolve() for job in plan.jobs}
    for job in plan.jobs:
        if job.out.resolve() in sources:
            raise ValueError(f"'{job.out}' would overwrite a source; give another --out")
    return plan


def _is_pattern(name: str) -> bool:
    return glob.has_magic(name) and not Path(name).exists()


def _check_folder(inputs: Sequence[str], out: str, end: str) -> None:
    place = Path(out)
    if place.is_dir() or (not place.exists() and place.suffix.lower() != end):
        return
    if len(inputs) == 1 and Path(inputs[0]).is_dir():
        raise ValueError(
            f"'{inputs[0]}' is a folder, so its results need one too; '{out}' is the name of a file"
        )
    raise ValueError(f"several files cannot become one; give a folder in place of '{out}'")


def _find(
    inputs: Sequence[str], out: Path, suffixes: Callable[[], Collection[str]]
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
            left_out += len(inside) - len(taken)
            for file in taken:
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


def _below(root: Path, out: Path) -> Iterator[Path]:
    """The files in a folder and its subfolders in a stable order, without hidden ones and
    earlier results."""
    results = out.resolve()
    inner = results != root.resolve()
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.is_file() and not hidden and not (inner and path.resolve().is_relative_to(results)):
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
