"""Rows of features for many clips: threads decode ahead, the network works, the store keeps.

Memory holds a few clips, however many there are.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor

from ...data.datasets.layouts.read import local_file
from ...data.datasets.listed_video import Problem
from ...data.video import VideoError
from ..metrics import Batch, Metric
from ..protocols import Protocol
from .feature_store import FeatureStore, digest
from .sound import read_sound
from .video_sets import Clip, pixels_key, read_frames


@dataclass(frozen=True)
class Job:
    """A clip whose rows are wanted, with its reference where a pair is measured."""

    clip: Clip
    reference: Clip | None = None


@dataclass(frozen=True)
class Loaded:
    """What was decoded of a job, or why it could not be."""

    job: Job
    video: Tensor | None = None
    reference: Tensor | None = None
    sound: Tensor | None = None
    reference_sound: Tensor | None = None
    problem: str = ""


@dataclass
class Work:
    """What an extraction did: clips that it worked on, seconds in all and those that the network
    waited for frames, and clips that could not be read."""

    clips: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    broken: list[Problem] = field(default_factory=list)


def row_key(metric: Metric, job: Job, protocol: Protocol) -> str:
    """Under which name the store keeps the row of a job."""
    parts = [metric.key, pixels_key(protocol), job.clip.content]
    if job.reference is not None:
        parts.append(job.reference.content)
    if metric.needs_captions:
        parts.append(job.clip.caption)
    return digest(*parts)


def fill(
    store: FeatureStore,
    jobs: Sequence[Job],
    metrics: Sequence[Metric],
    protocol: Protocol,
    batch: int = 8,
    workers: int = 2,
) -> Work:
    """Make the rows of all jobs that the store does not have yet.

    Args:
        store: where rows are kept.
        jobs: clips; those whose rows are there cost nothing.
        metrics: they make the rows; metrics of one key share them.
        protocol: how clips are read.
        batch: clips that a network gets at once.
        workers: threads that decode.
    """
    makers = list({metric.key: metric for metric in metrics}.values())
    keys = {metric.key: [row_key(metric, job, protocol) for job in jobs] for metric in makers}
    there = {key: store.has(names) for key, names in keys.items()}
    todo = [
        job
        for place, job in enumerate(jobs)
        if any(keys[metric.key][place] not in there[metric.key] for metric in makers)
    ]
    # the same clip twice in a list is one row
    todo = list({row_key(makers[0], job, protocol): job for job in todo}.values()) if makers else []
    work = Work()
    begin = time.monotonic()
    sound = any(metric.needs_sound for metric in makers)
    with closing(_decoded(todo, protocol, sound, workers)) as loaded:
        for group in _batches(_timed(loaded, work), batch, work):
            given = _batch(group)
            rows: list[tuple[str, Tensor]] = []
            for metric in makers:
                made = metric.rows(given)
                names = [row_key(metric, item.job, protocol) for item in group]
                rows += zip(names, made, strict=True)
            store.put(rows)
            work.clips += len(group)
    work.seconds = time.monotonic() - begin
    return work


def decoded_batches(
    jobs: Sequence[Job], protocol: Protocol, size: int, workers: int, broken: list[Problem]
) -> Iterator[Batch]:
    """Batches of the clips that can be read, decoded ahead; the others go to `broken`."""
    for _, batch in decoded_groups(jobs, protocol, size, workers, broken):
        yield batch


def decoded_groups(
    jobs: Sequence[Job], protocol: Protocol, size: int, workers: int, broken: list[Problem]
) -> Iterator[tuple[list[Job], Batch]]:
    """The same with the jobs of each batch."""
    work = Work(broken=broken)
    with closing(_decoded(jobs, protocol, False, workers)) as loaded:
        for group in _batches(loaded, size, work):
            yield [item.job for item in group], _batch(group)


def _load(job: Job, protocol: Protocol, sound: bool) -> Loaded:
    try:
        video = read_frames(job.clip, protocol)
        reference = None if job.reference is None else read_frames(job.reference, protocol)
    except VideoError as error:
        return Loaded(job, problem=str(error))
    if not sound:
        return Loaded(job, video, reference)
    heard = _sound(job.clip, protocol)
    beside = None if job.reference is None else _sound(job.reference, protocol)
    return Loaded(job, video, reference, heard, beside)


def _sound(clip: Clip, protocol: Protocol) -> Tensor:
    video = clip.video
    begin = video.span[0] if video.span else 0.0
    seconds = protocol.frames * clip.stride / clip.known.fps
    with local_file(video) as path:
        return read_sound(path, begin + clip.first / clip.known.fps, seconds)


def _decoded(
    jobs: Iterable[Job], protocol: Protocol, sound: bool, workers: int
) -> Generator[Loaded, None, None]:
    """The jobs in order, decoded by threads a few clips ahead."""
    coming = iter(jobs)
    waiting: deque[Future[Loaded]] = deque()
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="decode") as pool:
        try:
            for job in islice(coming, 2 * max(1, workers)):
                waiting.append(pool.submit(_load, job, protocol, sound))
            while waiting:
                yield waiting.popleft().result()
                for job in islice(coming, 1):
                    waiting.append(pool.submit(_load, job, protocol, sound))
        finally:
            for future in waiting:
                future.cancel()


def _timed(items: Iterator[Loaded], work: Work) -> Iterator[Loaded]:
    while True:
        begin = time.monotonic()
        item = next(items, None)
        work.waited += time.monotonic() - begin
        if item is None:
            return
        yield item


def _batches(items: Iterator[Loaded], size: int, work: Work) -> Iterator[list[Loaded]]:
    """Readable clips of one shape, up to `size` of them."""
    group: list[Loaded] = []
    for item in items:
        if item.video is None:
            work.broken.append((item.job.clip.video.name, item.problem))
            continue
        if group and (len(group) == size or _shape(item) != _shape(group[0])):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def _shape(item: Loaded) -> tuple[object, ...]:
    assert item.video is not None
    beside = None if item.reference is None else item.reference.shape
    return item.video.shape, beside


def _batch(group: list[Loaded]) -> Batch:
    reference = None
    if group[0].reference is not None:
        reference = torch.stack([item.reference for item in group if item.reference is not None])
    return Batch(
        torch.stack([item.video for item in group if item.video is not None]),
        reference,
        tuple(item.job.clip.caption for item in group),
        tuple(item.sound for item in group if item.sound is not None),
        tuple(item.reference_sound for item in group if item.reference_sound is not None),
    )
