"""How many bits held-out clips cost a generator, and what each condition saves.

A condition is worth what a clip costs more without it, or with that of another clip. No clip is
sampled: the codes of the true clip are scored, teacher-forced.

Legend: B clips, T latent frames, H W latent grid, G = H * W cells, V vocabulary, S text length.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ...data.datasets.listed_video import Problem
from ...data.video import to_float
from ...generator.conditions import Features
from ...generator.pipeline import VideoGenerator
from .held_out import HeldOut

Row = dict[str, float]
Given = dict[str, Features]


@torch.inference_mode()
def bits_per_clip(
    generator: VideoGenerator, codes_BTHW: Tensor, captions: Sequence[str], given: Given
) -> Tensor:
    """Bits `[B]` of clips under captions ("" is none) and further conditions, float64."""
    text_BSE, mask_BS = generator.text.encode(
        [caption or "-" for caption in captions], generator.decoder.config.max_text
    )
    spoken_B1 = torch.tensor([[bool(caption)] for caption in captions], device=mask_BS.device)
    logits_BTGV = generator.decoder(codes_BTHW, text_BSE, mask_BS & spoken_B1, given=given).float()
    nats_N = functional.cross_entropy(
        logits_BTGV.flatten(0, -2), codes_BTHW.flatten(), reduction="none"
    )
    return nats_N.view(len(codes_BTHW), -1).double().sum(1).cpu() / math.log(2)


def likelihood(
    generator: VideoGenerator,
    held_out: HeldOut,
    batch: int,
    workers: int,
    broken: list[Problem],
    say: Callable[[str], object],
) -> Row:
    """Bits per token and per pixel, and what each condition saves of a clip's bits.

    Clips longer than what the decoder saw in training are cut to that.
    """
    config = generator.decoder.config
    k = config.frames_per_latent
    longest = 1 + config.max_distance * k
    device = generator.decoder.no_text.device
    bits: dict[str, list[Tensor]] = defaultdict(list)
    tokens = pixels = frames = 0
    for group in held_out.batches(range(len(held_out)), batch, workers, broken):
        video = group.video[:, :, :longest]
        given_codes = generator.tokenizer.encode(to_float(video).to(device)).indices
        codes_BTHW = generator.codebooks.take(given_codes)
        for name, (captions, given) in _variants(held_out, group.rows, generator).items():
            cut = _on(given, device, codes_BTHW.shape[1])
            bits[name].append(bits_per_clip(generator, codes_BTHW, captions, cut))
        tokens += codes_BTHW.numel()
        pixels += video[:, 0].numel()
        frames = video.shape[2]
        say(f"bits: {sum(map(len, bits['true']))} of {len(held_out)} clips")
    if not tokens:
        raise ValueError(f"no clip can be read; '{broken[0][0]}' {broken[0][1]}")
    whole = {name: torch.cat(values) for name, values in bits.items()}
    true = whole.pop("true")
    row = {
        "bits per token": float(true.sum()) / tokens,
        "bits per pixel": float(true.sum()) / pixels,
        "bits per clip": float(true.mean()),
        "frames of a scored clip": frames,
    }
    for name, other in whole.items():
        extra = other - true
        there = extra[~extra.isnan()]
        if len(there):
            row[f"extra bits per clip, {name}"] = float(there.mean())
            row[f"clips that cost more, {name}"] = float((there > 0).double().mean())
    return row


def _variants(
    held_out: HeldOut, rows: Sequence[int], generator: VideoGenerator
) -> dict[str, tuple[list[str], Given]]:
    """The true conditions of clips, and those with one of them taken away or exchanged."""
    captions = [held_out.captions[row] for row in rows]
    given = held_out.given(rows, generator)
    found = {"true": (captions, given)}
    if any(captions):
        found["without caption"] = ([""] * len(rows), given)
        others = [_other_caption(held_out.captions, row) for row in rows]
        if all(others):
            found["another clip's caption"] = (others, given)
    swapped = held_out.given([(row + 1) % len(held_out) for row in rows], generator)
    for name, features in given.items():
        found[f"without {name}"] = (captions, given | {name: features.off()})
        if len(held_out) > 1:
            found[f"another clip's {name}"] = (captions, given | {name: swapped[name]})
    return found


def _other_caption(captions: Sequence[str], row: int) -> str:
    """The next caption that says something else, whatever batch the clips are in."""
    following = (captions[(row + step) % len(captions)] for step in range(1, len(captions)))
    return next((other for other in following if other and other != captions[row]), "")


def _on(given: Given, device: torch.device, T: int) -> Given:
    return {
        name: Features(f.values[:, :T].to(device), f.given[:, :T].to(device))
        for name, f in given.items()
    }
