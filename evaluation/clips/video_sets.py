"""Sets of videos as lists of clips: which videos there are, which of their frames count, and how
these are read.

A clip depends on the content of its video and on the protocol alone, so the same set gives the same
clips whatever the order of its files and the number of workers.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...data.datasets.layouts import LaidVideo, Options, list_source
from ...data.datasets.layouts import read as laid
from ...data.datasets.listed_video import ListedVideo, Problem
from ...data.datasets.wanted import Wanted, filtered
from ...data.video import VideoError
from ..protocols import Protocol
from .feature_store import FeatureStore, digest, file_sha256
from .resize import fit


@dataclass(frozen=True)
class Known:
    """What is remembered of a video: the SHA-256 of its bytes, its frames and their rate."""

    sha256: str
    frames: int
    fps: float


@dataclass(frozen=True)
class Clip:
    """Frames `first`, `first + stride`, ... of a video."""

    name: str
    video: ListedVideo
    known: Known
    first: int
    stride: int

    @property
    def content(self) -> str:
        return f"{self.known.sha256} {self.first} {self.stride}"

    @property
    def caption(self) -> str:
        return self.video.words.captions[0] if self.video.words.captions else ""


@dataclass(frozen=True)
class VideoSet:
    """The clips of one set in groups of a protocol (one if it repeats nothing).

    `layout` is a line that says what the source was taken for.
    """

    source: str
    layout: str
    groups: tuple[tuple[Clip, ...], ...]
    videos: int
    left_out: tuple[Problem, ...]

    @property
    def clips(self) -> list[Clip]:
        return [clip for group in self.groups for clip in group]

    @property
    def fingerprint(self) -> str:
        """Of all clips, whatever their names and order."""
        return digest(*sorted(clip.content for clip in self.clips))


def choose_clips(
    source: str,
    protocol: Protocol,
    side: str,
    store: FeatureStore,
    wanted: Wanted = Wanted(),
) -> VideoSet:
    """The clips of a set that a protocol asks for.

    Args:
        source: a folder, a list or shards, as `list_source` takes them.
        protocol: says how clips are chosen.
        side: "reference" or "generated", whose stride and choice count.
        store: remembers hashes and lengths of files.
        wanted: which videos of the data set count, and how labels become captions.

    Raises:
        ValueError: there are no videos, or none is long enough.
    """
    stride = getattr(protocol, f"{side}_stride")
    choice = getattr(protocol, f"{side}_choice")
    listing = list_source(source, wanted.layout, Options(wanted.template), wanted.split)
    videos = filtered(listing.videos, wanted.filter, source)
    problems = list(listing.problems)
    needed = (protocol.frames - 1) * stride + 1
    if protocol.whole_strides:
        needed = protocol.frames * stride
    candidates: list[Clip] = []
    for video in videos:
        try:
            known = look(video, store)
        except VideoError as error:
            problems.append((video.name, str(error)))
            continue
        if known.frames < needed:
            problems.append((video.name, f"has {known.frames} frames and a clip needs {needed}"))
            continue
        firsts = first_frames(known.frames, needed, choice, f"{protocol.seed} {video.name}")
        candidates += [
            Clip(f"{video.name}@{first}", video, known, first, stride) for first in firsts
        ]
    if not candidates:
        name, reason = problems[0]
        raise ValueError(
            f"none of the {len(videos)} videos in '{source}' can be used; '{name}' {reason}; "
            "choose another --frames or --stride"
        )
    if choice == "split":
        # a few clips are then of many videos: the first one of each, then the second of each, …
        candidates.sort(key=lambda clip: clip.first)
    groups = _grouped(candidates, protocol, source)
    return VideoSet(source, listing.line(), groups, len(videos), tuple(problems))


def _grouped(
    candidates: list[Clip], protocol: Protocol, source: str
) -> tuple[tuple[Clip, ...], ...]:
    wanted = None if protocol.clips is None else protocol.clips * protocol.repeats
    chosen = candidates
    if wanted is not None and protocol.shuffled:
        order = list(range(len(candidates)))
        random.Random(f"{protocol.seed} draw").shuffle(order)
        chosen = [candidates[place] for place in order[:wanted]]
    elif wanted is not None:
        chosen = candidates[:wanted]
    if protocol.repeats == 1:
        return (tuple(chosen),)
    if wanted is None or len(chosen) < wanted:
        raise ValueError(
            f"'{source}' has {len(chosen)} clips, and {protocol.repeats} groups of "
            f"{protocol.clips} are asked for; give --repeats 1 or fewer --clips"
        )
    size = len(chosen) // protocol.repeats
    return tuple(
        tuple(chosen[begin : begin + size]) for begin in range(0, size * protocol.repeats, size)
    )


def first_frames(frames: int, needed: int, choice: str, seed: str) -> list[int]:
    """Where the clips of a video of so many frames begin, each `needed` frames long."""
    spare = frames - needed
    if choice == "first":
        return [0]
    if choice == "middle":
        return [spare // 2]
    if choice == "random":
        return [random.Random(seed).randint(0, spare)]
    if choice == "windows":
        return list(range(spare + 1))
    return list(range(0, spare + 1, needed))


def look(video: ListedVideo, store: FeatureStore) -> Known:
    """Hash, length and rate of a video; remembered until its file changes. VideoError if broken."""
    span = video.span
    pictures = video.pictures if isinstance(video, LaidVideo) else ()
    part = f"{video.member} {span} {len(pictures)}"
    if video.path.exists() and (told := store.facts(video.path, part)) is not None:
        return Known(*json.loads(told))
    info = laid.measure(video)
    if pictures:
        sha256 = digest(*(file_sha256(path) for path in pictures))
    else:
        begin, size = video.member or (0, None)
        sha256 = file_sha256(video.path, begin, size) + (f" {span}" if span else "")
    known = Known(sha256, info.frames, info.fps)
    store.remember(video.path, json.dumps([known.sha256, known.frames, known.fps]), part)
    return known


def read_frames(clip: Clip, protocol: Protocol) -> Tensor:
    """uint8 `[3, F, Y, X]` of a clip, brought to the size of the protocol. VideoError if broken."""
    first = clip.first
    count = protocol.frames
    while True:
        video = laid.read_frames(clip.video, first, count, clip.stride, clip.known.fps)
        missing = count - video.shape[1]
        if not missing:
            return at_size(video, protocol)
        # a header that promises more frames than there are: the clip begins earlier
        first -= missing * clip.stride
        if first < 0:
            raise VideoError(
                f"'{clip.video.name}' has only {video.shape[1]} of the {count} frames of a clip"
            )


def at_size(video_3FYX: Tensor, protocol: Protocol) -> Tensor:
    """uint8 `[3, F, Y, X]` scaled and cut as a protocol says, in whole numbers."""
    if protocol.size is None:
        return video_3FYX
    frames = video_3FYX.transpose(0, 1)
    square = fit(frames, protocol.size, protocol.resize, protocol.crop, protocol.crop_first)
    whole = square.round() if protocol.levels == "rounded" else square.floor()
    return whole.clamp(0, 255).to(torch.uint8).transpose(0, 1).contiguous()


def pixels_key(protocol: Protocol) -> str:
    """A name for all that changes the pixels of a clip."""
    size = "own" if protocol.size is None else str(protocol.size)
    rest = (protocol.crop, protocol.crop_first, protocol.resize, protocol.levels)
    return digest(protocol.frames, size, *(rest if protocol.size else ()))


def pair_up(reference: Sequence[Clip], generated: Sequence[Clip]) -> tuple[list[int], str]:
    """For each generated clip the place of its reference, and how it was found.

    Clips belong together if their names are equal but for the ending; if no name of one set is in
    the other and there are as many of both, they belong together in the order of their names.

    Raises:
        ValueError: some generated clips have no reference, or the counts differ.
    """
    places = {_stem(clip): place for place, clip in enumerate(reference)}
    found = [places.get(_stem(clip)) for clip in generated]
    missing = [clip.video.name for clip, place in zip(generated, found) if place is None]
    if not missing:
        return [place for place in found if place is not None], "by name"
    if len(missing) == len(generated) == len(reference):
        return list(range(len(generated))), "in the order of their names"
    raise ValueError(
        f"{len(missing)} of {len(generated)} generated clips have no reference of the same name "
        f"(such as '{missing[0]}'); pairs need equal names, or as many videos in both sets"
    )


def _stem(clip: Clip) -> str:
    name, _, first = clip.name.rpartition("@")
    return f"{Path(name).with_suffix('').as_posix()}@{int(first) // clip.stride}"
