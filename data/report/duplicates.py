"""Videos that show the same, although their files differ: written again, scaled, brightened.

Eight moments of each video, evenly spread, are reduced to small grey pictures without their mean
and contrast. Two videos are near-duplicates where these look alike, and where also what changes
from moment to moment is alike: other takes of one scene share the scene, not the motion. Parts of a
longer video, and strong crops, are not found.

Legend: N videos, M moments, P pixels.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...files.atomic import whole_file
from ..datasets.listed_video import ListedVideo
from ..video import VideoError, probe, read_clip

TABLE = "duplicates.csv"
MOMENTS = 8
SIDE = 16  # pixels of a small picture
ALIKE = 0.98  # correlation of looks, from here on
ALIKE_STILL = 0.995  # the same where nothing moves
ALIKE_MOTION = 0.95  # correlation of what changes, from here on
MOVES = 0.003  # share of the variance that changes; videos with less stand still
BLOCK = 512  # videos that are compared with all others at once


@dataclass(frozen=True)
class Duplicate:
    """A video, the first one in the list that shows the same, and how alike they look (1 for the
    same pictures)."""

    name: str
    of: str
    alike: float


def find_duplicates(
    videos: Sequence[ListedVideo], say: Callable[[str], None] = print
) -> list[Duplicate]:
    """The videos that are near-duplicates of an earlier one in the list.

    Every video is read once, at eight moments. What cannot be read is no duplicate of anything:
    whoever uses the list says why.

    Args:
        say: takes a line about what was compared.

    Raises:
        ValueError: the videos lie in tar files, where single moments cannot be reached.
    """
    if any(video.member is not None for video in videos):
        raise ValueError(
            "near-duplicates are looked for in folders and lists of videos, not in .tar files; "
            "unpack them first"
        )
    readable: list[ListedVideo] = []
    looks: list[Tensor] = []
    for video in videos:
        try:
            looks.append(small_pictures(video.path))
        except VideoError:
            continue
        readable.append(video)
    found = [
        Duplicate(readable[row].name, readable[first].name, alike)
        for row, first, alike in (_pairs(torch.stack(looks)) if looks else [])
    ]
    say(f"{len(readable)} videos compared: {len(found)} near-duplicates")
    return found


def write_duplicates(path: Path, found: Sequence[Duplicate]) -> None:
    """Table of near-duplicates, what they are duplicates of, and how alike they are."""
    with whole_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text)
        writer.writerow(["file", "duplicate_of", "alike"])
        writer.writerows([each.name, each.of, f"{each.alike:.4f}"] for each in found)
        text.detach()


def small_pictures(path: str | Path) -> Tensor:
    """Eight moments of a video as grey pictures, float32 [M, P], each with a mean of 0, all
    together with a variance of 1.

    Raises VideoError for what cannot be read.
    """
    info = probe(path)
    pictures = []
    for moment in range(MOMENTS):
        start = info.seconds * (moment + 0.5) / MOMENTS
        frame = _frame_at(path, start if info.frames > 1 else 0.0)
        pictures.append(frame.float().mean(0).flatten())
    looks_MP = torch.stack(pictures)
    looks_MP -= looks_MP.mean(1, keepdim=True)
    return looks_MP / looks_MP.square().mean().sqrt().clamp_min(1e-3)


def _frame_at(path: str | Path, seconds: float) -> Tensor:
    """The small picture uint8 [3, SIDE, SIDE] that is shown at a time, the first one if the video
    ends before."""
    try:
        return read_clip(path, seconds, 1, size=(SIDE, SIDE), threads=1).video[:, 0]
    except VideoError:
        return read_clip(path, 0.0, 1, size=(SIDE, SIDE), threads=1).video[:, 0]


def _pairs(looks_NMP: Tensor) -> list[tuple[int, int, float]]:
    """Numbers of videos that are like an earlier one, that one, and how alike they look."""
    motion_NMP = looks_NMP - looks_NMP.mean(1, keepdim=True)
    moves_N = motion_NMP.square().mean((1, 2)) > MOVES
    looks = torch.nn.functional.normalize(looks_NMP.flatten(1))
    motion = torch.nn.functional.normalize(motion_NMP.flatten(1))
    found = []
    for begin in range(0, len(looks), BLOCK):
        rows = torch.arange(begin, min(begin + BLOCK, len(looks)))
        alike = looks[rows] @ looks.T
        both = moves_N[rows, None] & moves_N
        neither = ~moves_N[rows, None] & ~moves_N
        same_motion = motion[rows] @ motion.T >= ALIKE_MOTION
        same = both & same_motion & (alike >= ALIKE) | neither & (alike >= ALIKE_STILL)
        earlier = torch.arange(len(looks)) < rows[:, None]
        wanted = same & earlier
        for row in wanted.any(1).nonzero().flatten().tolist():
            first = int(wanted[row].int().argmax())
            found.append((begin + row, first, float(alike[row, first])))
    return found
