"""The numbers of a model of the physics world: `kinetoscope evaluate physics-64` prints them.

There is one function per table. The tables of a tokenizer, which is all that some models have, are
in `tokenizer`, and those of long clips in `long_clips`. Captions, scenes and clips come from seeds
that no model trained on. The judge (`data/worlds/physics/judge/`) reads from the pixels what a clip
shows; its own accuracy on renders is printed beside that.

Legend: B clips, F frames, T H W latent grid, G = H * W cells, V vocabulary, S text length, E text
width.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor

from ..data.video import to_float, to_uint8
from ..data.worlds.physics.captions import Attributes
from ..data.worlds.physics.clips import HELD_OUT_SEED
from ..data.worlds.physics.judge.judge import READ_FRAMES, Judge, Reading, calibrate, score
from ..data.worlds.physics.scene import PhysicsConfig
from ..files.atomic import write_whole
from ..files.json_file import read_object
from ..files.model_folder import shipped_models
from ..generator.pipeline import VideoGenerator
from ..generator.sampling.params import SamplingParams
from ..tokenizer import VideoTokenizer
from .caption_bits import extra_bits
from .long_clips import LATE_FRAMES, SEEN, drift_tables, say
from .tokenizer import Table, held_out_batches, real_tables, rendered_tables, tokenizer_alone

SWAP_SHARE = 4  # one clip of so many is scored with swapped words, because that is slow
UNSEEN = PhysicsConfig(only_held_out=True)
ANY = PhysicsConfig(hold_out=True, any_motions=True)
PROMPT_SEED, UNSEEN_SEED, ANY_SEED = (HELD_OUT_SEED + n * 10_000_000 for n in (2, 3, 7))


def evaluate(
    model: str = "physics-64",
    prompts: int = 256,
    frames: int | None = None,
    seed: int = 0,
    long_prompts: int = 64,
    long_frames: int = 300,
    drift: bool = False,
    sampling: Mapping[str, Any] = {},
    real_clips: str | None = None,
    real_sources: str | None = None,
    size: int = 64,
    json: str | None = None,
) -> dict[str, Table]:
    """Measure a model of the physics world or a tokenizer alone; print and return the tables.

    Args:
        sampling: settings of `SamplingParams` in place of the model's own, counted in frames. The
            other arguments are those of `kinetoscope evaluate`.

    Raises:
        ValueError: fewer than 2 prompts, fewer than 9 frames, or a folder or model that cannot be
            used.
    """
    frames = READ_FRAMES if frames is None else frames
    _check(prompts, frames, long_prompts, long_frames, json)
    if drift and not long_prompts:
        raise ValueError("drift is measured on long clips; long_prompts must be at least 2")
    begin = time.monotonic()
    judge = Judge.from_pretrained()
    generator = None if tokenizer_alone(model) else VideoGenerator.from_pretrained(model)
    if drift and generator is None:
        raise ValueError(
            f"'{model}' is a tokenizer, which does not drift; name a model with a generator"
        )
    report: dict[str, Table] = {}
    if not drift:
        tokenizer = generator.tokenizer if generator else VideoTokenizer.from_pretrained(model)
        report |= rendered_tables(tokenizer, judge, prompts, frames, seed, size)
        if real_clips:
            report |= real_tables(tokenizer, real_clips, frames, size, real_sources)
    if generator:
        params = generator.params(**sampling)
        sampler = Sampler(generator, params)
        if not drift:
            report |= generator_tables(sampler, judge, prompts, frames, seed)
            report["same seed, same video"] = determinism_table(sampler, PROMPT_SEED + seed, frames)
        if long_prompts:
            report |= drift_tables(
                sampler, generator, params, judge, seed, long_prompts, long_frames
            )
    sizes: Table = {} if drift else {"prompts": prompts, "frames": frames}
    if generator and long_prompts:
        sizes["long prompts"] = long_prompts
    report["run"] = {**sizes, "seed": seed, "minutes": (time.monotonic() - begin) / 60}
    print(format_report(report, targets_of(model)))
    if json is not None:
        write_whole(json, dumps({"model": model, "tables": report}, indent=2) + "\n")
    return report


def _check(
    prompts: int, frames: int, long_prompts: int, long_frames: int, json: str | None
) -> None:
    if (
        prompts < 2
        or frames < LATE_FRAMES
        or long_frames < LATE_FRAMES
        or (long_prompts and long_prompts < 2)
    ):
        raise ValueError(
            f"at least 2 prompts (or no long_prompts) of at least {LATE_FRAMES} frames are needed; "
            f"got prompts={prompts}, frames={frames}, long_frames={long_frames}, "
            f"long_prompts={long_prompts}"
        )
    if json is not None and not Path(json).absolute().parent.is_dir():
        raise ValueError(f"folder {Path(json).absolute().parent} does not exist; create it first")


@dataclass(frozen=True)
class Sampler:
    """A generator with its sampling settings."""

    generator: VideoGenerator
    params: SamplingParams = SamplingParams()  # noqa: RUF009 (frozen)

    def __call__(self, captions: Sequence[str], frames: int, seed: int) -> Tensor:
        """uint8 clips [B, 3, F, Y, X], one per caption, with the seeds from `seed` on."""
        return to_uint8(self.generator.generate(list(captions), frames, seed, self.params))

    def streamed(self, caption: str, frames: int, seed: int) -> Tensor:
        """The same clip [1, 3, F, Y, X] taken from the endless stream."""
        chunks: list[Tensor] = []
        for chunk in self.generator.stream(caption, seed, self.params):
            chunks.append(to_uint8(chunk))
            if sum(part.shape[2] for part in chunks) >= frames:
                break
        return torch.cat(chunks, 2)[:, :, :frames]


def generator_tables(
    sample: Sampler, judge: Judge, prompts: int, frames: int, seed: int
) -> dict[str, Table]:
    """How well clips obey their prompts, and the extra bits of a false word."""
    seen = PROMPT_SEED + seed
    unseen = UNSEEN_SEED + seed
    other = ANY_SEED + seed
    return {
        "prompt obeyed": obedience_table(sample, judge, SEEN, seen, prompts, frames),
        "prompt obeyed, unseen pairs": obedience_table(
            sample, judge, UNSEEN, unseen, prompts, frames
        ),
        "prompt obeyed, any motions": obedience_table(sample, judge, ANY, other, prompts, frames),
        "judge on renders, any motions": calibrate(
            judge, held_out_batches(other, prompts, frames, ANY)
        ),
        **swap_tables(sample.generator, seen, max(2, prompts // SWAP_SHARE), frames),
    }


def obedience_table(
    sample: Sampler,
    judge: Judge,
    world: PhysicsConfig,
    first_seed: int,
    prompts: int,
    frames: int,
) -> Table:
    """Share of prompts of `world` whose clip shows what they say, per attribute.

    "objects" is the share with all colours and shapes right.
    """
    truths: list[Attributes] = []
    readings: list[Reading] = []
    begin = time.monotonic()
    for batch in held_out_batches(first_seed, prompts, frames, world):
        readings += judge.read(
            sample(batch["caption"], frames, batch["seeds"].start - HELD_OUT_SEED)
        )
        truths += batch["attributes"]
        say(f"sampled {len(readings)} of {prompts} prompts", begin)
    return score(readings, truths)


@torch.inference_mode()
def clip_bits(generator: VideoGenerator, codes_THW: Tensor, captions: Sequence[str]) -> list[float]:
    """Bits of one clip under each caption, teacher-forced, as one batch."""
    text_BSE, mask_BS = generator.text.encode(captions, generator.decoder.config.max_text)
    codes_BTHW = codes_THW.expand(len(captions), *codes_THW.shape)
    logits_BTGV = generator.decoder(codes_BTHW, text_BSE, mask_BS).float()
    nats = functional.cross_entropy(
        logits_BTGV.flatten(0, -2), codes_BTHW.flatten(), reduction="none"
    )
    return (nats.view(len(captions), -1).double().sum(1) / math.log(2)).tolist()


def swap_tables(
    generator: VideoGenerator, first_seed: int, prompts: int, frames: int
) -> dict[str, Table]:
    """Mean extra bits of clips with one caption word swapped, and the share that costs more."""
    extra: dict[str, list[float]] = defaultdict(list)
    frames = min(
        frames,
        1 + generator.decoder.config.max_distance * generator.decoder.config.frames_per_latent,
    )
    for batch in held_out_batches(first_seed, prompts, frames, SEEN):
        codes = generator.codebooks.take(
            generator.tokenizer.encode(to_float(batch["video"])).indices
        )
        contacts = batch["scenes"].contact.any(1).tolist()
        for row, seed in enumerate(batch["seeds"]):

            def bits_of(
                captions: Sequence[str], row: int = row, codes: Tensor = codes
            ) -> list[float]:
                return clip_bits(generator, codes[row], captions)

            for name, bits in extra_bits(
                batch["attributes"][row], seed, contacts[row], bits_of
            ).items():
                extra[name].append(bits)
    return {
        "extra bits with a word swapped": {
            name: sum(bits) / len(bits) for name, bits in extra.items()
        },
        "clips that cost more then": {
            name: sum(b > 0 for b in bits) / len(bits) for name, bits in extra.items()
        },
    }


def determinism_table(sample: Sampler, first_seed: int, frames: int) -> Table:
    """1 if the same prompt and seed give the same bytes: twice, in a batch, and as a stream."""
    captions = next(held_out_batches(first_seed, 2, LATE_FRAMES, SEEN))["caption"]
    first = sample(captions[:1], frames, 7)
    again = {
        "called twice": sample(captions[:1], frames, 7),
        "in a batch": sample(captions, frames, 7)[:1],
        "as a stream": sample.streamed(captions[0], frames, 7),
    }
    return {name: float(torch.equal(first, other)) for name, other in again.items()}


def targets_of(model: str) -> dict[str, Table]:
    """What a model is held to: `targets.json` beside it, or nothing."""
    path = shipped_models().get(model, Path(model)) / "targets.json"
    return read_object(path) if path.is_file() else {}


def format_report(report: dict[str, Table], targets: dict[str, Table]) -> str:
    """The tables as text, with the target beside each number that has one."""
    lines = []
    for title, table in report.items():
        lines += ["", title]
        for name, value in table.items():
            target = targets.get(title, {}).get(name)
            number = (
                f"{value:.0f}" if float(value).is_integer() and abs(value) > 1 else f"{value:.4g}"
            )
            lines.append(
                f"  {name:<36}{number:>10}"
                + (f"   (target {target})" if target is not None else "")
            )
    return "\n".join(lines[1:])
