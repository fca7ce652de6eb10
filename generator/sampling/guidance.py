"""Classifier-free guidance (arXiv:2207.12598), for one condition or several.

With several the logits are nested: those without any condition, then so many times the difference
that the sentence makes, then so many times the difference that the next condition makes beside it.
Conditions of weight 1 are there in every row and cost none.

Legend: B videos, R rows of the batch (B for each level), V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def guide(with_prompt: Tensor, without: Tensor, scale: float) -> Tensor:
    """0 is without the prompt, 1 is with it, more goes on beyond."""
    return torch.lerp(without, with_prompt, scale)


def guide_nested(levels: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Guidance by several conditions.

    Args:
        levels: logits, or states that logits are linear in: first those with all conditions, then
            one condition less each, last those without any.
        weights: of the conditions, in the order in which they come in: `weights[0]` is that of the
            condition that the last level but one has and the last has not.
    """
    inward = levels[::-1]
    guided = guide(inward[1], inward[0], weights[0])
    for before, now, weight in zip(inward[1:], inward[2:], weights[1:]):
        guided = guided + weight * (now - before)
    return guided
