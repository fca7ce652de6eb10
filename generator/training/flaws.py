"""Flaws in the past of training clips, so that long roll-outs drift less on their own mistakes.

The tokens to be predicted stay true; only the past that the decoder sees is disturbed.

Legend: B clips, T latent frames, H W grid, G = H * W cells, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..model.config import DecoderConfig, check_shares

Uniform = Callable[..., Tensor]  # (B, ...) -> numbers in [0, 1) of that shape


@dataclass(frozen=True)
class ContextFlaws:
    """How the past is disturbed. Shares of codes add up to at most 1.

    Args:
        clips: share of the clips with a disturbed past. The first few frames of each are
            disturbed, a random number of them.
        random: share of their codes that are replaced by any other code.
        nearby: share that are replaced by a code one level off in one dimension of the FSQ code.
        own: share that are replaced by the model's own guess, drawn from its prediction given the
            true past (parallel scheduled sampling, arXiv:1906.04331). It costs one more forward
            pass for each of `own_rounds`.
        own_rounds: rounds of guesses. In each further round the guesses are made from those of the
            round before, which makes them more like a roll-out.
        frames: share of the disturbed frames that are hidden as a whole.
    """

    clips: float = 0.0
    random: float = 0.02
    nearby: float = 0.08
    own: float = 0.0
    own_rounds: int = 1
    frames: float = 0.0

    def __post_init__(self) -> None:
        check_shares(
            **{f"flaws.{name}": share for name, share in vars(self).items() if name != "own_rounds"}
        )
        if self.random + self.nearby + self.own > 1:
            raise ValueError(
                "flaws.random, nearby and own are shares of the same codes; together they are "
                f"{self.sum}"
            )
        if self.own_rounds < 1:
            raise ValueError(f"flaws.own_rounds must be at least 1; got {self.own_rounds}")

    @property
    def sum(self) -> float:
        return self.random + self.nearby + self.own


def uniform(seed: int, rank: int, ranks: int, device: torch.device) -> Uniform:
    """Random numbers for one of `ranks` processes.

    Together the processes draw what a single one would draw for the whole batch.
    """
    dice = torch.Generator(device).manual_seed(seed)

    def draw(batch: int, *shape: int) -> Tensor:
        return torch.rand(batch * ranks, *shape, generator=dice, device=device)[rank * batch :][
            :batch
        ]

    return draw


def nearby_codes(codes: Tensor, levels: tuple[int, ...], draw: Uniform) -> Tensor:
    """For every code a random one that is one level off in one FSQ dimension.

    At the end of a dimension the only neighbour is taken.
    """
    if not levels:
        raise ValueError(
            "nearby codes need an FSQ tokenizer, whose codes have levels; set flaws.nearby to 0"
        )
    sizes = torch.tensor(levels, device=codes.device)
    strides = torch.tensor([math.prod(levels[:i]) for i in range(len(levels))], device=codes.device)
    which = (draw(*codes.shape) * len(levels)).long()
    size = sizes[which]
    stride = strides[which]
    level = codes // stride % size
    step = torch.where(draw(*codes.shape) < 0.5, -1, 1)
    step = torch.where((level + step < 0) | (level + step >= size), -step, step)
    return codes + torch.where(size > 1, step, 0) * stride


def own_codes(logits_BTGV: Tensor, draw: Uniform) -> Tensor:
    """Codes drawn from what a model predicts, [B, T, G] (or [B, T, G, Q] of [B, T, G, Q, K])."""
    share_BTGV = logits_BTGV.float().softmax(-1).cumsum(-1)
    point_BTG1 = draw(*logits_BTGV.shape[:-1])[..., None] * share_BTGV[..., -1:]
    return (
        torch.searchsorted(share_BTGV, point_BTG1, right=True)
        .squeeze(-1)
        .clamp_(max=logits_BTGV.shape[-1] - 1)
    )


def disturb(
    codes_BTHW: Tensor,
    flaws: ContextFlaws,
    config: DecoderConfig,
    draw: Uniform,
    guess: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """The past in place of the true codes, in their shape, and which frames are hidden, `[B, T]`.

    Args:
        codes_BTHW: or [B, T, H, W, Q] of several codebooks.
        guess: gives the logits [B, T, G, V] (or [B, T, G, Q, K]) for a past; called if `own` is
            above 0.
    """
    B, T = codes_BTHW.shape[:2]
    chosen_B1 = draw(B, 1) < flaws.clips
    # the last frame stays as it is, unless it is the only one
    past_B1 = 1 + (draw(B, 1) * max(1, T - 1)).long()
    context_BT = chosen_B1 & (torch.arange(T, device=codes_BTHW.device) < past_B1)
    part = draw(*codes_BTHW.shape)
    past = codes_BTHW
    inside = (1,) * (codes_BTHW.dim() - 2)
    replace = partial(_replace, context=context_BT.view(B, T, *inside), part=part)
    if flaws.own:
        start = flaws.random + flaws.nearby
        for _ in range(flaws.own_rounds):
            drawn = own_codes(guess(past), draw).view_as(codes_BTHW)
            past = replace(codes_BTHW, drawn, start, start + flaws.own)
    if flaws.random:
        other = (draw(*codes_BTHW.shape) * config.codebook_size).long()
        past = replace(past, other, 0.0, flaws.random)
    if flaws.nearby:
        levels = config.levels[:-1] if config.codebooks > 1 else config.levels
        other = nearby_codes(codes_BTHW, levels, draw)
        past = replace(past, other, flaws.random, flaws.random + flaws.nearby)
    return past, context_BT & (draw(B, T) < flaws.frames)


def _replace(
    past: Tensor, other: Tensor, first: float, last: float, *, context: Tensor, part: Tensor
) -> Tensor:
    """`other` where the random number of a cell lies in [first, last)."""
    return torch.where(context & (part >= first) & (part < last), other, past)
