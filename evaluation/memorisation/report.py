"""`kinetoscope evaluate MODEL --memorisation SHARDS`: tables, and a list of what is given back."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path

import torch
from torch import Tensor

from ...data.datasets.shards import Shards
from ...data.datasets.source import split_rows
from ...data.video import to_uint8
from ...data.video.contact_sheet import contact_sheet
from ...files.atomic import whole_file, write_whole
from ...generator.pipeline import VideoGenerator
from ...generator.sampling.params import SamplingParams
from ...tokenizer import VideoCodes, frame_count
from ..features import Network, open_network
from ..long_clips import say
from ..prompts import format_report
from ..tokenizer import Table
from .membership import RATES, area, found_at, membership_curve
from .neighbours import Neighbours
from .replay import BY_HEART, clip_bits, continued, copied_share

AT_A_TIME = 4  # clips
SHOWN = 12  # clips on the contact sheet


@dataclass(frozen=True)
class Settings:
    """What is measured.

    Attributes:
        unseen: shards of clips that the model never saw; by default those that `fit` holds out of
            the same shards with this `held_out` and `seed`.
        clips: how many of each kind at most, evenly spread.
        latents: longest part of a clip; by default as much as the model was trained on.
        sampling: how continuations are drawn.
        network: sees pictures (`features.open_network`); clips are near each other by its features,
            and not by the tokenizer's latents.
    """

    unseen: str | None = None
    held_out: float = 0.02
    seed: int = 0
    clips: int = 256
    latents: int | None = None
    sampling: SamplingParams = BY_HEART
    network: str | None = None

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ValueError(f"clips must be at least 1; got {self.clips}")
        if self.latents is not None and self.latents < 2:
            raise ValueError(f"latents must be at least 2; got {self.latents}")


@dataclass(frozen=True)
class Measured:
    """One clip: bits of a code, how much of it a continuation copied, and how far that is from the
    clip itself and from the nearest training clip."""

    source: str
    start: float
    bits: float
    copied: float
    to_itself: float
    to_nearest: float
    nearest: str


def evaluate_memorisation(
    model: str,
    shards: str,
    settings: Settings = Settings(),
    json: str | None = None,
    sheet: str | None = None,
) -> dict[str, Table]:
    """Measure what a model gives back of its training clips; print and return the tables.

    Args:
        shards: the clips that the model was trained on (`kinetoscope prepare` made them).
        json: a file for tables, the membership curve, and every clip that is given back.
        sheet: a .png with the clips that are given back, above their continuations.

    Raises:
        ValueError: shards of another tokenizer, no clip that is long enough, or no never-seen ones.
    """
    begin = time.monotonic()
    generator = VideoGenerator.from_pretrained(model)
    trained, unseen = _sets(Shards(shards), settings)
    network = open_network(settings.network, "pictures") if settings.network else None
    near = Neighbours(trained[0], generator.tokenizer, trained[1], network)
    examined = {}
    for name, (source, clips) in {"training": trained, "never seen": unseen}.items():
        examined[name] = list(_measure(generator, near, source, clips, settings))
        if not examined[name]:
            raise ValueError(f"no {name} clip has 2 latent frames or more; prepare longer ones")
        say(f"measured {len(examined[name])} {name} clips", begin)
    given_back = _given_back(examined["training"], examined["never seen"])
    report = _tables(examined["training"], examined["never seen"], given_back)
    report["run"] = {"minutes": (time.monotonic() - begin) / 60}
    print(format_report(report, {}))
    for clip in given_back:
        print(f"given back: {clip.source} from {clip.start:.2f} s, {clip.copied:.0%} copied")
    if json is not None:
        _write_json(json, model, network, report, examined, given_back)
    if sheet is not None and given_back:
        _draw(sheet, generator, trained, given_back, settings)
    return report


Set = tuple[Shards, list[int]]


def _sets(shards: Shards, settings: Settings) -> tuple[Set, Set]:
    """Training clips and never-seen ones: shards and numbers of clips."""
    every = list(range(len(shards)))
    if settings.unseen is not None:
        other = Shards(settings.unseen)
        both = {record["source"] for record in shards.records} & {
            record["source"] for record in other.records
        }
        if both:
            raise ValueError(
                f"{len(both)} videos are in both folders of shards, such as {min(both)}; "
                "never-seen clips must be of other videos"
            )
        return (shards, every), (other, list(range(len(other))))
    videos = sorted({record["source"] for record in shards.records})
    kept_back = {
        videos[row] for row in split_rows(len(videos), settings.held_out, settings.seed)[1]
    }
    if not kept_back:
        raise ValueError(
            f"held_out {settings.held_out} of {len(videos)} videos is none, so no clip is unseen; "
            "name shards of other videos with --unseen"
        )
    held = [clip for clip in every if shards.records[clip]["source"] in kept_back]
    return (shards, sorted(set(every) - set(held))), (shards, held)


def _measure(
    generator: VideoGenerator,
    near: Neighbours,
    shards: Shards,
    clips: Sequence[int],
    settings: Settings,
) -> Iterator[Measured]:
    for clip, codes_THW in _codes(generator, shards, clips, settings):
        info = shards.info(clip)
        caption = info.captions[0] if info.captions else ""
        codes_1THW = generator.codebooks.take(codes_THW)[None]
        drawn_1THW = continued(generator, codes_1THW, [caption], settings.sampling, settings.seed)
        own = generator.codebooks.give(drawn_1THW)[0]
        differing = (near.features(own) - near.features(codes_THW))[1:]
        nearest = near.nearest(own)[0]
        yield Measured(
            source=info.source,
            start=info.start,
            bits=clip_bits(generator, codes_1THW, [caption])[0],
            copied=copied_share(codes_1THW[0], drawn_1THW[0]),
            to_itself=float(differing.square().mean()) / 2,
            to_nearest=nearest.distance,
            nearest=nearest.source,
        )


def _codes(
    generator: VideoGenerator, shards: Shards, clips: Sequence[int], settings: Settings
) -> Iterator[tuple[int, Tensor]]:
    """Numbers and codes of some clips, evenly spread, of those with at least 2 latent frames."""
    longest = settings.latents or generator.decoder.config.max_distance + 1
    usable = [clip for clip in clips if shards.records[clip]["shape"][0] > 1]
    step = max(1, -(-len(usable) // settings.clips))
    for clip in usable[::step]:
        yield clip, torch.from_numpy(shards.codes(clip)[:longest]).long()


def _given_back(trained: Sequence[Measured], unseen: Sequence[Measured]) -> list[Measured]:
    """Training clips of which more is copied than of any never-seen clip, and whose continuation is
    nearer to them; the most copied first.

    A clip that was not learned by heart gets onto the list with a chance of at most one in the
    number of never-seen clips and one more.
    """
    most = max((clip.copied for clip in unseen if not math.isnan(clip.copied)), default=0.0)
    nearest = min(clip.to_itself for clip in unseen)
    found = [clip for clip in trained if clip.copied > most and clip.to_itself < nearest]
    return sorted(found, key=lambda clip: -clip.copied)


def _tables(
    trained: Sequence[Measured], unseen: Sequence[Measured], given_back: Sequence[Measured]
) -> dict[str, Table]:
    report: dict[str, Table] = {}
    for name, clips in {"training clips": trained, "never-seen clips": unseen}.items():
        copied = [clip.copied for clip in clips if not math.isnan(clip.copied)]
        report[name] = {
            "clips": len(clips),
            "bits per code": statistics.mean(clip.bits for clip in clips),
            "clips with motion": len(copied),
            "copied share of what moves": statistics.mean(copied) if copied else math.nan,
            "continuation to the clip": statistics.mean(clip.to_itself for clip in clips),
            "continuation to training clips": statistics.mean(clip.to_nearest for clip in clips),
        }
    curve = membership_curve([clip.bits for clip in trained], [clip.bits for clip in unseen])
    report["membership by bits"] = {"area under the curve (0.5: none)": area(curve)} | {
        f"found at {rate:.0%} false": found_at(curve, rate) for rate in RATES
    }
    report["given back"] = {
        "training clips": len(given_back),
        "expected by chance, at most": len(trained) / (len(unseen) + 1),
    }
    return report


def _write_json(
    path: str,
    model: str,
    network: Network | None,
    report: dict[str, Table],
    examined: dict[str, list[Measured]],
    given_back: Sequence[Measured],
) -> None:
    bits = ([clip.bits for clip in examined[name]] for name in ("training", "never seen"))
    content = {
        "model": model,
        "network": network.facts() if network else "the tokenizer's latents",
        "tables": report,
        "membership curve": membership_curve(*bits),
        "given back": [asdict(clip) for clip in given_back],
    }
    write_whole(path, dumps(content, indent=2) + "\n")


def _draw(
    path: str,
    generator: VideoGenerator,
    trained: Set,
    given_back: Sequence[Measured],
    settings: Settings,
) -> None:
    """Each clip, and below it what the model makes of its first latent frame."""
    shards, clips = trained
    wanted = {(clip.source, clip.start): clip for clip in given_back[:SHOWN]}
    videos: list[Tensor] = []
    words: list[str] = []
    for clip, codes_THW in _codes(generator, shards, clips, settings):
        info = shards.info(clip)
        measured = wanted.get((info.source, info.start))
        if measured is None:
            continue
        rows = generator.codebooks.take(codes_THW)[None]
        caption = info.captions[0] if info.captions else ""
        drawn = continued(generator, rows, [caption], settings.sampling, settings.seed)
        both = torch.stack([codes_THW, generator.codebooks.give(drawn)[0]])
        videos += _pixels(generator, both, info.height, info.width)
        words += [f"{info.source}, {info.start:.2f} s", f"the model, {measured.copied:.0%} copied"]
    with whole_file(Path(path)) as file:
        contact_sheet(videos, words).save(file, "png")


@torch.inference_mode()
def _pixels(generator: VideoGenerator, indices: Tensor, height: int, width: int) -> list[Tensor]:
    tokenizer = generator.tokenizer
    frames = frame_count(indices.shape[1], tokenizer.config.frames_per_latent)
    codes = VideoCodes(indices, frames, height, width, 0.0, tokenizer.id)
    return list(to_uint8(tokenizer.decode(codes)))
