"""Continuous batching: one forward draws tokens of many videos, which come and go as they like.

Every video has an engine of its own, with its frame number, prompt, conditions and settings. Here
their forwards become one. No video waits for another one's frame: whoever has completed a frame
begins the next in the following round, and can leave or be joined by others before it. The codes
are those that the engine would have drawn alone (but for ties within rounding, and but for
`accelerate="distribution"`, which depends on how many rows there are).

Legend: B videos of an engine, R rows of it, T tokens of one forward, G cells of a frame.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad

from .drafts import FrameDraft, ReadLogits, draft_steps
from .engine import SamplingEngine
from .parts import FramePart
from .shared_ring import SharedRing, release


class ContinuousBatch:
    """Engines whose forwards run together. All must share one `SamplingWeights`."""

    def __init__(self) -> None:
        self.engines: list[SamplingEngine] = []
        self.forwards = 0  # runs of the decoder, for all of them
        self._drafts: dict[SamplingEngine, FrameDraft] = {}  # frames that are open
        self._ring: SharedRing | None = None

    @property
    def rows(self) -> int:
        """Rows of one forward, with those of guidance."""
        return sum(engine.ring.rows for engine in self.engines)

    def join(self, engine: SamplingEngine) -> None:
        """Draw the next frames of an engine here.

        Raises:
            ValueError: it is here already, or has other weights.
        """
        if engine in self.engines:
            raise ValueError("this engine is in the batch already")
        if self.engines and engine.weights is not self.engines[0].weights:
            raise ValueError(
                "engines of one batch need the same weights; make them with weights=, one "
                "SamplingWeights for all"
            )
        self.engines.append(engine)

    @torch.inference_mode()
    def leave(self, engine: SamplingEngine) -> None:
        """Give an engine back to itself: it can draw alone, be saved, or join another batch.

        Raises:
            ValueError: it is not here.
        """
        if engine not in self.engines:
            raise ValueError("this engine is not in the batch")
        self.engines.remove(engine)
        if self._drafts.pop(engine, None) is not None:
            engine.abandon_draft()
        release(engine.ring)

    def is_between_frames(self, engine: SamplingEngine) -> bool:
        """Whether the next frame of an engine has not begun, so that prompt and conditions may
        change."""
        return engine not in self._drafts

    @torch.inference_mode()
    def step(self) -> list[tuple[SamplingEngine, Tensor]]:
        """Run the decoder once; returns the engines that have completed a frame, and its codes,
        int64 [B, G]."""
        for engine in self.engines:
            if engine not in self._drafts:
                self._drafts[engine] = engine.begin_draft()
        if not self.engines:
            return []
        self._round()
        self.forwards += 1
        done = torch.stack([self._drafts[engine].is_complete for engine in self.engines]).tolist()
        completed = []
        for engine in [engine for engine, complete in zip(self.engines, done) if complete]:
            following = engine.next_draft(self._drafts.pop(engine))
            if following is None:
                completed.append((engine, engine.end_draft()))
            else:  # the sound of the same frame
                self._drafts[engine] = following
        return completed

    def _round(self) -> None:
        """Draw codes of every open frame in one forward."""
        ring = self._shared_ring()
        drafts = [self._drafts[engine] for engine in self.engines]
        places = self._next_places(drafts)
        longest = max(place_BT.shape[1] for place_BT in places)
        inputs = []
        for engine, draft, place_BT in zip(self.engines, drafts, places):
            nowhere = draft.order.length
            wide_BT = pad(place_BT, (0, longest - place_BT.shape[1]), value=nowhere)
            inputs.append(engine.inputs(draft.tokens(wide_BT), wide_BT))
        x_RTD = torch.cat([x for x, _ in inputs])
        first = self.engines[0]
        states_RTD = first.decoder.step(x_RTD, ring.extend([place for _, place in inputs]))
        parts = states_RTD.split([engine.ring.rows for engine in self.engines])
        asked = [draft.asked(place_BT) for draft, place_BT in zip(drafts, places)]
        reads = self._read(parts, asked)
        for engine, draft, place_BT, length in zip(self.engines, drafts, places, asked):
            draft.verify(place_BT[:, :length], reads[engine])

    def _read(
        self, states: Sequence[Tensor], lengths: Sequence[int]
    ) -> dict[SamplingEngine, ReadLogits]:
        """How each draft reads the states of its first tokens, so many as are asked for."""
        reads: dict[SamplingEngine, ReadLogits] = {}
        alike: dict[FramePart, list[tuple[SamplingEngine, int, Tensor]]] = {}
        for engine, states_RTD, length in zip(self.engines, states, lengths):
            if engine.part.depth is not None:
                reads[engine] = engine.read(states_RTD[:, :length])
            else:
                mixed_BTD = engine.mix(states_RTD)
                alike.setdefault(engine.part, []).append((engine, length, mixed_BTD))
        # where a cell has one code, the head runs once for all
        for part, members in alike.items():
            logits_BTV = part.heads[0](torch.cat([mixed for _, _, mixed in members]))
            each_BTV = logits_BTV.split([len(mixed) for _, _, mixed in members])
            for (engine, length, _), x_BTV in zip(members, each_BTV):
                reads[engine] = partial(_same, x_BTV[:, :length])
        return reads

    def _next_places(self, drafts: list[FrameDraft]) -> list[Tensor]:
        rows = self.rows
        places = []
        for engine, draft in zip(self.engines, drafts):
            device = engine.device.type
            draft.steps = draft_steps(engine.params, rows, draft.order, device)
            places.append(draft.next_places())
        return places

    def _shared_ring(self) -> SharedRing:
        """The memory of all rings in one. It is made anew when engines have come or gone, or when a
        ring has another prefix or other rows."""
        rings = [engine.ring for engine in self.engines]
        if self._ring is None or not self._ring.holds(rings):
            self._ring = SharedRing(rings)
        return self._ring


def _same(logits_BTV: Tensor, drawn: Sequence[Tensor]) -> Tensor:
    return logits_BTV
