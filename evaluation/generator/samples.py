"""Samples of a generator for held-out clips, by the conditions of each clip, kept on the disk.

The seed of a sample depends on its clip's row and its number alone, so samples are the same
whatever the batch, and a run that was killed goes on with those that are missing.

Legend: B clips, F Y X frames and pixels.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...data.datasets.listed_video import Problem
from ...data.video import read_clip, to_float, to_uint8
from ...generator.pipeline import VideoGenerator
from .held_out import HeldOut
from .kept import file_stem, write_captions, write_exactly

REFERENCE = "reference"
SAMPLES = "samples"
ANY_WORD = "-"  # stands where a sentence is not looked at


@dataclass(frozen=True)
class Sampling:
    """How samples are made: `context` first frames of a clip are given, `samples` videos of each
    clip, `length` frames long. `settings` are those of `SamplingParams` in place of the model's
    own, counted in frames."""

    length: int
    context: int = 0
    samples: int = 1
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def check(self, frames_per_latent: int, frames: int) -> None:
        """ValueError for numbers that a model with so many frames per latent cannot have."""
        k = frames_per_latent
        if self.samples < 1:
            raise ValueError(f"samples must be at least 1; got {self.samples}")
        if self.context and (self.context - 1) % k:
            low = (self.context - 1) // k * k + 1
            raise ValueError(
                f"the model is given 1 + a multiple of {k} frames; context {self.context} can be "
                f"{low} or {low + k}"
            )
        if not 0 <= self.context < frames:
            raise ValueError(
                f"context must be from 0 to below the {frames} frames of a clip; got {self.context}"
            )
        if self.length < frames:
            raise ValueError(
                f"length must be at least the {frames} frames of a clip; got {self.length}"
            )


@dataclass
class Made:
    """What was sampled in this run; what lay there already is not in it."""

    videos: int = 0
    frames: int = 0
    latents: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Kept:
    """Where the files of clips lie, by row and number of the sample."""

    folder: Path
    stems: Sequence[str]

    @staticmethod
    def of(folder: Path, held_out: HeldOut) -> Kept:
        stems = [file_stem(row, clip.name) for row, clip in enumerate(held_out.clips)]
        return Kept(folder, stems)

    def reference(self, row: int) -> Path:
        return self.folder / REFERENCE / f"{self.stems[row]}.mkv"

    def sample(self, row: int, number: int) -> Path:
        return self.folder / SAMPLES / f"{self.stems[row]}.{number:03d}.mkv"

    def rows(self) -> list[int]:
        """Rows of clips that could be read."""
        return [row for row in range(len(self.stems)) if self.reference(row).is_file()]


def make_samples(
    generator: VideoGenerator,
    held_out: HeldOut,
    sampling: Sampling,
    kept: Kept,
    batch: int,
    workers: int,
    broken: list[Problem],
    say: Callable[[str], object],
) -> Made:
    """Write the clips themselves, and the samples of each that are missing."""
    missing = [
        row
        for row in range(len(held_out))
        if not kept.reference(row).is_file()
        or not all(kept.sample(row, n).is_file() for n in range(sampling.samples))
    ]
    say(f"samples: {len(held_out) - len(missing)} of {len(held_out)} clips are there already")
    made = Made()
    captions: dict[str, str] = {}
    for row in range(len(held_out)):
        for number in range(sampling.samples):
            captions[kept.sample(row, number).name] = held_out.captions[row]
    write_captions(kept.folder / SAMPLES / "metadata.csv", captions)
    for group in held_out.batches(missing, batch, workers, broken):
        for row, video in zip(group.rows, group.video, strict=True):
            write_exactly(kept.reference(row), video, _rate(held_out, row))
        for number in range(sampling.samples):
            todo = [i for i, row in enumerate(group.rows) if not _is_there(kept, row, number)]
            # a batch has sentences, or none
            for spoken in (True, False):
                part = [i for i in todo if bool(held_out.captions[group.rows[i]]) is spoken]
                if part:
                    rows = [group.rows[i] for i in part]
                    _draw(
                        generator, held_out, sampling, kept, rows, number, group.video[part], made
                    )
        say(f"samples: {made.videos} videos made")
    return made


def _is_there(kept: Kept, row: int, number: int) -> bool:
    return kept.sample(row, number).is_file()


def _rate(held_out: HeldOut, row: int) -> float:
    clip = held_out.clips[row]
    return clip.known.fps / clip.stride


def _draw(
    generator: VideoGenerator,
    held_out: HeldOut,
    sampling: Sampling,
    kept: Kept,
    rows: Sequence[int],
    number: int,
    video_B3FYX: Tensor,
    made: Made,
) -> None:
    """Sample number `number` of the clips in these rows, and write it."""
    captions = [held_out.captions[row] for row in rows]
    params = generator.params(**sampling.settings)
    if not captions[0]:
        captions = [ANY_WORD] * len(rows)
        params = replace(params, guidance=0.0)
    begin = time.monotonic()
    with torch.inference_mode():
        drawn = generator.generate(
            captions,
            sampling.length,
            [sampling.seed + row * sampling.samples + number for row in rows],
            params,
            to_float(video_B3FYX[:, :, : sampling.context]) if sampling.context else None,
            **_conditions(generator, held_out, rows),
        )
    made.seconds += time.monotonic() - begin
    made.videos += len(rows)
    made.frames += len(rows) * (sampling.length - sampling.context)
    k = generator.decoder.config.frames_per_latent
    made.latents += len(rows) * -(-(sampling.length - max(1, sampling.context)) // k)
    made.latents += 0 if sampling.context else len(rows)
    for row, sample in zip(rows, to_uint8(drawn).cpu(), strict=True):
        write_exactly(kept.sample(row, number), sample, _rate(held_out, row))


def _conditions(
    generator: VideoGenerator, held_out: HeldOut, rows: Sequence[int]
) -> dict[str, Any]:
    """Recorded actions as `generate` takes them."""
    found: dict[str, Any] = {}
    for name, features in held_out.given(rows, generator).items():
        values = features.values
        none = torch.full_like(values, -1)
        found[name] = torch.where(features.given, values, none) if values.dim() == 2 else values
    return found


def read_kept(path: Path) -> Tensor:
    """A kept video, uint8 `[3, F, Y, X]`."""
    return read_clip(path, threads=1).video
