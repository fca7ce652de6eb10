"""Weights of the tokens of a clip in the training loss.

Legend: B clips, T latent frames, H W grid, G = H * W cells, N tokens that the loss is computed on.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# tokens int64 [N] that a loss is computed on, and their weights; None for all, and for weights of 1
Picked = tuple[Tensor | None, Tensor | None]


@dataclass(frozen=True)
class TokenLoss:
    """The weight of a token in the loss.

    It is 1, plus `changed` if the token differs from the same cell of the frame before (or there is
    none before), plus `objects` if its cell shows an object (where the data knows). With a `share`
    below 1 the loss is an estimate from that share of the tokens, drawn in proportion to their
    weights: with a large vocabulary the logits cost as much as all layers together, and most tokens
    have a small weight. `sound` is the weight of the mean over codes of sound, beside that over the
    picture, and `sound_share` the share of these codes, which all weigh the same.
    """

    changed: float = 1.0
    objects: float = 1.0
    share: float = 1.0
    sound: float = 0.25
    sound_share: float = 1.0

    def __post_init__(self) -> None:
        for name in ("share", "sound_share"):
            share = getattr(self, name)
            if not 0 < share <= 1:
                raise ValueError(
                    f"loss.{name} is a share of the codes, above 0 and at most 1; got {share}"
                )
        if self.sound < 0:
            raise ValueError(f"loss.sound must be 0 or more; got {self.sound}")

    def weights(self, codes_BTHW: Tensor, objects_BTHW: Tensor) -> Tensor:
        """Weights [B, T, G], given which cells show objects. The codes of a cell, if it has
        several, have its weight; one that has changed changes all."""
        changed = torch.ones_like(objects_BTHW)
        different = codes_BTHW[:, 1:] != codes_BTHW[:, :-1]
        changed[:, 1:] = different.any(-1) if different.dim() > objects_BTHW.dim() else different
        return (1 + self.changed * changed + self.objects * objects_BTHW).flatten(2)

    def pick(self, weight_BTG: Tensor, chance: Tensor) -> tuple[Tensor | None, Tensor]:
        """The tokens [N] of the flattened [B, T, G] to compute the loss on, and their weights."""
        return _pick(weight_BTG, self.share, chance)

    def pick_sound(self, weight_BTK: Tensor, chance: Tensor) -> tuple[Tensor | None, Tensor]:
        """The same of codes of sound, the flattened [B, T, K]."""
        return _pick(weight_BTK, self.sound_share, chance)


def _pick(weight: Tensor, share: float, chance: Tensor) -> tuple[Tensor | None, Tensor]:
    """A share of some tokens, int64 [N], or None for all, and their weights.

    The tokens lie at even distances along the sum of all weights, from a random start `chance` in
    [0, 1) on (systematic sampling), so on average they add up to the sum over all tokens.
    """
    weight = weight.flatten()
    if share == 1:
        return None, weight
    along = weight.cumsum(0)
    count = max(1, round(share * len(weight)))
    places = (torch.arange(count, device=weight.device) + chance.flatten()) / count * along[-1]
    picked_N = torch.searchsorted(along, places, right=True).clamp(max=len(weight) - 1)
    return picked_N, (along[-1] / count).expand(count)
