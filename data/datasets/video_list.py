"""Which videos there are and what is said of them: in a folder, in a list, or in WebDataset
shards."""

from __future__ import annotations

import json
import logging
import os
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..video import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from .captions import (
    CAPTION_COLUMNS,
    LICENCE_COLUMNS,
    MANIFEST,
    SOURCES,
    Words,
    folder_caption,
    read_manifest,
    read_sidecar,
)

logger = logging.getLogger("kinetoscope.data")


@dataclass(frozen=True)
class ListedVideo:
    """A video by a name that does not change when the folder is moved.

    `path` is the file, or the tar file in whose `member` (offset, size) the video lies.
    """

    name: str
    path: Path
    words: Words
    member: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        """Bytes; 0 for a file that is not there."""
        if self.member is not None:
            return self.member[1]
        return self.path.stat().st_size if self.path.is_file() else 0


Problem = tuple[str, str]  # name of what cannot be used, and why


def list_videos(
    source: str | Path, captions: str = "auto", images: bool = False
) -> tuple[list[ListedVideo], list[Problem]]:
    """Every video of `source`, in the order of their names, and what in it cannot be used.

    Args:
        source: a folder of videos; a list of them (.txt with a file per line, or .csv as a
            `manifest.csv`); or WebDataset shards with videos and .txt or .json captions (a .tar
            file, or a folder of them).
        captions: where captions come from, as in `ClipFolder`; shards bring their own.
        images: also take images, as videos of one frame.

    Raises:
        ValueError: `source` does not exist or holds no videos, or its manifest cannot be used.
    """
    source = Path(source)
    if captions not in SOURCES:
        raise ValueError(f"captions must be one of {', '.join(SOURCES)}; got {captions!r}")
    tars = (
        sorted(source.rglob("*.tar"))
        if source.is_dir()
        else [source]
        if source.suffix.lower() == ".tar"
        else []
    )
    if tars:
        return _in_tars(source if source.is_dir() else source.parent, tars, images)
    if source.is_dir():
        root = source
        found = find_videos(source, captions, images)
    elif source.is_file():
        root = source.parent
        found = _listed(source, captions)
    else:
        raise ValueError(
            f"'{source}' does not exist; give a folder of videos, a list of them, or WebDataset "
            "shards"
        )
    videos = [
        ListedVideo(Path(os.path.relpath(path, root)).as_posix(), path, words)
        for path, words in found.items()
    ]
    return sorted(videos, key=lambda video: video.name), []


def find_videos(root: Path, captions: str, images: bool) -> dict[Path, Words]:
    """Video file under a folder -> what is said of it, in a stable order; see `list_videos`."""
    manifest = root / MANIFEST
    if captions == "manifest" or (captions == "auto" and manifest.is_file()):
        if not manifest.is_file():
            raise ValueError(f"'{manifest}' does not exist; write it, or choose captions='auto'")
        listed = read_manifest(manifest)
        left = sum(Path(os.path.normpath(path)) not in listed for path in _videos(root, images))
        if left:
            logger.warning(
                "%d of the videos in '%s' are not in its %s and are left out", left, root, MANIFEST
            )
        return listed
    found = _captioned(_videos(root, images), captions)
    if not found:
        kinds = ", ".join(sorted(VIDEO_SUFFIXES | (IMAGE_SUFFIXES if images else frozenset())))
        raise ValueError(f"'{root}' holds no videos; looked for files that end in {kinds}")
    return found


def _listed(path: Path, captions: str) -> dict[Path, Words]:
    if path.suffix.lower() == ".csv":
        return read_manifest(path)
    if path.suffix.lower() != ".txt":
        raise ValueError(
            f"'{path}' is neither a folder nor a list of videos (.txt, .csv) nor a shard (.tar)"
        )
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    files = [Path(os.path.normpath(path.parent / line.strip())) for line in lines if line.strip()]
    if not files:
        raise ValueError(f"'{path}' lists no files")
    return _captioned(dict.fromkeys(files), captions)


def _captioned(videos: Iterable[Path], captions: str) -> dict[Path, Words]:
    found = {path: Words(_caption(path, captions)) for path in videos}
    without = [path for path, words in found.items() if not words.captions]
    if without:
        more = f" ({len(without)} videos have none)" if len(without) > 1 else ""
        raise ValueError(
            f"'{without[0]}' has no text file of the same name{more}; write it, or choose "
            "captions='auto'"
        )
    return found


def _caption(path: Path, captions: str) -> tuple[str, ...]:
    if captions == "none":
        return ("",)
    if captions == "folder":
        return folder_caption(path)
    return read_sidecar(path) or (folder_caption(path) if captions == "auto" else ())


def _videos(root: Path, images: bool) -> list[Path]:
    suffixes = VIDEO_SUFFIXES | IMAGE_SUFFIXES if images else VIDEO_SUFFIXES
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in suffixes and path.is_file() and not path.name.startswith(".")
    )


# ---- WebDataset shards of videos ----


def _in_tars(root: Path, tars: list[Path], images: bool) -> tuple[list[ListedVideo], list[Problem]]:
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
            else:
                full = f"{name}{picture}"
                videos[full] = ListedVideo(full, path, _said(path, members), members[picture])
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


def _said(path: Path, members: dict[str, tuple[int, int]]) -> Words:
    def text(suffix: str) -> str:
        with open(path, "rb") as file:
            file.seek(members[suffix][0])
            return file.read(members[suffix][1]).decode("utf-8-sig", errors="replace")

    captions: list[str] = text(".txt").splitlines() if ".txt" in members else []
    about: dict[str, Any] = {}
    if ".json" in members:
        try:
            value = json.loads(text(".json"))
            about = (
                {str(name).lower(): item for name, item in value.items()}
                if isinstance(value, dict)
                else {}
            )
        except ValueError:
            logger.warning("the .json beside a video in '%s' cannot be read", path)
    if not captions:
        captions = [about[name] for name in CAPTION_COLUMNS if isinstance(about.get(name), str)][:1]
    licence = next((str(about[name]) for name in LICENCE_COLUMNS if about.get(name)), "")
    return Words(
        tuple(" ".join(caption.split()) for caption in captions if caption.strip()), licence
    )
