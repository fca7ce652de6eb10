"""Commands that turn files into files: one after another, going on where an earlier run ended.

What is finished is left as it is, and a broken file does not hold up the others.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from ...data.datasets import SKIPPED
from ...data.datasets.shards import write_skipped
from ...data.video import read_metadata
from ...tokenizer.codes import CodesFile
from ...training.progress import INTERRUPTED, complain, is_full_disk, one_line
from .file_plan import FileJob, FilePlan

SOME_FAILED = 1  # exit status
MARK = "made_from"  # the key under which a result carries its mark
Notes = dict[str, str]
Mark = Callable[[Path], str]
Make = Callable[[FileJob, Notes, str], bool]


def run_files(plan: FilePlan, mark: Mark, make: Make, done: str) -> int:
    """Do all jobs of a plan; returns the exit status: 1 if some of several files failed, which
    `skipped.csv` in the folder of results then lists with their reasons.

    Args:
        mark: says what a source becomes under the present settings (see `mark_of`); a result that
            carries the same mark is not made again.
        make: makes one result. It is given the job, notes to store (the mark) and a label for its
            progress; both are empty for a single file, which the user may end early: it returns
            False then.
        done: what happened to the files, such as "encoded".

    Raises:
        ValueError: the only file of a plan for one file cannot be done.
        OSError: the disk is full.
    """
    if plan.folder is None:
        (job,) = plan.jobs
        return 0 if make(job, {}, "") else INTERRUPTED
    if plan.hint:
        print(plan.hint, file=sys.stderr)
    counts: Counter[str] = Counter()
    failures: list[tuple[str, str]] = []
    try:
        for number, job in enumerate(plan.jobs, start=1):
            label = f"file {number}/{len(plan.jobs)} {_short(job.source.name)}: "
            outcome, reason = _attempt(job, mark, make, label)
            counts[outcome] += 1
            if outcome == "failed":
                failures.append((str(job.source), reason))
    finally:
        _list_failures(plan.folder / SKIPPED, failures)
        print(_summary(plan, counts, done))
    return SOME_FAILED if failures else 0


def _list_failures(path: Path, failures: Sequence[tuple[str, str]]) -> None:
    """Write a table of what failed; an earlier one is emptied if nothing did."""
    if failures or path.is_file():
        write_skipped(path, failures)


def mark_of(source: Path, tokenizer: str, **settings: object) -> str:
    """A line that changes when the source, the tokenizer or a setting does."""
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    try:
        stats = [file.stat() for file in files]
    except OSError:  # whoever reads the file will say what is wrong with it
        return ""
    facts = {
        "source": source.name,
        "bytes": sum(stat.st_size for stat in stats),
        "modified_ns": max((stat.st_mtime_ns for stat in stats), default=0),
        "tokenizer": tokenizer,
    }
    given = {name: value for name, value in settings.items() if value is not None}
    return json.dumps({**facts, **given})


def _attempt(job: FileJob, mark: Mark, make: Make, label: str) -> tuple[str, str]:
    """How a job ended ("made", "before" or "failed"), and why it failed."""
    try:
        wanted = mark(job.source)
        if wanted and _stored_mark(job.out) == wanted:
            return "before", ""
        make(job, {MARK: wanted}, label)
        return "made", ""
    except (ValueError, OSError) as error:
        # the next file would end so too
        if is_full_disk(error) or isinstance(error, BrokenPipeError):
            raise
        sys.stdout.flush()  # lines stay in order when both streams go to one file
        reason = one_line(error)
        complain(reason)
        return "failed", reason.replace(f"'{job.source}' ", "", 1)


def _stored_mark(out: Path) -> str:
    """The mark of a result that is there already, or nothing."""
    if not out.is_file():
        return ""
    try:
        notes = CodesFile.open(out).notes if out.suffix == ".safetensors" else read_metadata(out)
    except ValueError:
        return ""
    return notes.get(MARK, "")


def _summary(plan: FilePlan, counts: Counter[str], done: str) -> str:
    missing = len(plan.jobs) - counts.total()
    parts = [f"{counts['made']} {done}"]
    parts += [f"{counts['before']} done before"] if counts["before"] else []
    parts += [f"{counts['failed']} failed"] if counts["failed"] else []
    parts += [f"{missing} not done"] if missing else []
    others = f"; {plan.left_out} of other kinds left out" if plan.left_out else ""
    return f"{len(plan.jobs)} file{'s' * (len(plan.jobs) != 1)}: {', '.join(parts)}{others}"


def _short(name: str, longest: int = 32) -> str:
    return name if len(name) <= longest else f"{name[: longest // 2]}…{name[1 - longest // 2 :]}"
