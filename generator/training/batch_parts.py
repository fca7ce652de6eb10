"""What a batch of clips holds beside codes and captions: further conditions, and sound. In training
some clips are shown without it, so that a model can do without and be guided.

Legend: B batch, T latent frames, K codes of a latent's sound.
"""

from __future__ import annotations

from torch import Tensor

from ..conditions import CONDITIONS, Features
from ..model.config import DecoderConfig
from .flaws import Uniform

Batch = dict[str, Tensor]
Given = dict[str, Features]
Sound = tuple[Tensor, Tensor]  # codes [B, T, K], and which clips are silent [B]


def given_in(batch: Batch, config: DecoderConfig, draw: Uniform | None = None) -> Given:
    """The features of the conditions that a decoder takes, as far as the batch has them.

    Args:
        draw: leave each condition out of a share of the clips, its `dropout`.
    """
    given: Given = {}
    for name, size in config.conditions:
        features = _features(batch, config, name, size)
        if features is None:
            continue
        there = features.given
        if draw is not None:
            kept_B1 = draw(len(there), 1) >= CONDITIONS[name].dropout
            there = there & kept_B1.view(-1, *(1,) * (there.dim() - 1))
        given[name] = Features(features.values, there)
    return given


def _features(batch: Batch, config: DecoderConfig, name: str, size: int) -> Features | None:
    """What a batch holds of a condition, by its name or among recorded actions."""
    if name in batch:
        return Features(batch[name], batch[f"{name}_given"])
    if "recorded" not in batch:
        return None
    features = CONDITIONS[name].recorded(batch["recorded"], config.frames_per_latent, size)
    T = batch["codes"].shape[1]
    return features and Features(features.values[:, :T], features.given[:, :T])


def sound_in(batch: Batch, draw: Uniform | None = None, dropout: float = 0.0) -> Sound:
    """Codes of the sound, int64 [B, T, K], and which clips are without, bool [B].

    Args:
        draw: leave the sound out of a share of the clips, `dropout`.
    """
    silent_B = ~batch["heard"]
    if draw is not None:
        silent_B = silent_B | (draw(len(silent_B)) < dropout)
    return batch["sound"], silent_B


def audible(sound: Sound) -> Tensor:
    """1 for every code of sound of clips that are not silent, 0 for the others, [B, T, K]."""
    codes_BTK, silent_B = sound
    return (~silent_B).float()[:, None, None].expand(codes_BTK.shape)
