"""Size, speed, bits and score of a model in half precision, in eight bits, or in another order.

The score is the share of prompts whose clip shows what they say, as read by the judge of the
physics world.
"""

import argparse
import math
import statistics
from dataclasses import dataclass

import torch
from kinetoscope.data.video import to_float
from kinetoscope.data.worlds.physics.captions import Attributes, describe
from kinetoscope.data.worlds.physics.judge.judge import READ_FRAMES, Judge, Reading, score
from kinetoscope.data.worlds.physics.scene import sample_scenes
from kinetoscope.evaluation.prompts import PROMPT_SEED, SEEN, Sampler, clip_bits
from kinetoscope.evaluation.tokenizer import held_out_batches
from kinetoscope.generator import SamplingParams, VideoGenerator
from kinetoscope.generator.sampling.filters import sample
from kinetoscope.generator.sampling.guidance import guide
from kinetoscope.generator.sampling.noise import gumbel_noise
from kinetoscope.generator.sampling.quantize import weight_bytes
from sampling_peers import PROMPTS, SCALE, our_clip, run_turns
from torch import Tensor

VARIANTS = [("float32", None), ("bfloat16", None), ("float32", "int8"), ("bfloat16", "int8")]
SCORES = ("all", "objects", "motion", "camera")
BATCH = 8  # clips sampled at once


@dataclass(frozen=True)
class Exam:
    """Sentences that no model trained on, and what they say."""

    judge: Judge
    captions: list[str]
    truths: list[Attributes]

    @classmethod
    def of(cls, prompts: int) -> "Exam":
        seeds = range(PROMPT_SEED, PROMPT_SEED + prompts)
        captions, truths = describe(sample_scenes(seeds, READ_FRAMES, SEEN), seeds)
        return cls(Judge.from_pretrained(), captions, truths)

    def __call__(self, generator: VideoGenerator) -> str:
        """The cells of a table, one per `SCORES`."""
        draw = Sampler(generator, SamplingParams(guidance=SCALE))
        readings = list[Reading]()
        for at in range(0, len(self.captions), BATCH):
            readings += self.judge.read(draw(self.captions[at : at + BATCH], READ_FRAMES, at).cpu())
        table = score(readings, self.truths)
        return " | ".join(f"{table[name]:.0%}" for name in SCORES)


# ---- variants ----


@torch.inference_mode()
def guided_logits(generator: VideoGenerator, codes_BTHW: Tensor) -> Tensor:
    """Logits of every code of clips, given what is before it."""
    text_BSE, mask_BS = generator.encode_text(PROMPTS[: len(codes_BTHW)])
    decoder = generator.decoder
    states = [
        decoder(codes_BTHW, text_BSE, mask, return_hidden=True)
        for mask in (mask_BS, mask_BS & False)
    ]
    return guide(states[0], states[1], SCALE) @ decoder.head().T


def whole_clips(generator: VideoGenerator, params: SamplingParams, latents: int) -> Tensor:
    """Codes [B, T, G] of a few clips."""
    session = generator.session(PROMPTS[:4], params=params).engine
    return torch.stack([session.draw() for _ in range(latents)], dim=1)


def print_variants(args: argparse.Namespace) -> None:
    """Comparison with float32: codes drawn after the same past, bits, clips, scores."""
    params = SamplingParams(guidance=SCALE)
    T = args.latents
    exam = Exam.of(args.prompts)
    generators = [
        VideoGenerator.from_pretrained(args.model, *variant).to(args.device) for variant in VARIANTS
    ]
    config = generators[0].decoder.config
    loops = [
        our_clip(generator, T, accelerate)
        for accelerate in ("exact", "off")
        for generator in generators
    ]
    run_turns(loops, args.clip_rounds)
    with torch.inference_mode():
        clips = [whole_clips(generator, params, T) for generator in generators]
    codes_BTG = clips[0]
    frames = [
        gumbel_noise(range(len(codes_BTG)), t, config.cells, config.vocab_size) for t in range(T)
    ]
    noise = torch.stack(frames, dim=1).to(args.device)
    names = [
        "MB",
        "s per clip",
        "one by one",
        "codes drawn equal",
        "in whole clips",
        "bits per code",
        *SCORES,
    ]
    print(
        f"\nscores of {args.prompts} prompts\n\n"
        f"| | {' | '.join(names)} |\n|{'---|' * (1 + len(names))}"
    )
    for i, (variant, generator) in enumerate(zip(VARIANTS, generators)):
        logits_BTGV = guided_logits(generator, codes_BTG.unflatten(2, config.grid))
        equal = (sample(logits_BTGV, params, noise) == codes_BTG).float().mean()
        logp_BTGV = (logits_BTGV.float() / params.temperature).log_softmax(-1)
        bits = -logp_BTGV.gather(-1, codes_BTG[..., None]).mean() / math.log(2)
        exact, off = (
            statistics.median(loop.seconds) for loop in (loops[i], loops[i + len(generators)])
        )
        whole = (clips[i] == codes_BTG).float().mean()
        name = ", ".join(part for part in variant if part)
        size = weight_bytes(generator.decoder) / 1e6
        print(
            f"| {name} | {size:.1f} | {exact:.2f} | {off:.2f} | {equal:.1%} | {whole:.1%} | "
            f"{bits:.4f} | "
            f"{exam(generator)} |",
            flush=True,
        )


# ---- orders ----


def held_out_bits(generator: VideoGenerator, clips: int) -> float:
    """Bits per code of held-out clips under their own captions."""
    total = 0.0
    codes = 0
    for batch in held_out_batches(PROMPT_SEED, clips, READ_FRAMES, SEEN):
        indices = generator.tokenizer.encode(
            to_float(batch["video"]).to(generator.decoder.no_text.device)
        ).indices
        indices = generator.codebooks.take(indices)
        total += sum(
            clip_bits(generator, indices[row], [text])[0]
            for row, text in enumerate(batch["caption"])
        )
        codes += indices.numel()
    return total / codes


def print_orders(args: argparse.Namespace) -> None:
    """Compares a model in raster order with models of other orders (on the same tokenizer)."""
    exam = Exam.of(args.prompts)
    models = [args.model, *args.orders]
    generators = [
        VideoGenerator.from_pretrained(model, args.dtype).to(args.device) for model in models
    ]
    if len({generator.tokenizer.id for generator in generators}) > 1:
        raise SystemExit(
            "these models have different tokenizers, so their bits do not compare: "
            f"{', '.join(models)}"
        )
    loops = [
        our_clip(generator, args.latents, how)
        for how in ("off", "exact")
        for generator in generators
    ]
    run_turns(loops, args.clip_rounds)
    names = [
        "bits per code",
        "steps per frame",
        "clips/s",
        "with drafts: forwards",
        "clips/s",
        *SCORES,
    ]
    print(
        f"\n{args.prompts} held-out clips and prompts\n\n"
        f"| | {' | '.join(names)} |\n|{'---|' * (1 + len(names))}"
    )
    for i, (model, generator) in enumerate(zip(models, generators)):
        lag = generator.decoder.config.wavefront
        order = generator.decoder.order
        session = generator.session(PROMPTS[0], params=SamplingParams(guidance=SCALE)).engine
        for _ in range(args.latents):
            session.draw()
        off, exact = (
            1 / statistics.median(loop.seconds) for loop in (loops[i], loops[i + len(models)])
        )
        name = f"wavefront {lag}" if lag else "raster"
        bits = held_out_bits(generator, args.prompts)
        forwards = session.forwards / args.latents
        print(
            f"| {model}, {name} | {bits:.3f} | {order.steps - 1} | {off:.2f} | {forwards:.1f} | "
            f"{exact:.2f} | "
            f"{exam(generator)} |",
            flush=True,
        )
