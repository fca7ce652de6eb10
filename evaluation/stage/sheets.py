"""Sheets of clips for a model's card: random ones in the order of their seeds, and the best and the
worst of them by a number.

The number of a clip is, where there is a judge, the share of the words of its sentence that the
judge sees in it. Between clips alike, and without a judge, it is how many bits more the clip costs
the model under the sentence of the next clip than under its own: little, where the clip shows
nothing of what its sentence says. That number is the model's own opinion.

Legend: B clips, T latent frames, F Y X frames and pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ...data.video import to_uint8
from ...data.video.contact_sheet import contact_sheet
from ...data.worlds.stage.captions import Attributes
from ...data.worlds.stage.judge.pixels import READ_FRAMES
from ...data.worlds.stage.judge.reading import Reading, obeyed
from ...generator.pipeline import VideoGenerator
from ...tokenizer.codes import latent_count
from ..generator.likelihood import bits_per_clip
from .asked import Questions

SUMS = ("looks", "all")  # votes that are made of others


class Reader(Protocol):
    """What reads clips, such as `PixelJudge`."""

    def read(self, video: Tensor) -> list[Reading]: ...


@dataclass(frozen=True)
class SheetClip:
    """A drawn clip uint8 [3, F, Y, X], its sentence and seed, and its numbers."""

    video: Tensor
    caption: str
    seed: int
    bits: float
    words: float | None

    def label(self) -> str:
        seen = "" if self.words is None else f", {100 * self.words:.0f} % of its words seen"
        return f"{self.caption} (seed {self.seed}{seen}, {self.bits:.0f} bits)"

    def rank(self) -> tuple[float, float]:
        """Higher is better."""
        return (0.0 if self.words is None else self.words, self.bits)


def draw_clips(
    generator: VideoGenerator,
    asked: Questions,
    clips: int,
    seed: int = 0,
    judge: Reader | None = None,
    batch: int = 8,
    say: Callable[[str], object] = lambda _: None,
) -> list[SheetClip]:
    """Draw silent clips of 33 frames: clip n is of sentence n, with seed + n.

    Raises:
        ValueError: fewer than 2 clips, of which none has another one's sentence.
    """
    if clips < 2:
        raise ValueError(f"clips must be at least 2; got {clips}")
    questions = asked(range(clips))
    others = [*questions.captions[1:], questions.captions[0]]
    drawn: list[SheetClip] = []
    for first in range(0, clips, batch):
        rows = slice(first, min(first + batch, clips))
        captions = questions.captions[rows]
        codes_BT, video = _drawn(generator, captions, seed + first)
        own, other = (
            bits_per_clip(generator, codes_BT, texts, {}) for texts in (captions, others[rows])
        )
        seen: list[float | None] = [None] * len(captions)
        if judge is not None:
            readings = zip(judge.read(video), questions.said[rows])
            seen = [_share(reading, said) for reading, said in readings]
        for row, caption in enumerate(captions):
            extra = float(other[row] - own[row])
            drawn.append(SheetClip(video[row], caption, seed + first + row, extra, seen[row]))
        say(f"{len(drawn)} of {clips} clips")
    return drawn


def _drawn(generator: VideoGenerator, captions: Sequence[str], seed: int) -> tuple[Tensor, Tensor]:
    """Codes as the decoder takes them, and pixels uint8 [B, 3, F, Y, X]."""
    config = generator.decoder.config
    session = generator.session(captions, seed)
    codes: list[Tensor] = []
    pixels: list[Tensor] = []
    for _ in range(latent_count(READ_FRAMES, config.frames_per_latent)):
        codes.append(session.engine.draw().unflatten(1, config.grid))
        pixels.append(to_uint8(session.decoded(codes[-1].flatten(1, 2))).cpu())
    return torch.stack(codes, dim=1), torch.cat(pixels, dim=2)[:, :, :READ_FRAMES]


def _share(reading: Reading, said: Attributes) -> float:
    """Of the words of a sentence that a clip shows."""
    votes = [
        vote for name, each in obeyed(reading, said).items() if name not in SUMS for vote in each
    ]
    return sum(votes) / len(votes)


def write_sheets(
    clips: Sequence[SheetClip], folder: Path, shown: int = 16, extremes: int = 6
) -> list[Path]:
    """Write samples.webp (the first clips), best.webp and worst.webp; returns their places."""
    ranked = sorted(clips, key=SheetClip.rank, reverse=True)
    sheets = {
        "samples": list(clips[:shown]),
        "best": ranked[:extremes],
        "worst": ranked[: -extremes - 1 : -1],
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, members in sheets.items():
        path = folder / f"{name}.webp"
        videos = [clip.video for clip in members]
        labels = [clip.label() for clip in members]
        sheet = contact_sheet(videos, labels, columns=2, frames_shown=6, frame_height=96)
        sheet.save(path, quality=80, method=6)
        paths.append(path)
    return paths
