"""What a decoder makes of a batch of clips: the nats of their codes, and of those of their sound.

Legend: B clips, T latent frames, H W grid, G = H * W cells, Q codes of a cell, K codes of a
latent's sound, N codes that are picked, V codes that there are, D model width.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor

from ..model.decoder import Decoder
from .batch_parts import Given, Sound, audible
from .linear_loss import linear_loss
from .token_weights import Picked

Nats = tuple[Tensor, Tensor]  # the weighted sum, and the nats of each code


@dataclass(frozen=True)
class Clips:
    """A batch as the decoder reads it.

    Args:
        codes: int64 `[B, T, H, W]`, or `[B, T, H, W, Q]`, that are predicted.
        past: those that the decoder sees as the past, of the same shape.
        text, mask: states of captions `[B, S, E]` and which of them there are, bool `[B, S]`.
        given: features of conditions by name.
        corrupt: cells bool `[B, T, H, W]` that are hidden from the past.
        sound: codes `[B, T, K]`, and which clips are silent.
    """

    codes: Tensor
    past: Tensor
    text: Tensor
    mask: Tensor
    given: Given = field(default_factory=dict)
    corrupt: Tensor | None = None
    sound: Sound | None = None


def nats_of(
    model: Decoder,
    clips: Clips,
    backend: str,
    picked: Picked = (None, None),
    listened: Picked = (None, None),
) -> tuple[Nats, Nats | None]:
    """Nats of the picture's codes `[B, T, G]`, or `[B, T, G, Q]`; of those of sound `[B, T, K]`, if
    the clips have any, in whose sum silent clips have no part.

    Each code is predicted from the cells before it in the past and the codes of its own cell.

    Args:
        picked: cells int64 [N] of the flattened [B, T, G] that are computed alone, so that their
            nats are `[N]` or `[N, Q]`, and their weights in the sum; None for all.
        listened: the same of the flattened [B, T, K].
    """
    only_N, weight_N = picked
    codes = clips.codes.flatten(2, 3)
    codes = codes if only_N is None else codes.flatten(0, 2)[only_N]
    inputs: dict[str, Any] = {
        "given": clips.given,
        "corrupt_mask": clips.corrupt,
        "within": clips.codes,
        "backend": backend,
        "only_N": only_N,
        "read": partial(linear_loss, codes=codes, weights=weight_N),
    }
    if clips.sound is None:
        picture: Nats = model(clips.past, clips.text, clips.mask, **inputs)
        return picture, None
    inputs["sound_BTX"], inputs["silent_B"] = clips.sound
    inputs["read_sound"] = partial(_sound_nats, sound=clips.sound, listened=listened)
    both: tuple[Nats, Nats] = model(clips.past, clips.text, clips.mask, **inputs)
    return both


def _sound_nats(states_BTKD: Tensor, table_VD: Tensor, sound: Sound, listened: Picked) -> Nats:
    only_N, weight = listened
    weight = audible(sound) if weight is None else weight
    if only_N is None:
        return linear_loss(states_BTKD, table_VD, sound[0], weight)
    states_ND = states_BTKD.flatten(0, 2)[only_N]
    return linear_loss(states_ND, table_VD, sound[0].flatten()[only_N], weight)
