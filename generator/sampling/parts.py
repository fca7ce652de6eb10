"""The parts of a frame that are drawn one after the other: its picture, then its sound.

Each part has a table of what its tokens carry, an order in which they run, and heads that read
their codes. The blocks between are the same.

Legend: B videos, T tokens of one forward, G cells of the part, Q codes of a cell, D model width, K
codes of a codebook, I = Q * K + 3 ids of what tokens carry: codes of each place, then a start, a
hidden token and nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..model.depth import DepthDecoder
from ..model.order import DecodeOrder
from .cuda_graph import Work
from .drafts import FrameDraft, SpeculativeDraft, SteadyDraft, draft_steps, frame_ids
from .noise import FrameNoise, gumbel_bits, uniform_noise
from .params import SamplingParams

PICTURE_STREAM, SOUND_STREAM = 0, 2  # of the noise; 1 is that of guesses accepted by chance
MANY_CODES = 8  # of a token, so that to draw them one after another takes long


class CarriedVectors:
    """What tokens carry, by its id.

    Args:
        rows_RD: of the codes of every place [I, D]; or of one place, with the last three [K + 3,
            D], which those of all places are made from.
        gains_QD: what the vectors of codes at each place are multiplied by, in the second case.
    """

    def __init__(self, rows_RD: Tensor, gains_QD: Tensor | None = None) -> None:
        self.rows_RD = rows_RD
        self.gains_PD: Tensor | None = None
        self.ids = len(rows_RD)
        self.codes = self.ids - 3
        if gains_QD is not None:
            alone_1D = torch.ones_like(gains_QD[:1])
            self.gains_PD = torch.cat([gains_QD, alone_1D]).to(rows_RD.dtype)
            self.ids = len(gains_QD) * self.codes + 3

    def of(self, ids: Tensor) -> Tensor:
        """Vectors [..., D] of any ids."""
        if self.gains_PD is None:
            return self.rows_RD[ids]
        last = len(self.gains_PD) - 1
        place = (ids // self.codes).clamp_(max=last)
        row = ids - self.codes * place.clamp(max=last - 1)
        return self.rows_RD[row] * self.gains_PD[place]

    def of_codes(self, codes: Tensor, place: int, size: int) -> Tensor:
        """Vectors [..., D] of codes, of a codebook of this size, that stand at one place."""
        if self.gains_PD is None:
            return self.rows_RD[codes + size * place]
        return self.rows_RD[codes] * self.gains_PD[place]


@dataclass(frozen=True, eq=False)
class FramePart:
    """What an engine needs to draw one part of a frame.

    Args:
        order: its tokens.
        first: place of the first of them in the frame.
        codebook_size: codes of one codebook.
        codes: of a token; those of each have their own rows in the table.
        vectors: what tokens carry.
        heads: for each code of a token, from states to logits.
        depth: draws the codes of a token one after another, if it has several.
        stream: of the noise that the codes are drawn with.
    """

    order: DecodeOrder
    first: int
    codebook_size: int
    codes: int
    vectors: CarriedVectors
    heads: tuple[nn.Module, ...]
    depth: DepthDecoder | None
    stream: int

    @property
    def cells(self) -> int:
        return len(self.order.predictors_G)

    @property
    def books(self) -> tuple[int, ...]:
        """Axes that the codes of a token add to a tensor of codes."""
        return (self.codes,) if self.codes > 1 else ()

    @property
    def device(self) -> torch.device:
        return self.vectors.rows_RD.device

    def frame_ids(self, codes_BG: Tensor) -> Tensor:
        """What the tokens of a part that is given carry, int64 [B, L, Q], in their order."""
        codes_BGQ = codes_BG if codes_BG.dim() == 3 else codes_BG[..., None]
        first_Q = self.codebook_size * torch.arange(self.codes, device=codes_BG.device)
        ids_BIQ = frame_ids(self.order, codes_BGQ + first_Q, self.vectors.ids)
        return ids_BIQ[:, self.order.carried_L]

    def read(self, states_RTD: Tensor, mix: Callable[[Tensor], Tensor], levels: int) -> PartReader:
        """Gives the logits of the codes that tokens with these states predict.

        Args:
            mix: what guidance makes of the states of `levels` rows of each video. Logits are linear
                in them, so the head is needed only once.
        """
        return PartReader(self, states_RTD.unflatten(0, (levels, -1)), mix)


class PartReader:
    """The logits of codes of tokens, given their states [N, B, T, D] at N levels of guidance."""

    def __init__(
        self, part: FramePart, states_NBTD: Tensor, mix: Callable[[Tensor], Tensor]
    ) -> None:
        self.part = part
        self.states_NBTD = states_NBTD
        self.mix = mix
        self._before_BTD: Tensor | None = None  # the sum of what was drawn

    def __call__(self, drawn: Sequence[Tensor]) -> Tensor:
        """Of the next codes [B, T, K], after those that are drawn; called once for each."""
        part = self.part
        code = len(drawn)
        if part.depth is None:
            return self._guided(code, self.states_NBTD)
        if code:
            vectors_BTD = part.vectors.of_codes(drawn[-1], code - 1, part.codebook_size)
            before_BTD = self._before_BTD
            self._before_BTD = vectors_BTD if before_BTD is None else before_BTD + vectors_BTD
        return self._guided(code, part.depth.step(self.states_NBTD, code, self._before_BTD))

    def all_at_once(self, codes_BTQ: Tensor) -> Tensor:
        """Of all codes [B, T, Q, K], each as if those before it were these."""
        part = self.part
        assert part.depth is not None
        codes = enumerate(codes_BTQ.unbind(-1))
        vectors = [part.vectors.of_codes(code, q, part.codebook_size) for q, code in codes]
        states_NBTQD = part.depth(self.states_NBTD, torch.stack(vectors, dim=-2))
        logits = [self._guided(q, state) for q, state in enumerate(states_NBTQD.unbind(-2))]
        return torch.stack(logits, dim=-2)

    def _guided(self, code: int, states_NBTD: Tensor) -> Tensor:
        return self.part.heads[code](self.mix(states_NBTD.flatten(0, 1)))


class PartSampler:
    """Draws one part of the frames of an engine, and remembers what came before.

    Args:
        part: what is drawn.
        params: how.
        static: shapes that depend on no code.
    """

    def __init__(self, part: FramePart, params: SamplingParams, static: bool) -> None:
        self.part = part
        self.params = params
        self.static = static
        self.past: list[Tensor] = []  # codes [B, G] of the sinks and of the last frames
        self.needed = 0  # forwards for the last frame
        # a draft, and a round with it that a graph replays
        self.recorded: tuple[FrameDraft, Work] | None = None
        # random bits, and of which frame and seeds they are
        self._made: tuple[tuple[int, ...], Tensor] | None = None

    def open(self, seeds: Sequence[int], frame: int, rows: int) -> FrameDraft:
        """The draft of this part of a frame, of which nothing is drawn.

        Args:
            seeds: one per video.
            frame: its number.
            rows: of the batch that the decoder runs.
        """
        part = self.part
        device = part.device
        noise = FrameNoise(self.bits(seeds, frame), self.params, device, self.static)
        shape = len(seeds), part.cells, *part.books
        guess_BG = self.past[-1] if self.past else torch.zeros(shape, dtype=torch.long).to(device)
        steps = draft_steps(self.params, rows, part.order, device.type)
        arguments = part.order, guess_BG, part.codebook_size, noise, self.params, steps
        if self.params.accelerate != "distribution" or part.stream == SOUND_STREAM:
            return (SteadyDraft if self._steady() else FrameDraft)(*arguments, self.static)
        uniform_B2G = uniform_noise(seeds, frame, part.cells).to(device)
        return SpeculativeDraft(*arguments, uniform_B2G, self.static)

    def _steady(self) -> bool:
        """Whether tokens of many codes stay as they are, as those of silence do."""
        if self.static or self.part.codes < MANY_CODES or self.params.accelerate == "off":
            return False
        return len(self.past) > 1 and torch.equal(self.past[-2], self.past[-1])

    def bits(self, seeds: Sequence[int], frame: int) -> Tensor:
        """Random bits of a frame, int32 [B, G * Q, K]; kept, because they may be made before their
        turn."""
        key = (frame, *seeds)
        if self._made is None or self._made[0] != key:
            part = self.part
            sizes = (part.cells * part.codes, part.codebook_size)
            bits = (
                torch.zeros(len(seeds), *sizes).int()
                if self.params.greedy
                else gumbel_bits(seeds, frame, *sizes, part.stream)
            )
            self._made = key, bits
        return self._made[1]

    def append(self, codes_BG: Tensor, sinks: int, remembered: int) -> None:
        """Take the codes of a frame, and forget those of the oldest that is no sink."""
        self.past.append(codes_BG)
        if len(self.past) > sinks + remembered:
            del self.past[sinks]

    def select(self, rows_R: Tensor) -> PartSampler:
        """For other videos: some of these, each any number of times."""
        new = PartSampler(self.part, self.params, self.static)
        new.past = [codes_BG[rows_R] for codes_BG in self.past]
        new.needed = self.needed
        new._made = self._made
        return new

    def past_tensor(self) -> Tensor:
        """The codes of all frames that are remembered, int64 [T, B, G]."""
        return torch.stack(self.past) if self.past else torch.zeros(0, dtype=torch.long)
