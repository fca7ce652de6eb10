"""Levels of a block of steps to a few codes and back: predict, rotate, round.

What the decoded past says about a block is taken away; the rest is turned onto its principal
components, and each component is rounded to one of a few levels of its own (scalar quantization of
a transform with a finite number of levels, as in FSQ, Mentzer et al. 2023; levels after Lloyd 1982
and Max 1960). Every number here is solved for by `training.solve`; nothing needs a gradient.

A block in which nothing can be heard has the same codes whatever came before it, all SILENT, so
that silence is easy to predict, and is always decoded as the same silence.

Legend: B batch, D levels of a block, P levels of the past and a one, M components, R levels of a
component at most, N codes of a block.
"""

import torch
from torch import Tensor, nn

from .analysis import FLOOR, GATE, warped_amplitude
from .config import SoundTokenizerConfig

MOST_LEVELS = 64  # of a component
SILENT = 0


class BlockCodes(nn.Module):
    """`predict` [P, D], `basis` [D, M], `points` [M, R], the levels of each component, and which
    bits of which code say them: `bits`, `code` and `shift` [M]."""

    bits: Tensor
    code: Tensor
    shift: Tensor

    def __init__(self, config: SoundTokenizerConfig) -> None:
        super().__init__()
        self.config = config
        size = config.block * config.bands
        past = config.past * config.bands
        basis = torch.linalg.qr(torch.randn(size, config.components))[0].contiguous()
        bits, code, shift = even_layout(config)
        self.predict = _solved(torch.zeros(past + 1, size))
        self.basis = _solved(basis)
        self.points = _solved(torch.linspace(-3, 3, MOST_LEVELS).repeat(len(bits), 1))
        self.register_buffer("bits", bits)
        self.register_buffer("code", code)
        self.register_buffer("shift", shift)

    def predicted(self, past_BP: Tensor) -> Tensor:
        """What the levels of a block will be, `[B, D]`, by those of the steps before it."""
        return past_BP @ self.predict[:-1] + self.predict[-1]

    def encode(self, block_BD: Tensor, past_BP: Tensor) -> Tensor:
        """Codes int64 `[B, N]` of a block, all SILENT where no level of it can be heard."""
        component_BM = (block_BD - self.predicted(past_BP)) @ self.basis
        count_M = 1 << self.bits
        unused = torch.arange(MOST_LEVELS, device=count_M.device) >= count_M[:, None]
        distance = (component_BM[..., None] - self.points).abs()
        digit_BM = distance.masked_fill(unused, torch.inf).argmin(2)
        codes = digit_BM.new_zeros(len(digit_BM), self.config.codes_per_block)
        codes.index_add_(1, self.code, digit_BM << self.shift)
        # what sounds and happens to have the codes of silence gets those nearest to them
        codes[:, -1] += (codes == SILENT).all(1)
        return codes.masked_fill(silent(block_BD, self.config)[:, None], SILENT)

    def decode(self, codes_BN: Tensor, past_BP: Tensor) -> Tensor:
        """Codes to the levels of their block, `[B, D]`."""
        digit_BM = (codes_BN[:, self.code] >> self.shift) & ((1 << self.bits) - 1)
        points_MR = self.points
        component_BM = points_MR[torch.arange(len(points_MR), device=digit_BM.device), digit_BM]
        block_BD = self.predicted(past_BP) + component_BM @ self.basis.T
        silent_B = (codes_BN == SILENT).all(1)
        silence = warped_amplitude(FLOOR, self.config.exponent)
        return block_BD.masked_fill(silent_B[:, None], silence)


def silent(block_BD: Tensor, config: SoundTokenizerConfig) -> Tensor:
    """In which blocks nothing can be heard, bool `[B]`."""
    return (block_BD <= warped_amplitude(GATE, config.exponent)).all(1)


def _solved(values: Tensor) -> nn.Parameter:
    """A number of the model that no gradient changes."""
    return nn.Parameter(values, requires_grad=False)


def even_layout(config: SoundTokenizerConfig) -> tuple[Tensor, Tensor, Tensor]:
    """`bits`, `code` and `shift` of components that share the bits of all codes evenly."""
    N, M = config.codes_per_block, config.components
    code = torch.arange(M) % N
    bits, shift = torch.zeros(M, dtype=torch.int64), torch.zeros(M, dtype=torch.int64)
    for number in range(N):
        mine = (code == number).nonzero()[:, 0].tolist()
        left = config.code_bits
        for place, component in enumerate(mine):
            bits[component] = min(6, -(-left // (len(mine) - place)))
            shift[component] = config.code_bits - left
            left -= int(bits[component])
    return bits, code, shift


def layout(wanted: list[int], codes: int, code_bits: int) -> tuple[list[int], list[int], list[int]]:
    """Which bits of which code each component gets, `bits`, `code` and `shift`, for the bits that
    each wants, the largest first. Where they do not fit a code any more, a component gets fewer.
    """
    left = [code_bits] * codes
    result: list[tuple[int, int, int]] = []
    for want in wanted:
        fits = [number for number in range(codes) if left[number] >= want]
        number = fits[0] if fits else max(range(codes), key=lambda number: left[number])
        bits = min(want, left[number])
        result.append((bits, number, code_bits - left[number]))
        left[number] -= bits
    return [row[0] for row in result], [row[1] for row in result], [row[2] for row in result]
