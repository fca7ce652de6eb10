"""How a model goes on from the first latent frame of a clip, and how likely it finds the clip.

Legend: B clips, T latent frames, H W latent grid, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ...generator.pipeline import VideoGenerator
from ...generator.sampling.engine import SamplingEngine
from ...generator.sampling.params import SamplingParams

# What a model would say first: without chance, so that what it knows by heart shows.
BY_HEART = SamplingParams(guidance=1.0, temperature=0.0)


def caption_states(generator: VideoGenerator, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
    """States [B, S, E] of captions and the mask of real tokens [B, S]; a clip without a caption has
    none."""
    spoken = [row for row, caption in enumerate(captions) if caption.strip()]
    device = next(generator.decoder.parameters()).device
    if not spoken:
        states = torch.zeros(len(captions), 1, generator.text.dim, device=device)
        return states, torch.zeros(len(captions), 1, dtype=torch.bool, device=device)
    own, real = generator.text.encode(
        [captions[row] for row in spoken], generator.decoder.config.max_text
    )
    states = own.new_zeros(len(captions), *own.shape[1:])
    mask = real.new_zeros(len(captions), real.shape[1])
    states[spoken] = own
    mask[spoken] = real
    return states, mask


@torch.inference_mode()
def clip_bits(
    generator: VideoGenerator, codes_BTHW: Tensor, captions: Sequence[str]
) -> list[float]:
    """Mean bits of a code of each clip, after its first latent frame, given its caption and all
    codes before it.

    Args:
        codes_BTHW: as the decoder knows them (`Codebooks.in_rows`), with T of at least 2.
    """
    text = caption_states(generator, captions)
    logits_BTGV = generator.decoder(codes_BTHW, *text)[:, 1:].float()
    wanted = codes_BTHW[:, 1:].flatten()
    nats = functional.cross_entropy(logits_BTGV.flatten(0, -2), wanted, reduction="none")
    return (nats.view(len(codes_BTHW), -1).mean(1) / math.log(2)).tolist()


@torch.inference_mode()
def continued(
    generator: VideoGenerator,
    codes_BTHW: Tensor,
    captions: Sequence[str],
    params: SamplingParams = BY_HEART,
    seed: int = 0,
) -> Tensor:
    """Codes [B, T, H, W] whose first latent frame is given and whose others are the model's."""
    B, T = codes_BTHW.shape[:2]
    text = caption_states(generator, captions)
    engine = SamplingEngine(generator.decoder, *text, range(seed, seed + B), params)
    engine.feed(codes_BTHW[:, 0].flatten(1, 2))
    drawn = [engine.draw().view_as(codes_BTHW[:, 0]) for _ in range(T - 1)]
    return torch.stack([codes_BTHW[:, 0], *drawn], dim=1)


def copied_share(true_THW: Tensor, drawn_THW: Tensor) -> float:
    """The share of codes that a continuation has as the clip has them, among those that differ from
    the first latent frame. What stands still says nothing, since repeating it needs no memory.

    NaN where nothing changes.
    """
    changed = true_THW[1:] != true_THW[:1]
    if not changed.any():
        return math.nan
    same = true_THW[1:] == drawn_THW[1:]
    return float(same[changed].float().mean())
