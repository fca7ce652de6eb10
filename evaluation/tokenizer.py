"""Quality of a tokenizer on held-out clips: the first tables of `kinetoscope evaluate`.

Legend: B clips, F Y X frames and pixels, T H W latent grid, Q codebooks of a cell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ..data.datasets.folder import ClipFolder
from ..data.datasets.held_out import split_by_source
from ..data.video import to_float, to_uint8
from ..data.worlds.physics.captions import Attributes
from ..data.worlds.physics.clips import HELD_OUT_SEED, physics_batch
from ..data.worlds.physics.judge.judge import Judge, Reading, score
from ..data.worlds.physics.scene import PhysicsConfig
from ..files.model_folder import find_folder
from ..tokenizer import VideoCodes, VideoTokenizer
from ..tokenizer.metrics import CodeUsage, bits_per_pixel, calm_rate, psnr, ssim, still_cells
from .flicker import Steadiness

Table = dict[str, float]
BATCH = 16
JUDGE_SIZE = 64  # pixels a side that the judge reads
CLIP_SEED = HELD_OUT_SEED + 10_000_000
CHUNK = 6  # frames of a streamed chunk; deliberately no multiple of a latent frame


def tokenizer_alone(model: str) -> bool:
    """Whether a model is a tokenizer without a generator. ValueError if it is neither."""
    folder = find_folder(model, "tokenizer")
    try:
        return find_folder(model, "generator") == folder
    except ValueError:
        return True


def held_out_batches(
    first_seed: int, clips: int, frames: int, world: PhysicsConfig, size: int = JUDGE_SIZE
) -> Iterator[dict[str, Any]]:
    """The result of `physics_batch` and the seeds it is made from, a few clips at a time."""
    for begin in range(first_seed, first_seed + clips, BATCH):
        seeds = range(begin, min(begin + BATCH, first_seed + clips))
        yield {"seeds": seeds, **physics_batch(seeds, frames, size, world)}


class RateQuality:
    """Adds up the quality of reconstructions from the first `rate` codebooks."""

    def __init__(self, tokenizer: VideoTokenizer, rate: int) -> None:
        self.tokenizer = tokenizer
        self.rate = rate
        self.values: dict[str, list[Tensor]] = defaultdict(list)
        self.bits = 0.0
        self.still = 0
        self.kept = 0.0

    def add(self, codes: VideoCodes, target: Tensor, foreground: Tensor | None) -> Tensor:
        """Add clips `[B, 3, F, Y, X]` in [-1, 1] with all their codes; returns reconstructions."""
        codes = codes.prefix(self.rate)
        video = self.tokenizer.decode(codes)
        self.values["PSNR dB"].append(psnr(video, target))
        if foreground is not None:
            self.values["PSNR on objects dB"].append(psnr(video, target, foreground))
        self.values["SSIM"].append(ssim(video, target))
        size = codes.num_frames, codes.height, codes.width
        self.bits = bits_per_pixel(codes.indices, self.tokenizer.codebook_size, *size)
        k, patch = self.tokenizer.config.cell
        whole = 1 + (codes.num_frames - 1) // k * k  # only full groups of frames can stay the same
        still = still_cells(self.tokenizer.pad(target[:, :, :whole]), k, patch)
        if count := int(still.sum()):
            self.kept += count * calm_rate(codes.indices[:, : still.shape[1] + 1], still)
            self.still += count
        return video

    def table(self) -> Table:
        return {
            **{name: float(torch.cat(values).nanmean()) for name, values in self.values.items()},
            "bits per pixel": self.bits,
            "still cells that keep their code": self.kept / self.still
            if self.still
            else float("nan"),
        }


class Quality:
    """Adds up the quality of a tokenizer on many clips of one size, at each of its rates."""

    def __init__(self, tokenizer: VideoTokenizer) -> None:
        self.tokenizer = tokenizer
        self.rates = [RateQuality(tokenizer, rate) for rate in range(1, tokenizer.rates + 1)]
        self.usage = [CodeUsage(tokenizer.codebook_size) for _ in self.rates]
        self.steadiness = Steadiness(*tokenizer.config.cell)

    def add(self, target: Tensor, foreground: Tensor | None = None) -> Tensor:
        """Add clips `[B, 3, F, Y, X]` in [-1, 1]; returns reconstructions from all codes."""
        codes = self.tokenizer.encode(target)
        for usage, book in zip(
            self.usage, codes.indices.unflatten(-1, (-1, codes.rates)).unbind(-1)
        ):
            usage.update(book)
        video = [rate.add(codes, target, foreground) for rate in self.rates][-1]
        self.steadiness.update(video, target)
        self._add_stream(video, target)
        return video

    def _add_stream(self, video: Tensor, target: Tensor) -> None:
        """Encode and decode the same clips as a stream of chunks."""
        F, Y, X = target.shape[2:]
        indices = self.tokenizer.stream_encode(target.split(CHUNK, dim=2))
        chunks = list(self.tokenizer.stream_decode(indices, Y, X))
        streamed = torch.cat(chunks, dim=2)[:, :, :F]
        self.steadiness.update_chunks(streamed, video, target, [chunk.shape[2] for chunk in chunks])

    def tables(self, title: str) -> dict[str, Table]:
        """Quality with all codebooks, with fewer where there are several, and seams and flicker."""
        *smaller, best = self.rates
        table = best.table()
        table["codes"] = self.tokenizer.codebook_size
        for number, usage in enumerate(self.usage, 1):
            which = f", codebook {number}" * (len(self.usage) > 1)
            table[f"codes used{which}"] = usage.used
            table[f"code perplexity{which}"] = usage.perplexity
        return {
            title: table,
            **{f"{title}, {rate.rate} of {best.rate} codebooks": rate.table() for rate in smaller},
            f"{title}, seams and flicker": self.steadiness.table(),
        }


def rendered_tables(
    tokenizer: VideoTokenizer,
    judge: Judge,
    clips: int,
    frames: int,
    seed: int,
    size: int = JUDGE_SIZE,
) -> dict[str, Table]:
    """Quality of reconstructions of held-out clips, and what the judge reads from them.

    The judge reads renders and reconstructions, and only clips of its own size.
    """
    quality = Quality(tokenizer)
    truths: list[Attributes] = []
    rendered: list[Reading] = []
    rebuilt: list[Reading] = []
    for batch in held_out_batches(CLIP_SEED + seed, clips, frames, PhysicsConfig(), size):
        video = quality.add(to_float(batch["video"]), batch["foreground"])
        if size == JUDGE_SIZE:
            truths += batch["attributes"]
            rendered += judge.read(batch["video"])
            rebuilt += judge.read(to_uint8(video))
    tables = quality.tables("tokenizer")
    if truths:
        tables["judge on renders"] = score(rendered, truths)
        tables["judge on reconstructions"] = score(rebuilt, truths)
    return tables


def real_clips(folder: str, frames: int, size: int, sources: str | None = None) -> list[Tensor]:
    """The middle of every video in `folder`, cut to a square and scaled, uint8 [3, F, Y, X].

    `sources` are patterns with commas between them; with them, only the videos that
    `split_by_source` would hold out are taken.
    """
    clips = ClipFolder(folder, frames, size, random=False, captions="none", short="repeat")
    patterns = [pattern.strip() for pattern in (sources or "").split(",") if pattern.strip()]
    rows = split_by_source(clips, patterns)[1] if patterns else range(len(clips))
    return [clips[index]["video"] for index in rows]


def real_tables(
    tokenizer: VideoTokenizer,
    folder: str,
    frames: int,
    size: int = JUDGE_SIZE,
    sources: str | None = None,
) -> dict[str, Table]:
    """Quality of reconstructions of `real_clips`."""
    quality = Quality(tokenizer)
    clips = real_clips(folder, frames, size, sources)
    for clip in clips:
        quality.add(to_float(clip[None]))
    tables = quality.tables("real clips")
    return {"real clips": {"clips": len(clips), **tables.pop("real clips")}, **tables}
