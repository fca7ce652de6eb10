"""Which videos there are and what is said of them: in a folder, or in a list; see `video_tars` for
WebDataset shards."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...files.image_files import numbered_pictures
from ...files.walk import files_below
from ..video import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from .captions import (
    FROM_FOLDER,
    FROM_TEXT,
    MANIFESTS,
    NONE,
    SOURCES,
    Sidecars,
    Words,
    describe_origins,
    find_manifest,
    folder_caption,
    read_manifest,
)
from .listed_video import ListedVideo, Problem
from .tables import decode_text
from .video_tars import tars_of, videos_in_tars

logger = logging.getLogger("kinetoscope.data")


Found = dict[Path, Words]


def list_videos(
    source: str | Path, captions: str = "auto", images: bool = False, fps: float | None = None
) -> tuple[list[ListedVideo], list[Problem]]:
    """Every video of `source`, in the order of their names, and what in it cannot be used.

    Where the captions came from is logged, with counts.

    Args:
        source: a folder of videos; a list of them (.txt with a file per line, or .csv, .tsv and
            .jsonl as in `read_manifest`); or WebDataset shards with videos and .txt or .json
            captions (a .tar file, or a folder of them).
        captions: where captions come from, as in `ClipFolder`; shards bring their own.
        images: also take images, as videos of one frame.
        fps: also take folders of numbered images, as videos of this rate.

    Raises:
        ValueError: `source` does not exist or holds no videos, or its manifest cannot be used.
    """
    source = Path(source)
    if captions not in SOURCES:
        raise ValueError(f"captions must be one of {', '.join(SOURCES)}; got {captions!r}")
    tars = tars_of(source)
    if tars:
        return videos_in_tars(source if source.is_dir() else source.parent, tars, images)
    if source.is_dir():
        root = source
        found, unreadable = find_videos(source, captions, images, fps)
    elif source.is_file():
        root = source.parent
        found, unreadable = _listed(source, captions)
    else:
        raise ValueError(
            f"'{source}' does not exist; give a folder of videos, a list of them, or WebDataset "
            "shards"
        )
    videos = [ListedVideo(_name(path, root), path, words) for path, words in found.items()]
    problems = [(_name(path, root), reason) for path, reason in unreadable.items()]
    return sorted(videos, key=lambda video: video.name), problems


def _name(path: Path, root: Path) -> str:
    relative = Path(os.path.relpath(path, root)).as_posix()
    return path.resolve().name if relative == "." else relative


def find_videos(
    root: Path, captions: str, images: bool, fps: float | None = None
) -> tuple[Found, dict[Path, str]]:
    """Video file under a folder -> what is said of it, in a stable order, and the files whose
    captions cannot be read, with the reason; see `list_videos`."""
    manifest = find_manifest(root)
    if captions == "manifest" and manifest is None:
        raise ValueError(
            f"'{root / MANIFESTS[0]}' does not exist; write it, or choose captions='auto'"
        )
    if manifest is not None and captions in ("auto", "manifest"):
        listed = read_manifest(manifest)
        _say_origins(root, listed, _left_out(root, listed, images, fps))
        return listed, {}
    found, problems = _captioned(_videos(root, images, fps), captions)
    if not found and not problems:
        raise ValueError(_nothing_in(root, images))
    _say_origins(root, found, 0)
    return found, problems


def _left_out(root: Path, listed: Found, images: bool, fps: float | None) -> int:
    """How many videos under a folder are not in its table, however they are written."""
    named = {os.path.normpath(path) for path in listed}
    return sum(os.path.normpath(path) not in named for path in _videos(root, images, fps))


def _nothing_in(root: Path, images: bool) -> str:
    pictures = next(_picture_folders(root), None)
    if pictures is not None and not images:
        return (
            f"'{root}' holds no videos, only images; give fps to take numbered images, such as "
            f"those in '{pictures}', as the frames of a video, or frames=1 for single images"
        )
    kinds = ", ".join(sorted(VIDEO_SUFFIXES | (IMAGE_SUFFIXES if images else frozenset())))
    return f"'{root}' holds no videos; looked for files that end in {kinds}"


def _say_origins(root: Path, words: Found, left_out: int) -> None:
    if words:
        line, is_odd = describe_origins(root, words, left_out)
        logger.log(logging.WARNING if is_odd else logging.INFO, line)


def _listed(path: Path, captions: str) -> tuple[Found, dict[Path, str]]:
    if path.suffix.lower() in (".csv", ".tsv", ".jsonl"):
        listed = read_manifest(path)
        _say_origins(path.parent, listed, 0)
        return listed, {}
    if path.suffix.lower() != ".txt":
        raise ValueError(
            f"'{path}' is neither a folder nor a list of videos (.txt, .csv, .tsv, .jsonl) nor a "
            "shard (.tar)"
        )
    lines = decode_text(path).splitlines()
    files = [Path(os.path.normpath(path.parent / line.strip())) for line in lines if line.strip()]
    if not files:
        raise ValueError(f"'{path}' lists no files")
    found, problems = _captioned(dict.fromkeys(files), captions)
    _say_origins(path.parent, found, 0)
    return found, problems


def _captioned(videos: Iterable[Path], captions: str) -> tuple[Found, dict[Path, str]]:
    found: Found = {}
    problems: dict[Path, str] = {}
    missing: list[Path] = []
    sidecars = Sidecars()
    for path in videos:
        try:
            words = _words(path, captions, sidecars)
        except ValueError as error:
            problems[path] = f"has a caption that cannot be read: {error}"
            continue
        if words is None:
            missing.append(path)
        else:
            found[path] = words
    if missing:
        more = f" ({len(missing)} videos have none)" if len(missing) > 1 else ""
        raise ValueError(
            f"'{missing[0]}' has no text file of the same name{more}; write it, or choose "
            "captions='auto'"
        )
    return found, problems


def _words(path: Path, captions: str, sidecars: Sidecars) -> Words | None:
    """What is said of a video; None if its captions must be in a text file and are not."""
    if captions == "none":
        return Words(("",), origin=NONE)
    if captions == "folder":
        return Words(folder_caption(path), origin=FROM_FOLDER)
    said = sidecars.captions(path)
    if said is not None:
        return Words(said or ("",), origin=FROM_TEXT)
    return Words(folder_caption(path), origin=FROM_FOLDER) if captions == "auto" else None


def _videos(root: Path, images: bool, fps: float | None) -> Iterator[Path]:
    """Files by their endings, and folders of numbered images where these have a rate."""
    if fps is not None and not images:
        yield from _picture_folders(root)
    suffixes = VIDEO_SUFFIXES | IMAGE_SUFFIXES if images else VIDEO_SUFFIXES
    yield from (path for path in files_below(root) if path.suffix.lower() in suffixes)


def _picture_folders(root: Path) -> Iterator[Path]:
    images = (path for path in files_below(root) if path.suffix.lower() in IMAGE_SUFFIXES)
    folders = dict.fromkeys(path.parent for path in images)
    return (folder for folder in folders if numbered_pictures(folder))
