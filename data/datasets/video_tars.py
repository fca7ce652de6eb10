"""Videos in WebDataset shards: tar files with a video and its captions under one name."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

from ...files.walk import files_below
from ..video import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from .captions import (
    CAPTION_COLUMNS,
    LICENCE_COLUMNS,
    OWNER_COLUMNS,
    SOURCE_COLUMN,
    Words,
)
from .listed_video import ListedVideo, Problem
from .tables import decode_text


def tars_of(source: Path) -> list[Path]:
    """The tar files that `source` is, or that lie in it."""
    if source.is_dir():
        return [path for path in files_below(source) if path.suffix == ".tar"]
    return [source] if source.suffix.lower() == ".tar" else []


def videos_in_tars(
    root: Path, tars: list[Path], images: bool
) -> tuple[list[ListedVideo], list[Problem]]:
    """The videos of tar files below `root`, in the order of their names, and what in them cannot
    be used."""
    suffixes = VIDEO_SUFFIXES | IMAGE_SUFFIXES if images else VIDEO_SUFFIXES
    videos: dict[str, ListedVideo] = {}
    problems: list[Problem] = []
    for path in tars:
        shard = path.relative_to(root).as_posix()
        samples, damage = _samples(path)
        if damage:
            problems.append((shard, damage))
        for key, members in samples.items():
            name = f"{shard}/{key}"
            picture = next((suffix for suffix in members if suffix in suffixes), None)
            if picture is None:
                problems.append((name, f"holds no video, only {', '.join(members)}"))
                continue
            full = f"{name}{picture}"
            try:
                words = _said(path, name, members)
            except ValueError as error:
                problems.append((full, f"has a caption that cannot be read: {error}"))
            else:
                videos[full] = ListedVideo(full, path, words, members[picture])
    if not videos:
        raise ValueError(
            f"the {len(tars)} .tar files in '{root}' hold no videos; {problems[0][0]} "
            f"{problems[0][1]}"
        )
    return [videos[name] for name in sorted(videos)], problems


def _samples(path: Path) -> tuple[dict[str, dict[str, tuple[int, int]]], str]:
    """Key -> {suffix: (offset, size)} of what is whole in a tar, and what is wrong with it, if
    anything is."""
    samples: dict[str, dict[str, tuple[int, int]]] = {}
    damage = ""
    key = ""
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                folder, _, base = member.name.rpartition("/")
                stem, dot, extension = base.partition(".")
                if not member.isfile() or not dot or not stem:
                    continue
                key = f"{folder}/{stem}" if folder else stem
                samples.setdefault(key, {}).setdefault(
                    f".{extension.lower()}", (member.offset_data, member.size)
                )
            with open(path, "rb") as file:
                file.seek(tar.offset)
                whole = file.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)
        damage = "" if whole else "is truncated: its end is missing"
    except (tarfile.TarError, OSError, EOFError) as error:
        damage = f"is truncated or no tar file ({error})"
    if damage and key in samples:
        del samples[key]  # nobody knows what of the last sample is missing
        damage += f"; used are the {len(samples)} samples before {key}"
    return samples, damage


def _said(path: Path, name: str, members: dict[str, tuple[int, int]]) -> Words:
    """What is said of a sample. ValueError if nobody can read it."""

    def text(suffix: str) -> str:
        with open(path, "rb") as file:
            file.seek(members[suffix][0])
            return decode_text(Path(f"{name}{suffix}"), file.read(members[suffix][1]))

    captions: list[str] = text(".txt").splitlines() if ".txt" in members else []
    about: dict[str, Any] = {}
    if ".json" in members:
        try:
            value = json.loads(text(".json"))
        except RecursionError:
            raise ValueError(f"'{name}.json' is nested too deep to be read") from None
        pairs = value.items() if isinstance(value, dict) else ()
        about = {str(column).lower(): item for column, item in pairs}
    if not captions:
        captions = [about[name] for name in CAPTION_COLUMNS if isinstance(about.get(name), str)][:1]
    licence = next((str(about[name]) for name in LICENCE_COLUMNS if about.get(name)), "")
    owner = next((str(about[name]) for name in OWNER_COLUMNS if about.get(name)), "")
    source = str(about.get(SOURCE_COLUMN) or "")
    spoken = tuple(" ".join(caption.split()) for caption in captions if caption.strip())
    return Words(spoken, licence, source, owner=owner)
