"""Folders of classes: UCF-101 with its lists, HMDB-51 with its, Kinetics, and any like them."""

from __future__ import annotations

from pathlib import Path

from ..captions import Words
from ..listed_video import Problem
from ..tables import decode_text
from .base import SPLITS, Folder, LaidVideo, Listing, Options, split_of


def matches(folder: Folder) -> str:
    """Why a folder is of this layout, or ""."""
    if folder.near("trainlist0[1-3].txt"):
        return "folders of classes with the lists of UCF-101"
    if folder.near("*_test_split[1-3].txt"):
        return "folders of classes with the lists of HMDB-51"
    named = {_label(folder, path) for path in folder.videos} - {""}
    deep = folder.videos and all(_label(folder, path) for path in folder.videos)
    beside = any(path.with_suffix(".txt").is_file() for path in folder.videos[:20])
    return f"folders of {len(named)} classes" if deep and len(named) > 1 and not beside else ""


def has_lists(folder: Folder) -> bool:
    """Whether the lists of UCF-101 or HMDB-51 are there."""
    return bool(folder.near("trainlist0[1-3].txt") or folder.near("*_test_split[1-3].txt"))


def read(folder: Folder, options: Options) -> Listing:
    """Every video with its class as label and caption, and its split where a list or a folder
    says so; videos that no list names have none."""
    splits, problems = _listed(folder, options.fold)
    videos = []
    for path in folder.videos:
        name = folder.name(path)
        label = _label(folder, path)
        split = splits.get(f"{path.parent.name}/{path.name}", "" if splits else split_of(name))
        words = Words(options.caption(label) or ("",))
        videos.append(LaidVideo(name, path, words, label=label, split=split))
    there = {f"{path.parent.name}/{path.name}" for path in folder.videos}
    missing = [name for name in splits if name not in there]
    if missing:
        problems.append((missing[0], f"is in a list but not there ({len(missing)} such videos)"))
    return videos, problems


def _label(folder: Folder, path: Path) -> str:
    parent = path.parent
    if parent == folder.root or parent.name.lower() in SPLITS:
        return ""
    return parent.name


def _listed(folder: Folder, fold: int) -> tuple[dict[str, str], list[Problem]]:
    """Class and file name -> split, from the lists of UCF-101 or HMDB-51."""
    splits: dict[str, str] = {}
    for split in ("train", "test"):
        for path in folder.near(f"{split}list{fold:02d}.txt")[:1]:
            for line in decode_text(path).split("\n"):
                if line.strip():
                    splits[line.split()[0]] = split
    for path in folder.near(f"*_test_split{fold}.txt"):
        label = path.name.removesuffix(f"_test_split{fold}.txt")
        for line in decode_text(path).split("\n"):
            name, _, number = line.strip().rpartition(" ")
            if name:
                # 0 is in neither of the two
                told = {"1": "train", "2": "test"}.get(number, "")
                splits[f"{label}/{name.strip()}"] = told
    return splits, []
