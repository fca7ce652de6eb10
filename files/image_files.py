"""Which files are images, and which images are the numbered frames of one video."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from pathlib import Path

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".avif"})
PICTURE_NUMBER = re.compile(r"%0?\d*d")  # in a pattern such as frames/%05d.png
NUMBERED = re.compile(r"(.*?)(\d+)")
HEADS = (b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*")
AVIF_HEADS = (b"ftypavif", b"ftypavis")
JPEG_HEAD = b"\xff\xd8\xff"


def is_image(path: Path) -> bool:
    """Whether a file is an image that Pillow reads, by its first bytes."""
    with open(path, "rb") as file:
        head = file.read(16)
    if head.startswith(JPEG_HEAD):  # also the start of a Motion JPEG stream
        return path.suffix.lower() in IMAGE_SUFFIXES
    if head[4:12] in AVIF_HEADS:
        from PIL import features

        return bool(features.check("avif"))
    return head.startswith(HEADS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def numbered_pictures(path: Path) -> list[Path]:
    """The files of a folder of numbered images, of a pattern such as frames/%03d.png, or of one
    such as frames/*.png, in the order of their numbers; [] if it is none of these."""
    if path.is_dir():
        inside = [file for file in path.iterdir() if not file.name.startswith(".")]
        if any(file.is_dir() for file in inside):
            return []
        images = [file for file in inside if file.suffix.lower() in IMAGE_SUFFIXES]
        return _in_order(images) if len(images) > 1 else []
    if path.exists():
        return []
    if PICTURE_NUMBER.search(path.name):
        return _in_order(_fitting(path))
    if glob.has_magic(path.name):
        return _in_order([Path(name) for name in glob.glob(str(path))])
    return []


def _fitting(pattern: Path) -> list[Path]:
    """The files whose names fit a printf pattern."""
    parts = [re.escape(part) for part in PICTURE_NUMBER.split(pattern.name)]
    name = re.compile(r"\d+".join(parts))
    folder = pattern.parent
    files = folder.iterdir() if folder.is_dir() else ()
    return [file for file in files if name.fullmatch(file.name)]


def _in_order(files: Sequence[Path]) -> list[Path]:
    """Files by their numbers; [] if they are not numbered alike, or no images."""
    numbers: dict[int, Path] = {}
    kinds = set()
    for file in files:
        match = NUMBERED.fullmatch(file.stem)
        if match is None or file.suffix.lower() not in IMAGE_SUFFIXES:
            return []
        kinds.add((match[1], file.suffix.lower()))
        numbers[int(match[2])] = file
    is_one_video = len(kinds) == 1 and len(numbers) == len(files)
    return [numbers[number] for number in sorted(numbers)] if is_one_video else []
