"""Drift of a model of the physics world: the last tables of `kinetoscope evaluate`.

Long clips are measured at some ages and at both ends, beside renders of the same scenes.

Legend: B clips, W watched frames, Y X pixels, D features.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..data.video import to_float
from ..data.worlds.physics.captions import Attributes
from ..data.worlds.physics.clips import HELD_OUT_SEED
from ..data.worlds.physics.judge.judge import READ_FRAMES, Judge
from ..data.worlds.physics.render import render
from ..data.worlds.physics.scene import PhysicsConfig, sample_scenes
from ..generator.pipeline import VideoGenerator
from ..generator.sampling.params import SamplingParams
from ..tokenizer import frame_count
from .drift import bits_by_age, frame_drift
from .frame_distance import frechet, rendered_features
from .tokenizer import Table, held_out_batches

# captions, frames, first seed -> uint8 [B, 3, F, Y, X]
Sample = Callable[[Sequence[str], int, int], Tensor]

SEEN = PhysicsConfig(hold_out=True)
LONG_SEED, OTHER_SEED, PAST_SEED = (HELD_OUT_SEED + n * 10_000_000 for n in (4, 5, 6))
LOOKS = (READ_FRAMES, 100, 200)  # frames after which a long clip is measured; also at its end
LATE_FRAMES = 9  # how many frames are measured there
END_FRAMES = 16  # frames at the beginning and at the end, which are compared
REFERENCE_FRAMES = 512  # rendered frames that sets of frames are compared with
AGES = (0, 1, 2, 4, 8)  # in latent frames


def drift_tables(
    sample: Sample,
    generator: VideoGenerator,
    params: SamplingParams,
    judge: Judge,
    seed: int,
    clips: int,
    frames: int,
) -> dict[str, Table]:
    """Tables of long clips, of renders of the same length, and of bits per token by age."""
    return {
        **long_tables(sample, judge, seed, clips, frames),
        "bits per token by age of the past": bits_table(generator, params, seed, clips),
    }


class LongClips:
    """Collects what the judge reads from the `watched` frames of clips of `frames` frames."""

    def __init__(self, judge: Judge, frames: int) -> None:
        self.judge = judge
        self.frames = frames
        self.end = min(END_FRAMES, frames // 2)
        self.looks = sorted({min(frames, look) for look in (*LOOKS, frames)})
        watched = {*range(self.end), *range(frames - self.end, frames)}
        for look in self.looks:
            watched |= set(range(look - LATE_FRAMES, look))
        self.watched = sorted(watched)
        self.ends: list[Tensor] = []
        self.features: dict[int, list[Tensor]] = {look: [] for look in self.looks}
        self.kept: dict[int, list[bool]] = {look: [] for look in self.looks}
        self.strangers: list[bool] = []

    def add(self, video_B3WYX: Tensor, said: Sequence[Attributes]) -> None:
        """Add watched frames, uint8, of clips with these truths."""
        self.ends.append(
            torch.cat([video_B3WYX[:, :, : self.end], video_B3WYX[:, :, -self.end :]], dim=2)
        )
        for look in self.looks:
            last = self.watched.index(look - 1) + 1
            part = video_B3WYX[:, :, last - LATE_FRAMES : last]
            self.features[look].append(self.judge.features(part[:, :, -1:]))
            seen = (self.judge.presence(part) >= self.judge.config.min_pixels).float().mean(
                1
            ) >= 0.5
            for row, truth in enumerate(said):
                named = [thing[0] for thing in truth.objects]
                self.kept[look] += seen[row, named].tolist()
                if look == self.frames:
                    self.strangers.append(int(seen[row].sum()) > int(seen[row, named].sum()))

    def table(self, reference_ND: Tensor) -> Table:
        """Distances from frames of the world (`reference`); the last one is within the clips."""
        table: Table = {"frames": self.frames}
        table |= {
            f"named objects at frame {look}": sum(kept) / len(kept)
            for look, kept in self.kept.items()
        }
        table["clips with objects nobody named"] = sum(self.strangers) / len(self.strangers)
        for look, parts in self.features.items():
            table[f"distance at frame {look}"] = frechet(torch.cat(parts), reference_ND)
        name = f"last {self.end} frames from first {self.end}"
        return table | {name: frame_drift(torch.cat(self.ends), self.judge.features, self.end)}


def long_tables(
    sample: Sample, judge: Judge, seed: int, clips: int, frames: int
) -> dict[str, Table]:
    """Whether the named objects and the look of the world last in a long clip.

    The table of renders shows what is lost from sight by the camera alone.
    """
    own = LongClips(judge, frames)
    real = LongClips(judge, frames)
    begin = time.monotonic()
    for batch in held_out_batches(LONG_SEED + seed, clips, LATE_FRAMES, SEEN):
        said: list[Attributes] = batch["attributes"]
        own.add(
            sample(batch["caption"], frames, batch["seeds"].start - HELD_OUT_SEED)[
                :, :, own.watched
            ],
            said,
        )
        scenes = sample_scenes(batch["seeds"], frames, SEEN)
        parts = {
            name: getattr(scenes, name)[:, real.watched] for name in ("position", "eye", "view")
        }
        real.add(render(replace(scenes, **parts), judge.config.size)[0], said)
        say(f"sampled {len(own.strangers)} of {clips} long clips", begin)
    reference_ND = rendered_features(judge, OTHER_SEED + seed, REFERENCE_FRAMES, frames, SEEN)
    return {"long clips": own.table(reference_ND), "renders as long": real.table(reference_ND)}


def bits_table(generator: VideoGenerator, params: SamplingParams, seed: int, clips: int) -> Table:
    """Bits per token of the last latent frame of held-out clips, by age of the past."""
    config = generator.decoder.config
    ages = [age for age in AGES if age <= config.max_distance]
    frames = frame_count(1 + ages[-1], config.frames_per_latent)
    total = dict.fromkeys(ages, 0.0)
    for batch in held_out_batches(PAST_SEED + seed, clips, frames, SEEN):
        codes = generator.codebooks.take(
            generator.tokenizer.encode(to_float(batch["video"])).indices
        )
        text = generator.text.encode(batch["caption"], config.max_text)
        first = batch["seeds"].start - HELD_OUT_SEED
        for age, bits in bits_by_age(generator.decoder, codes, *text, ages, params, first).items():
            total[age] += bits * len(codes) / clips
    return {f"{age} latent frames of its own": bits for age, bits in total.items()}


def say(text: str, begin: float) -> None:
    """Print progress to standard error, apart from the tables on standard output."""
    print(f"{text} in {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
