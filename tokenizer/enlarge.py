"""Larger patches without training, the same codes and more pixels from each; and more codes a cell.

Legend: p patch side of the small tokenizer, R how many times as wide the new patches are, u row or
column of a cosine basis, P values of a patch.

A cosine basis of p x p is the low part of one of Rp x Rp. What a linear layer has learned about the
small patch therefore holds for the low part of a large one, once the coefficients are on the same
scale; the layers begin with zeros at the rest. Averaging R neighbouring pixels takes a cosine of
row u down by sin(pi u / 2p) / (R sin(pi u / 2Rp)), and orthonormal coefficients of pictures grow
by R, which gives the scale. A picture without fine detail gets the codes that the small tokenizer
gives to its average, and pixels whose averages are those of the small one, but for what clipping
and the pixel refiner add.
"""

from __future__ import annotations

import dataclasses
import math
import os

import torch
from torch import Tensor

from ..files.model_folder import find_folder
from .config import TokenizerConfig
from .model import VideoTokenizer
from .quantizer import QuantizerConfig

QUIET = 0.3  # of the usual random weights


def enlarge(
    tokenizer: VideoTokenizer,
    patch: int,
    refine_channels: int | None = None,
    refine_stride: int | None = None,
) -> VideoTokenizer:
    """A tokenizer with patches of `patch` pixels that begins with the numbers of this one.

    It shares the codes of this one (`VideoCodes.scaled` says that they stand for more pixels).
    Another refiner than its own, where one is asked for, begins as the identity.

    Statistics of the coefficients that are new are to be measured before training, on videos:
    `enlarged.fit_whitening(videos, keep=enlarged.whitening.low(tokenizer.config.patch))`.

    Raises:
        ValueError: patch is no multiple of this tokenizer's.
    """
    old = tokenizer.config.patch
    if patch < old or patch % old:
        raise ValueError(f"patch must be 1, 2, 3, ... times {old}; got {patch}")
    config = dataclasses.replace(
        tokenizer.config,
        patch=patch,
        refine_channels=_either(refine_channels, tokenizer.config.refine_channels),
        refine_stride=_either(refine_stride, tokenizer.config.refine_stride),
        codes_of=tokenizer.id,
    )
    large = VideoTokenizer(config, library=tokenizer.quantizer.codebook is not None)
    low = large.whitening.low(old)
    columns = low.expand_as(large.whitening.mean).flatten()
    fresh = large.state_dict()
    gain = coefficient_gain(old, patch // old)
    for name, value in tokenizer.state_dict().items():
        if name.startswith("refiner.") and not _same_refiner(config, tokenizer.config):
            continue
        if name.startswith("whitening."):
            begin = torch.ones_like if name.endswith("scale") else torch.zeros_like
            fresh[name] = begin(fresh[name])
            fresh[name][:, low] = value * gain
        elif name == "embed.weight":
            fresh[name] = torch.zeros_like(fresh[name])
            fresh[name][:, columns] = value
        elif name in ("out.weight", "out.bias"):
            fresh[name] = torch.zeros_like(fresh[name])
            fresh[name][columns] = value
        else:
            fresh[name] = value
    large.load_state_dict(fresh)
    return large.train(tokenizer.training)


def with_quantizer(tokenizer: VideoTokenizer, quantizer: QuantizerConfig) -> VideoTokenizer:
    """A tokenizer with another FSQ of more dimensions, such as one of several codebooks a cell.

    The first dimensions begin as those of this one, whatever their levels. The others begin as
    random looks at the encoder's state, which the decoder hardly hears (see `QUIET`): were it deaf
    to them, the encoder could not learn what to tell it. Its codes are new ones.

    Raises:
        ValueError: one of the two is no FSQ, or the new one has fewer dimensions.
    """
    old = tokenizer.config.quantizer
    if (old.name, quantizer.name) != ("FSQ", "FSQ") or quantizer.dim < old.dim:
        raise ValueError(
            f"quantizer must be an FSQ of {old.dim} dimensions or more, in place of another FSQ; "
            f"got a {quantizer.name} of {quantizer.dim} for a {old.name}"
        )
    config = dataclasses.replace(tokenizer.config, quantizer=quantizer, codes_of="")
    larger = VideoTokenizer(config)
    fresh = larger.state_dict()
    for name, value in tokenizer.state_dict().items():
        if name.startswith("quantizer.project."):
            fresh[name][: len(value)] = value
        elif name == "lift.weight":
            fresh[name] *= QUIET
            fresh[name][:, : value.shape[1]] = value
        elif not name.startswith("quantizer.codebook."):
            fresh[name] = value
    larger.load_state_dict(fresh)
    return larger.train(tokenizer.training)


def with_patch(name: str | os.PathLike[str], patch: int, library: bool = True) -> VideoTokenizer:
    """A model's tokenizer for patches of `patch` pixels, for codes of the one that it comes with.

    That is the one in the folder `tokenizer-PATCH` beside the model's `tokenizer`, if there is one;
    else the model's own, enlarged if its patches are smaller.

    Args:
        name, library: as for `VideoTokenizer.from_pretrained`.

    Raises:
        ValueError: there is none for such patches, or it has other codes.
    """
    folder = find_folder(name, "tokenizer")
    own = VideoTokenizer.from_pretrained(folder, library)
    if patch == own.config.patch:
        return own
    beside = folder.with_name(f"tokenizer-{patch}")
    if not beside.is_dir():
        return enlarge(own, patch)
    other = VideoTokenizer.from_pretrained(beside, library)
    if other.id != own.id or other.config.patch != patch:
        raise ValueError(
            f"{beside} has patches of {other.config.patch} and codes of {other.id}, and {folder} "
            f"has codes of {own.id}"
        )
    return other


def _either(asked: int | None, old: int) -> int:
    return old if asked is None else asked


def _same_refiner(a: TokenizerConfig, b: TokenizerConfig) -> bool:
    return (a.refine_channels, a.refine_stride) == (b.refine_channels, b.refine_stride)


def coefficient_gain(patch: int, ratio: int) -> Tensor:
    """What coefficients `[p * p]` of a picture's averages are multiplied by to give its own."""
    u = torch.arange(1, patch, dtype=torch.float64) * (math.pi / (2 * patch))
    loss = torch.cat([torch.ones(1, dtype=torch.float64), u.sin() / (ratio * (u / ratio).sin())])
    return (ratio / torch.outer(loss, loss)).flatten().float()
