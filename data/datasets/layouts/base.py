"""What every reader of a layout returns, and what it looks at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ....files.walk import files_below
from ...video import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from ..listed_video import ListedVideo, Problem
from ..tables import read_rows

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
Listing = tuple[list["LaidVideo"], list[Problem]]


@dataclass(frozen=True)
class LaidVideo(ListedVideo):
    """A video as a data set has it.

    `pictures` are the files of its frames in order, where it is no video file. `facts` are further
    columns (scores, cameras, where actions and states lie).
    """

    label: str = ""
    split: str = ""
    pictures: tuple[Path, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """`template` makes a caption of a label: "{label}" is replaced by its words."""

    template: str = "{label}"
    fold: int = 1  # which of several official splits (UCF-101 and HMDB have three)

    def caption(self, label: str) -> tuple[str, ...]:
        """The caption of a label, if there is one."""
        return (self.template.replace("{label}", words_of(label)),) if label else ()


class Folder:
    """A folder of data, listed once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def files(self) -> list[Path]:
        """All files that are not hidden, sorted; links are followed."""
        return sorted(path for path in files_below(self.root) if path.is_file())

    @cached_property
    def videos(self) -> list[Path]:
        return [path for path in self.files if path.suffix.lower() in VIDEO_SUFFIXES]

    @cached_property
    def pictures(self) -> list[Path]:
        return [path for path in self.files if path.suffix.lower() in IMAGE_SUFFIXES]

    @cached_property
    def by_stem(self) -> dict[str, Path]:
        """Videos by their names without ending."""
        return {path.stem: path for path in self.videos}

    def name(self, path: Path) -> str:
        """A name that stays when the folder is moved."""
        return path.relative_to(self.root).as_posix()

    def near(self, pattern: str) -> list[Path]:
        """Files of this pattern in the folder, in folders in it, and beside it in folders of lists
        (as UCF-101 unpacks)."""
        found = [path for path in self.files if path.match(pattern)]
        return found or sorted(self.root.parent.glob(f"*/{pattern}"))


def words_of(label: str) -> str:
    """A label as words: "ApplyEyeMakeup" and "apply_eye_makeup" are "apply eye makeup"."""
    spaced = ""
    for before, letter in zip(" " + label, label):
        spaced += " " if letter.isupper() and (before.islower() or before.isdigit()) else ""
        spaced += letter
    return " ".join(spaced.replace("_", " ").replace("-", " ").split()).lower()


def split_of(name: str) -> str:
    """The split that a folder on the way to a file is called like; "" if none is."""
    return next((SPLITS[p.lower()] for p in name.split("/")[:-1] if p.lower() in SPLITS), "")


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a CSV, TSV or JSONL file, names of columns in small letters. ValueError if it cannot
    be read."""
    for row in read_rows(path):
        yield {name: _text(value) for name, value in row.items()}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return "" if value is None else json.dumps(value, ensure_ascii=False)
