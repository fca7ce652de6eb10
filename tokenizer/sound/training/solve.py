"""The numbers of a sound tokenizer from levels of sounds: least squares, principal components, and
levels of least error.

What is predicted from is what a decoder would have, so all is solved for again after every sound
was coded by what was found before.

Legend: B sounds, S steps, D levels of a block, P levels of the past, M components, R levels of a
component, T blocks.
"""

import dataclasses
import logging

import torch
from torch import Tensor

from ..analysis import FLOOR, warped_amplitude
from ..block_codes import MOST_LEVELS, BlockCodes, layout, silent
from ..config import SoundTokenizerConfig
from ..model import SoundTokenizer

log = logging.getLogger(__name__)
MOST_BITS = MOST_LEVELS.bit_length() - 1  # of a component
CANDIDATES = 160  # components that are looked at
RIDGE = 1e-3  # of the prediction
LLOYD_ROUNDS = 12


def solve(config: SoundTokenizerConfig, levels_BSK: Tensor, rounds: int = 2) -> SoundTokenizer:
    """A tokenizer of these sizes (but for `components`, which follow) for sounds whose warped
    levels are `[B, S, K]`, S a multiple of a block. ValueError if there are too few of them."""
    blocks_BTD = levels_BSK.unflatten(1, (-1, config.block)).flatten(2)
    size = int((~silent(blocks_BTD.flatten(0, 1), config)).sum())
    if size < 2 * blocks_BTD.shape[2]:
        raise ValueError(
            f"{size} blocks with a sound are too few for {blocks_BTD.shape[2]} numbers in each; "
            f"give at least {2 * blocks_BTD.shape[2]}"
        )
    decoded = blocks_BTD
    for number in range(rounds):
        tokenizer = _solve_once(config, blocks_BTD, decoded)
        decoded = _decoded(tokenizer.codes, blocks_BTD)
        error = (decoded - blocks_BTD).square().mean().sqrt()
        log.info("round %d: an error of %.4f", number + 1, float(error))
    return tokenizer.eval()


def _solve_once(
    config: SoundTokenizerConfig, blocks_BTD: Tensor, decoded_BTD: Tensor
) -> SoundTokenizer:
    past = _past(config, decoded_BTD).flatten(0, 1)
    wanted = blocks_BTD.flatten(0, 1)
    sounding = ~silent(wanted, config)  # silence has codes of its own
    past, wanted = past[sounding], wanted[sounding]
    past = torch.cat([past, torch.ones_like(past[:, :1])], dim=1).double()
    ridge = RIDGE * len(past) * torch.eye(past.shape[1], dtype=past.dtype)
    predict = torch.linalg.solve(past.T @ past + ridge, past.T @ wanted.double())
    rest = wanted.double() - past @ predict
    _, vectors = torch.linalg.eigh(rest.T @ rest)
    basis = vectors.flip(1)[:, :CANDIDATES]  # the largest first
    component_TM = (rest @ basis).float()
    tables = [best_points(component_TM, 1 << bits) for bits in range(MOST_BITS + 1)]
    wanted_bits = shares([error for _, error in tables], config.codes_per_block * config.code_bits)
    order = sorted((k for k, b in enumerate(wanted_bits) if b), key=lambda k: -wanted_bits[k])
    bits, code, shift = layout(
        [wanted_bits[k] for k in order], config.codes_per_block, config.code_bits
    )
    tokenizer = SoundTokenizer(dataclasses.replace(config, components=len(order)))
    codes = tokenizer.codes
    codes.predict.copy_(predict)
    codes.basis.copy_(basis[:, order])
    for row, component in enumerate(order):
        points = tables[bits[row]][0][component]
        codes.points[row] = points[-1]
        codes.points[row, : len(points)] = points
    for name, values in (("bits", bits), ("code", code), ("shift", shift)):
        getattr(codes, name).copy_(torch.tensor(values))
    return tokenizer


def _past(config: SoundTokenizerConfig, decoded_BTD: Tensor) -> Tensor:
    """What a decoder knows before each block, `[B, T, P]`."""
    count = config.past * config.bands
    silence = warped_amplitude(FLOOR, config.exponent)
    first = torch.full_like(decoded_BTD[:, :1, :count], silence)
    return torch.cat([first, decoded_BTD[:, :-1, -count:]], dim=1)


def _decoded(codes: BlockCodes, blocks_BTD: Tensor) -> Tensor:
    past = _past(codes.config, blocks_BTD[:, :1])[:, 0]
    result = []
    for block_BD in blocks_BTD.unbind(1):
        result.append(codes.decode(codes.encode(block_BD, past), past))
        past = result[-1][:, -past.shape[1] :]
    return torch.stack(result, dim=1)


def best_points(values_TM: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """`count` levels for each component, `[M, R]`, and the mean squared error `[M]` of rounding to
    them (Lloyd 1982)."""
    values_MT = values_TM.T.contiguous()
    ordered = values_MT.sort(1).values
    T = ordered.shape[1]
    place = (torch.arange(count) + 0.5) / count
    low, high = ordered[:, T // 500, None], ordered[:, -1 - T // 500, None]
    quantiles = ordered[:, (place * T).long()]
    points = (0.5 * quantiles + 0.5 * (low + (high - low) * place)).contiguous()
    for _ in range(LLOYD_ROUNDS):
        nearest = _nearest(points, values_MT)
        total = torch.zeros_like(points).scatter_add_(1, nearest, values_MT)
        members = torch.zeros_like(points).scatter_add_(1, nearest, torch.ones_like(values_MT))
        points = torch.where(members > 0, total / members.clamp_min(1), points).sort(1).values
    error = points.gather(1, _nearest(points, values_MT)) - values_MT
    return points, error.square().mean(1)


def _nearest(points_MR: Tensor, values_MT: Tensor) -> Tensor:
    edges = 0.5 * (points_MR[:, 1:] + points_MR[:, :-1])
    return torch.searchsorted(edges.contiguous(), values_MT)


def shares(errors: list[Tensor], total: int) -> list[int]:
    """How many of `total` bits each component should get, when `errors[b]` `[M]` are those that are
    left with b bits: always to the one where a bit takes most away."""
    error_RM = torch.stack(errors)
    gains = error_RM[:-1] - error_RM[1:]
    bits = [0] * gains.shape[1]
    gain = gains[0].clone()
    for _ in range(total):
        best = int(gain.argmax())
        bits[best] += 1
        gain[best] = gains[bits[best], best] if bits[best] < len(gains) else -1.0
    return bits
