"""Measures of long roll-outs: how a model continues a past that it made itself.

Legend: B clips, T latent frames, G = H * W cells of one, S text length, E text width, F Y X frames
and pixels, D features, N tokens of last frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor

from ..generator.model.decoder import Decoder
from ..generator.sampling.engine import SamplingEngine
from ..generator.sampling.params import SamplingParams
from .frame_distance import frechet


@torch.inference_mode()
def bits_by_age(
    decoder: Decoder,
    codes_BTHW: Tensor,
    text_BSE: Tensor,
    text_mask_BS: Tensor,
    ages: Sequence[int],
    params: SamplingParams = SamplingParams(),
    seed: int = 0,
    backend: str = "sdpa",
) -> dict[int, float]:
    """Mean bits per token of the last frame of real clips, after `age` frames of the model's own.

    The frames before those are real. Age 0 is ordinary teacher forcing. The extra bits of later
    ages are what the model loses on its own past. A part of that is no mistake, because a clip
    could have continued otherwise.

    Args:
        codes_BTHW: int64 codes of real clips.
        text_BSE, text_mask_BS: states of their captions.
        ages: in latent frames, each from 0 to T - 1 (then only the caption is real).
        params: how the model's own frames are drawn.

    Raises:
        ValueError: an age beyond the clip.
    """
    B, T = codes_BTHW.shape[:2]
    if not ages or min(ages) < 0 or max(ages) > T - 1:
        raise ValueError(
            f"ages must be 0 to {T - 1} latent frames, one less than the clips have; got "
            f"{list(ages)}"
        )
    bits = {}
    cells = B * T * decoder.config.cells
    number_BTG = torch.arange(cells, device=codes_BTHW.device)
    last_N = number_BTG.view(B, T, -1)[:, -1].flatten()
    for age in ages:
        start = T - 1 - age
        session = SamplingEngine(
            decoder, text_BSE, text_mask_BS, range(seed, seed + B), params, backend=backend
        )
        for frame_BHW in codes_BTHW[:, :start].unbind(1):
            session.feed(frame_BHW.flatten(1, 2))
        own = [session.draw().view_as(codes_BTHW[:, 0]) for _ in range(age)]
        mixed_BTHW = torch.cat(
            [codes_BTHW[:, :start], *(frame[:, None] for frame in own), codes_BTHW[:, -1:]], dim=1
        )
        logits_NV = decoder(
            mixed_BTHW, text_BSE, text_mask_BS, backend=backend, window=params.window, only_N=last_N
        )
        targets = mixed_BTHW.flatten(0, 3)[last_N].flatten()
        nats = functional.cross_entropy(logits_NV.float().flatten(0, -2), targets)
        bits[age] = float(nats) / math.log(2)
    return bits


def frame_drift(
    videos_B3FYX: Tensor, features: Callable[[Tensor], Tensor], frames: int = 16
) -> float:
    """Fréchet distance between the first and the last `frames` frames of long videos.

    Real videos of the same length drift as well when their cameras move, so compare with theirs.

    Args:
        videos_B3FYX: uint8, with at least 2 * `frames` frames.
        features: float [N, D] of single frames uint8 [N, 3, 1, Y, X]; for the physics world,
            `Judge.features` is such a function.

    Raises:
        ValueError: the videos are too short.
    """
    F = videos_B3FYX.shape[2]
    if frames < 1 or 2 * frames > F:
        raise ValueError(f"the videos need at least {max(2, 2 * frames)} frames; got {F}")

    def of(part_B3FYX: Tensor) -> Tensor:
        return features(part_B3FYX.transpose(1, 2).flatten(0, 1)[:, :, None])

    return frechet(of(videos_B3FYX[:, :, :frames]), of(videos_B3FYX[:, :, -frames:]))
