"""A folder of videos as a dataset of captioned random clips."""

from __future__ import annotations

import copy
import logging
import operator
import random as python_random
import re
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from ..video import VideoError, VideoInfo, probe, read_clip
from ..video.pixels import WHITE, background_colour
from ..video.sound import read_span
from .actions import at_frames, read_actions
from .captions import SOURCES
from .layouts.base import LaidVideo
from .layouts.read import measure
from .video_list import find_videos
from .wanted import Wanted, filtered, marked_source

logger = logging.getLogger("kinetoscope.data")

READ_ATTEMPTS = 16
# A mirrored video makes these words untrue.
SIDES = re.compile(
    r"(?i)\b(left|right|(counter|anti)?-?clockwise)(ward|wards|most|-hand|-handed)?\b"
)


@dataclass(frozen=True)
class Entry:
    """One usable video: where it is, what it shows, and what its header says.

    `start` is the second of the file at which it begins, and `video` what its data set says of it.
    """

    path: Path
    captions: tuple[str, ...]
    info: VideoInfo
    video: LaidVideo
    start: float = 0.0


class ClipFolder(Dataset[dict[str, Any]]):
    """Map-style dataset of clips {"video": uint8 `[3, F, Y, X]`, "caption": str} from every video
    under a folder.

    Files that are broken, empty, without pictures or too short are named once on the log, counted
    in `skipped` and left out. A clip depends only on (seed, epoch, index), whichever worker makes
    it.

    Args:
        root: the folder, searched with its subfolders. Images count as videos of one frame and are
            used when `frames` is 1 (or when the manifest lists them).
        frames: frames of a clip.
        size: side of the square clip, or (height, width). Videos are scaled to cover it and the
            rest is cut off.
        fps: sample by time at this rate, so that all clips move at their true speed; None takes the
            files' own frames. With it, folders of numbered images are videos of this rate.
        stride: without `fps`, take every stride-th frame.
        captions: "manifest" (`manifest.csv` in `root`, or `metadata.jsonl` and the like, which then
            also says which files are used), "sidecar" (a `.txt` of the same name, one caption per
            line), "folder" (the folder's name), "auto" (the first of these three that exists), or
            "none" for videos without captions, where every caption is "". Where they came from is
            logged, with counts.
        random: random clips, cuts and captions; False gives the middle of each video, cut in the
            centre.
        flip: mirror half of the clips. By default only without captions, since a mirrored video may
            belie its words; with True, clips whose caption speaks of left, right or clockwise stay
            as they are.
        zoom: cut from pictures scaled up to this many times the size needed, chosen at random from
            1 on.
        short: what happens to videos with fewer frames than a clip: "skip" leaves them out,
            "repeat" holds their last frame (which teaches a model to stand still).
        clips_per_video: how many clips of each video make an epoch.
        seed: another seed gives other clips.
        background: a colour, such as white or #20c0ff, to lay transparent images on.
        wanted: layout, split, words of labels and a filter. Data sets that bear marks of a layout
            (UCF-101's lists, LeRobot's meta files, tables with times) are found by themselves
            where `captions` is "auto".
        actions: also give "actions": float `[F, A]` of each frame, see `read_actions`; videos
            without any are left out.

    Raises:
        ValueError: a setting is out of range, the folder or its manifest cannot be used, or no
            video is left.
    """

    def __init__(
        self,
        root: str | Path,
        frames: int,
        size: int | tuple[int, int],
        fps: float | None = None,
        stride: int = 1,
        captions: Literal["auto", "manifest", "sidecar", "folder", "none"] = "auto",
        random: bool = True,
        flip: bool | None = None,
        zoom: float = 1.0,
        short: Literal["skip", "repeat"] = "skip",
        clips_per_video: int = 1,
        seed: int = 0,
        background: str = WHITE,
        wanted: Wanted = Wanted(),
        actions: bool = False,
    ) -> None:
        self.actions = actions
        self.sound_rate: int | None = None  # see `FolderSource.with_sound`
        self.root = Path(root)
        self.frames = operator.index(frames)
        self.fps = None if fps is None else float(fps)
        self.stride = operator.index(stride)
        sides = size if isinstance(size, Sequence) else (size, size)
        self.size = (operator.index(sides[0]), operator.index(sides[1]))
        self.random = random
        self.zoom = float(zoom)
        self.short = short
        self.seed = operator.index(seed)
        self.background = background
        self.silent = captions == "none"
        self.flip = self.silent if flip is None else flip
        self.clips_per_video = operator.index(clips_per_video)
        self._check(captions)
        self.skipped: dict[Path, str] = {}
        videos = self._listed(captions, wanted)
        self.entries = self._usable(filtered(videos, wanted.filter, self.root))
        # In shared memory, so that workers see a new epoch and name a file that fails in mid-read
        # only once.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._failed = torch.zeros(len(self.entries), dtype=torch.bool).share_memory_()

    def __len__(self) -> int:
        return len(self.entries) * self.clips_per_video

    @property
    def unreadable(self) -> int:
        """How many videos passed the first look and failed while a clip was read from them."""
        return int(self._failed.sum())

    def set_epoch(self, epoch: int) -> None:
        """Choose the clips of this epoch; call it before iterating, also with persistent
        workers."""
        self._epoch.fill_(epoch)

    def leave_out(self, rows: Collection[int], chosen: Sequence[int]) -> list[int]:
        """Never give some videos again, not in place of broken ones either; returns those of the
        chosen rows that are left.

        Raises:
            ValueError: none is left.
        """
        kept = [row for row in chosen if row not in rows]
        if not kept:
            raise ValueError(f"all {len(chosen)} videos of '{self.root}' are struck out")
        for row in rows:
            self.entries[row] = self.entries[kept[0]]
        return kept

    def fixed(self) -> ClipFolder:
        """The same videos with `random=False`, for validation, without looking at the files
        again."""
        twin = copy.copy(self)
        twin.random = False
        twin.clips_per_video = 1
        return twin

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} clips")
        index %= len(self)
        chosen = index % len(self.entries)
        for attempt in range(READ_ATTEMPTS):
            draw = python_random.Random(f"{self.seed} {int(self._epoch)} {index} {attempt}")
            try:
                return self._clip(self.entries[chosen], draw)
            except VideoError as error:
                failure = error
                if not self._failed[chosen]:
                    self._failed[chosen] = True
                    logger.warning("left out a clip: %s", error)
                chosen = draw.randrange(len(self.entries))
        raise VideoError(
            f"{READ_ATTEMPTS} videos in a row could not be read; the last one: {failure}"
        )

    def _clip(self, entry: Entry, draw: python_random.Random) -> dict[str, Any]:
        spare = _length(entry.info, self.fps, self.stride) - self.frames
        place, top, left, zoom, mirror = (draw.random() if self.random else 0.5 for _ in range(5))
        caption = draw.choice(entry.captions) if self.random else entry.captions[0]
        rate = self.fps or entry.info.fps / self.stride
        start = int(place * (spare + 1)) / rate if spare > 0 else 0.0
        video = self._read(entry, start, (top, left), zoom)
        if self.actions:
            own = entry.info.fps
            rows = read_actions(entry.video)
            actions = at_frames(rows, start * own, own / rate, self.frames)
            return {"video": video, "caption": caption, "actions": actions}
        if self.flip and self.random and mirror < 0.5 and not SIDES.search(caption):
            video = video.flip(-1)
        return {"video": video, "caption": caption} | self._sound(entry, start)

    def _sound(self, entry: Entry, start: float) -> dict[str, Any]:
        """The samples of a clip's frames, and whether its video has any; nothing if not asked."""
        if self.sound_rate is None or self.fps is None:
            return {}
        samples = round(self.frames * self.sound_rate / self.fps)
        wave = read_span(entry.path, entry.start + start, samples, self.sound_rate)
        heard = torch.tensor(wave is not None)
        return {"sound": torch.zeros(samples) if wave is None else wave, "heard": heard}

    def _read(self, entry: Entry, start: float, crop: tuple[float, float], zoom: float) -> Tensor:
        video = read_clip(
            entry.path,
            entry.start + start,
            self.frames,
            fps=self.fps,
            stride=self.stride,
            size=self.size,
            crop=crop,
            zoom=1 + (self.zoom - 1) * zoom if self.random else 1.0,
            threads=1 if get_worker_info() else 0,
            background=self.background,
        ).video
        missing = self.frames - video.shape[1]
        if missing and start:
            # the header promised more frames than there are
            return self._read(entry, 0.0, crop, zoom)
        if missing and self.short == "skip":
            raise VideoError(
                f"'{entry.path}' has only {video.shape[1]} of the {self.frames} frames of a clip"
            )
        return torch.cat([video, video[:, -1:].expand(-1, missing, -1, -1)], dim=1)

    def _listed(self, captions: str, wanted: Wanted) -> list[LaidVideo]:
        images = self.frames == 1
        auto = captions in ("auto", "none") or wanted != Wanted()
        source = marked_source(self.root, wanted, images) if auto else None
        if source is None:
            found, unreadable = find_videos(self.root, captions, images, self.fps)
            for path, reason in unreadable.items():
                self._skip(path, f"'{path}' {reason}")
            return [LaidVideo(str(path), path, words) for path, words in found.items()]
        for name, reason in source.problems:
            self._skip(self.root / name, f"'{name}' {reason}")
        return list(source.videos)

    def _usable(self, videos: Sequence[LaidVideo]) -> list[Entry]:
        entries = []
        silent = ("",)
        with ThreadPoolExecutor(max_workers=8) as pool:
            looks = pool.map(lambda video: _look(video, self.fps, self.actions), videos)
            for video, (info, reason) in zip(videos, looks, strict=True):
                reason = reason or self._too_short(video.path, info)
                if info is None or reason:
                    self._skip(video.path, reason)
                    continue
                said = silent if self.silent else video.words.captions
                start = video.span[0] if video.span else 0.0
                entries.append(Entry(video.path, said, info, video, start))
        count = len(entries) + len(self.skipped)
        if self.skipped:
            logger.warning("skipped %d of %d files in '%s'", len(self.skipped), count, self.root)
        if not entries:
            first = next(iter(self.skipped.values()))
            raise ValueError(
                f"none of the {count} files in '{self.root}' can be used; the first: {first}"
            )
        return entries

    def _too_short(self, path: Path, info: VideoInfo | None) -> str:
        if info is None or self.short == "repeat":
            return ""
        length = _length(info, self.fps, self.stride)
        is_short = length < self.frames
        return f"'{path}' has {length} frames and a clip needs {self.frames}" if is_short else ""

    def _skip(self, path: Path, reason: str) -> None:
        self.skipped[path] = reason
        logger.warning("skipped: %s", reason)

    def _check(self, captions: str) -> None:
        if not self.root.is_dir():
            raise ValueError(
                f"'{self.root}' is not a folder; give the folder that holds the videos"
            )
        if captions not in SOURCES:
            raise ValueError(f"captions must be one of {', '.join(SOURCES)}; got {captions!r}")
        background_colour(self.background)
        if self.short not in ("skip", "repeat"):
            raise ValueError(f"short must be skip or repeat; got {self.short!r}")
        counts = {
            "frames": self.frames,
            "size": min(self.size),
            "stride": self.stride,
            "zoom": self.zoom,
        }
        for name, value in {**counts, "clips_per_video": self.clips_per_video}.items():
            if not value >= 1:
                raise ValueError(f"{name} must be at least 1; got {value}")
        if self.fps is not None and not self.fps > 0:
            raise ValueError(f"fps must be above 0; got {self.fps}")
        if self.fps is not None and self.stride != 1:
            raise ValueError(
                f"give either fps or stride; got fps={self.fps} and stride={self.stride}"
            )


def _length(info: VideoInfo, fps: float | None, stride: int) -> int:
    """How many frames a video has after sampling."""
    return -(-info.frames // stride) if fps is None else max(1, round(info.seconds * fps))


def _look(
    video: LaidVideo, fps: float | None, actions: bool = False
) -> tuple[VideoInfo | None, str]:
    try:
        if actions:
            read_actions(video)
        return probe(video.path, fps) if video.span is None else measure(video), ""
    except VideoError as error:
        return None, str(error)
