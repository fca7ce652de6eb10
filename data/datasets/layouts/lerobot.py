"""LeRobot data sets of version 2 (an MP4 and a parquet file per episode and camera) and 3.0 (many
episodes in a file): cameras, tasks as captions, and where actions and states lie.

Version 3.0, and actions of both, need pyarrow: pip install kinetoscope[lerobot].
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..captions import Words
from ..listed_video import Problem
from .base import Folder, LaidVideo, Listing, Options, rows_of

INFO = "meta/info.json"
LONG_NUMBER = re.compile(r"\d{4,}")  # in a pattern of names it could ask for any memory
Row = dict[str, Any]
Episode = tuple[str, Path, tuple[float, float] | None, Row]


def matches(folder: Folder) -> str:
    """Why a folder is of this layout, or ""."""
    info = _info(folder)
    version = info.get("codebase_version", "")
    return f"a LeRobot data set of version {version}" if version else ""


def read(folder: Folder, options: Options) -> Listing:
    """A video for each episode and camera. ValueError for another version or without pyarrow."""
    info = _info(folder)
    version = str(info["codebase_version"]).removeprefix("v")
    if version.startswith("3."):
        episodes = _episodes_3(folder, info)
    elif version.startswith("2."):
        episodes = _episodes_2(folder, info)
    else:
        raise ValueError(f"'{folder.root}' is of LeRobot version {version}; 2.x and 3.x are read")
    try:
        return _listing(info, episodes)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(
            f"'{folder.root / INFO}' and the tables of episodes do not go together "
            f"({type(error).__name__}: {error})"
        ) from error


def _listing(info: dict[str, Any], episodes: Iterator[Episode]) -> Listing:
    videos = []
    problems: list[Problem] = []
    for name, path, span, episode in episodes:
        if not path.is_file():
            problems.append((name, f"is episode {episode['episode_index']}, but not there"))
            continue
        tasks = tuple(" ".join(str(task).split()) for task in episode.get("tasks", ()))
        facts = {
            key: value for key, value in episode.items() if not isinstance(value, (list, dict))
        }
        videos.append(
            LaidVideo(
                name,
                path,
                Words(tasks or ("",)),
                split=_split(info, int(episode["episode_index"])),
                span=span,
                facts=facts,
            )
        )
    return sorted(videos, key=lambda video: video.name), problems


def numbers(video: LaidVideo, column: str) -> list[list[float]]:
    """Actions or states of an episode, a list of numbers for each frame ("action",
    "observation.state"). ValueError without pyarrow or such a column."""
    return numbers_of(video.facts, column)


def numbers_of(facts: Mapping[str, Any], column: str) -> list[list[float]]:
    """The same, of where an episode's numbers lie ("data", "episode_index")."""
    table = _parquet(Path(facts["data"]))
    if column not in table.column_names:
        raise ValueError(
            f"there is no column {column!r}; there are {', '.join(table.column_names)}"
        )
    wanted = facts["episode_index"]
    rows = zip(table["episode_index"].to_pylist(), table[column].to_pylist())
    return [
        value if isinstance(value, list) else [value] for index, value in rows if index == wanted
    ]


def _info(folder: Folder) -> dict[str, Any]:
    path = folder.root / INFO
    try:
        value = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _pattern(info: dict[str, Any], name: str) -> str:
    """How the files of a set are named. ValueError for what can be no name."""
    pattern = str(info[name])
    if LONG_NUMBER.search(pattern):
        raise ValueError(f"{name} in {INFO} is no pattern of names: {pattern[:80]!r}")
    return pattern


def _cameras(info: dict[str, Any]) -> list[str]:
    features = info.get("features", {})
    return [name for name, about in features.items() if about.get("dtype") == "video"]


def _episodes_2(folder: Folder, info: dict[str, Any]) -> Iterator[Episode]:
    size = int(info.get("chunks_size", 1000))
    for row in rows_of(folder.root / "meta/episodes.jsonl"):
        index = int(row["episode_index"])
        place = {"episode_chunk": index // size, "episode_index": index}
        data = folder.root / _pattern(info, "data_path").format(**place)
        for camera in _cameras(info):
            path = folder.root / _pattern(info, "video_path").format(**place, video_key=camera)
            tasks = json.loads(row["tasks"]) if row.get("tasks") else []
            episode = {"episode_index": index, "tasks": tasks, "camera": camera}
            episode |= {"data": str(data), "frames": row.get("length", "")}
            yield f"episode_{index:06d}/{camera}", path, None, episode


def _episodes_3(folder: Folder, info: dict[str, Any]) -> Iterator[Episode]:
    for table in sorted(folder.root.glob("meta/episodes/**/*.parquet")):
        for row in _parquet(table).to_pylist():
            index = int(row["episode_index"])
            data = folder.root / _pattern(info, "data_path").format(
                chunk_index=row["data/chunk_index"], file_index=row["data/file_index"]
            )
            for camera in _cameras(info):
                about = {
                    key: row[f"videos/{camera}/{key}"]
                    for key in ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
                }
                path = folder.root / _pattern(info, "video_path").format(video_key=camera, **about)
                span = (float(about["from_timestamp"]), float(about["to_timestamp"]))
                episode = {"episode_index": index, "tasks": row.get("tasks", ())}
                episode |= {"camera": camera, "data": str(data), "frames": row.get("length", "")}
                yield f"episode_{index:06d}/{camera}", path, span, episode


def _split(info: dict[str, Any], index: int) -> str:
    """Of `{"train": "0:50"}`."""
    for name, rule in info.get("splits", {}).items():
        begin, _, end = str(rule).partition(":")
        if begin.isdecimal() and end.isdecimal() and int(begin) <= index < int(end):
            return name
    return ""


@lru_cache(maxsize=4)
def _parquet(path: Path) -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise ValueError(
            f"'{path}' needs pyarrow; install it with: pip install 'kinetoscope[lerobot]'"
        ) from None
    try:
        return parquet.read_table(path)
    except (OSError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise ValueError(f"'{path}' cannot be read as parquet: {reason}") from error
