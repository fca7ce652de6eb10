"""Held-out clips at the size of a model, with their captions and recorded actions.

Legend: B clips, F Y X frames and pixels, A numbers of an action.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...data.datasets.actions import at_frames, read_actions
from ...data.datasets.listed_video import Problem
from ...data.video import VideoError
from ...generator.conditions import CONDITIONS, Features
from ...generator.pipeline import VideoGenerator
from ..clips.extraction import Job, decoded_groups
from ..clips.video_sets import Clip, VideoSet
from ..protocols import Protocol


@dataclass(frozen=True)
class HeldOutBatch:
    """Clips uint8 `[B, 3, F, Y, X]`, and their rows in the set."""

    rows: tuple[int, ...]
    video: Tensor


class HeldOut:
    """The clips of a set as a model sees them, in the order of the set.

    Attributes:
        captions: the first caption of each clip; "" without one.
        actions: float `[F, A]` of each clip's frames, if the model takes actions and every clip has
            them; or else None.
    """

    def __init__(self, chosen: VideoSet, protocol: Protocol, generator: VideoGenerator) -> None:
        height, width = generator.size
        self.clips: Sequence[Clip] = chosen.clips
        self.protocol = replace(protocol, size=height if height == width else (height, width))
        self.captions = [clip.caption for clip in self.clips]
        takes = [name for name, _ in generator.decoder.config.conditions]
        self.names = [name for name in takes if name in ("actions", "action_vector")]
        self.actions = self._read_actions() if self.names else None

    def __len__(self) -> int:
        return len(self.clips)

    def _read_actions(self) -> list[Tensor] | None:
        found = []
        for clip in self.clips:
            try:
                rows = read_actions(clip.video)
            except VideoError:
                return None
            found.append(at_frames(rows, clip.first, clip.stride, self.protocol.frames))
        return found

    def given(self, rows: Sequence[int], generator: VideoGenerator) -> dict[str, Features]:
        """What the model reads of the actions of these clips."""
        if self.actions is None:
            return {}
        config = generator.decoder.config
        sizes: Mapping[str, int] = dict(config.conditions)
        actions_BFA = torch.stack([self.actions[row] for row in rows])
        made = {
            name: CONDITIONS[name].recorded(actions_BFA, config.frames_per_latent, sizes[name])
            for name in self.names
        }
        return {name: features for name, features in made.items() if features is not None}

    def batches(
        self, rows: Sequence[int], batch: int, workers: int, broken: list[Problem]
    ) -> Iterator[HeldOutBatch]:
        """The clips of these rows that can be read; the others go to `broken`."""
        jobs = [Job(self.clips[row]) for row in rows]
        row_of = {id(job): row for job, row in zip(jobs, rows, strict=True)}
        for group, given in decoded_groups(jobs, self.protocol, batch, workers, broken):
            yield HeldOutBatch(tuple(row_of[id(job)] for job in group), given.video)
