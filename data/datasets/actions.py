"""Actions that were recorded with videos: of LeRobot sets, or in a file beside each video."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ...files.number_rows import read_number_rows
from ..video import VideoError
from .layouts import lerobot
from .layouts.base import LaidVideo
from .listed_video import ListedVideo

BESIDE = (".actions.csv", ".actions.npy")
COLUMN = "action"


def read_actions(video: ListedVideo) -> Tensor:
    """Actions float32 `[F, A]` of a video: row f is what is done while frame f is shown, and leads
    to frame f + 1.

    They stand in the column `action` of a LeRobot set, or in `NAME.actions.csv` (a row of numbers
    for each frame, without a header) or `NAME.actions.npy` beside `NAME.mp4`.

    Raises:
        VideoError: there are none, or they cannot be read.
    """
    facts = video.facts if isinstance(video, LaidVideo) else {}
    if "data" in facts:
        return _of_episode(video.name, str(facts["data"]), int(facts["episode_index"]))
    for end in BESIDE:
        path = video.path.with_suffix(end)
        if path.is_file():
            return _of_file(path, path.stat().st_mtime_ns)
    raise VideoError(f"'{video.name}' has no actions: there is no {video.path.stem}{BESIDE[0]}")


@lru_cache(maxsize=512)
def _of_episode(name: str, data: str, episode: int) -> Tensor:
    facts = {"data": data, "episode_index": episode}
    try:
        return torch.tensor(lerobot.numbers_of(facts, COLUMN), dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise VideoError(f"'{name}' has no actions that can be read: {error}") from error


@lru_cache(maxsize=512)
def _of_file(path: Path, _changed: int) -> Tensor:
    try:
        return read_number_rows(path)
    except ValueError as error:
        raise VideoError(str(error)) from error


def at_frames(actions_FA: Tensor, first: float, step: float, count: int) -> Tensor:
    """Rows of `count` frames, `first`, `first + step`, … of the file; the last row goes on."""
    places = (first + step * torch.arange(count)).round().long()
    return actions_FA[places.clamp(0, len(actions_FA) - 1)]
