"""Codes in the making: prompt states and seeds in, one latent frame after another out, for ever.

Legend: B videos, R rows of the batch (B for each level of guidance), S text length, E text width,
G cells of a frame, Q codes of a cell, L tokens of a frame, X = L + 1 with one that is nowhere, T
tokens of one forward, D model width, V vocabulary, K codes of a codebook, I = V + 3 with the starts
of frames, hidden cells and nothing. Codes are [B, G], or [B, G, Q] if Q > 1.
"""

import copy
import itertools
from collections.abc import Sequence
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor

from ..conditions import Features
from ..model.attention import fastest_backend
from ..model.decoder import Decoder
from .conditioning import Conditioning
from .cuda_graph import Capture, Work, graph_capture
from .drafts import FrameDraft, ReadLogits, SpeculativeDraft, draft_steps, frame_ids
from .frame_ring import FrameRing
from .noise import FrameNoise, gumbel_bits, uniform_noise
from .params import SamplingParams
from .quantize import SamplingWeights
from .schedule import ConditionSchedule, Given

Window = Literal["keep", "flush", "recompute"]


class SamplingEngine:
    """A batch of videos that grow frame by frame at constant memory and cost.

    With guidance every video has several rows in one batch, until guidance ends: one with all that
    is given, and one less each for every condition that is guided, the prompt last.

    Args:
        decoder: in the dtype and on the device to sample with.
        text_BSE, text_mask_BS: of the text encoder, one row per video.
        seeds: one per video; a video depends on its own seed only.
        params: how codes are drawn.
        given: features of further conditions that the videos begin with, as for `give`.
        backend: of `attend`; by default "matmul" on a CPU, for few queries at a time, and elsewhere
            what is fastest.
        undo: latent frames that `rewind` can always take back.
        capture: how forwards are recorded, to be replayed without a call per operator; by default
            as fits the device.
        weights: of this decoder, if another engine has made them already.

    Raises:
        ValueError: a window longer than the decoder allows, an undo below 1, or guesses that are
            accepted by chance for cells of several codes.
    """

    @torch.inference_mode()
    def __init__(
        self,
        decoder: Decoder,
        text_BSE: Tensor,
        text_mask_BS: Tensor,
        seeds: Sequence[int],
        params: SamplingParams = SamplingParams(),
        given: Given | None = None,
        backend: str | None = None,
        undo: int = 1,
        capture: Capture | None = None,
        weights: SamplingWeights | None = None,
    ) -> None:
        if params.accelerate == "distribution" and decoder.config.codebooks > 1:
            raise ValueError(
                'accelerate="distribution" is for models with one code a cell; use "exact"'
            )
        self.weights = weights or SamplingWeights(decoder)
        self.decoder = self.weights.decoder
        self.seeds = list(seeds)
        self.params = params
        self.table_ID = table = self.weights.table_ID
        self.capture = capture or graph_capture(table.device)
        # shapes that depend on no code
        self.static = self.capture is not None or table.device.type != "cpu"
        text = Features(text_BSE, text_mask_BS)
        self.conditioning = Conditioning(decoder, params, text, given)
        rows = self.conditioning.levels(0) * len(self.seeds)
        arguments = rows, params.window, undo, table.dtype, table.device
        self.ring = FrameRing(decoder.config, *arguments, backend or "matmul", self.static)
        self._graph: tuple[FrameDraft, Work] | None = None  # a frame, and a round with it
        # random bits, of which frame and seeds
        self._made: tuple[tuple[int, ...], Tensor] = ((), torch.empty(0))
        self.sinks = decoder.config.sinks
        self.remembered = self.ring.window + undo
        self.past: list[Tensor] = []  # codes [B, G] of the sinks and of the last frames
        self.added_RXD: Tensor | None = None  # what conditions add to tokens of the open frame
        self.frames = 0  # latent frames so far, given and drawn
        self.forwards = 0  # runs of the decoder to draw them
        self._needed = 0  # of these, by the last frame
        self._run_prefix()
        if backend is None and self.device.type != "cpu":
            self.ring.backend = self._fastest_backend()

    @property
    def device(self) -> torch.device:
        return self.table_ID.device

    def _fastest_backend(self) -> str:
        ring = self.ring
        config = self.decoder.config
        tokens = (
            draft_steps(self.params, ring.rows, ring.order, self.device.type)
            * ring.length
            // ring.order.steps
        )
        sizes = ring.rows, config.heads, config.kv_heads, tokens, ring.slots, config.head_size
        return fastest_backend(*sizes, ring.kv.dtype, str(self.device))

    @property
    def levels(self) -> int:
        """Rows of each video: 1 without guidance."""
        return self.ring.rows // len(self.seeds)

    @property
    def schedule(self) -> ConditionSchedule:
        return self.conditioning.schedule

    # ---- growing ----

    @torch.inference_mode()
    def feed(self, codes_BG: Tensor) -> None:
        """Take a frame as given: its codes, int64, become the past of the next one."""
        self._drop_guidance()
        self._run_frame(codes_BG, self.schedule.next())
        self._append(codes_BG)

    @torch.inference_mode()
    def draw(self) -> Tensor:
        """Sample the next frame; its codes, int64 [B, G], or [B, G, Q] of several codebooks."""
        self._begin_frame()
        frame, play = self._next_round()
        # To ask a GPU whether a frame is complete is to wait for it: not before as many rounds as
        # the last one needed.
        patience = self._needed if self.static else 0
        for rounds in itertools.count(1):
            play()
            # the processor has nothing else to do while a GPU works on all these
            if rounds == patience:
                self._bits(self.frames + 1)
            if rounds >= patience and frame.complete:
                break
        self.forwards += rounds
        self._needed = int(frame.rounds_B.max())
        self._append(frame.codes_BG.clone())
        # once it has run, so that all it needs is there
        if self.capture is not None and self._graph is None:
            self._graph = frame, self.capture(play)
        return self.past[-1]

    @torch.inference_mode()
    def begin_draft(self) -> FrameDraft:
        """Open the next frame, for one who draws it in place of `draw`, and ends it with
        `end_draft`."""
        self._begin_frame()
        return self._open_frame()

    @torch.inference_mode()
    def end_draft(self, frame: FrameDraft) -> Tensor:
        """Take a frame that is complete; its codes, int64 [B, G]."""
        self.forwards += int(frame.rounds_B.max())
        self._append(frame.codes_BG.clone())
        return self.past[-1]

    @torch.inference_mode()
    def abandon_draft(self) -> None:
        """Forget the frame that `begin_draft` opened; it will be drawn from its beginning."""
        self.ring.rewind(1)

    def _begin_frame(self) -> None:
        self._drop_guidance()
        self.ring.begin_frame()
        self._add(self.schedule.next())

    def _next_round(self) -> tuple[FrameDraft, Work]:
        """The open frame, and what runs the decoder once and draws some of its codes."""
        frame = self._open_frame()
        if self._graph is None:
            return frame, partial(self._round, frame)
        recorded, replay = self._graph
        recorded.load(frame)
        return recorded, replay

    def _round(self, frame: FrameDraft) -> None:
        place_BT = frame.next_places()
        states_RTD = self._states(frame.tokens(place_BT), place_BT)
        frame.verify(place_BT, self.read(states_RTD))

    def _open_frame(self) -> FrameDraft:
        B = len(self.seeds)
        config = self.decoder.config
        G = config.cells
        books = (config.codebooks,) if config.codebooks > 1 else ()
        device = self.device
        noise = FrameNoise(self._bits(self.frames), self.params, device, self.static)
        guess_BG = (
            self.past[-1]
            if self.past
            else torch.zeros(B, G, *books, dtype=torch.long, device=device)
        )
        steps = draft_steps(self.params, self.ring.rows, self.ring.order, device.type)
        arguments = self.ring.order, guess_BG, config.codebook_size, noise, self.params, steps
        if self.params.accelerate != "distribution":
            return FrameDraft(*arguments, self.static)
        return SpeculativeDraft(
            *arguments, uniform_noise(self.seeds, self.frames, G).to(device), self.static
        )

    def _bits(self, frame: int) -> Tensor:
        """Random bits of a frame, int32 [B, G * Q, K]; kept, because they may be made before their
        turn."""
        key = (frame, *self.seeds)
        config = self.decoder.config
        sizes = (config.cells * config.codebooks, config.codebook_size)
        if key != self._made[0]:
            chance = not self.params.greedy
            bits = (
                gumbel_bits(self.seeds, frame, *sizes)
                if chance
                else torch.zeros(len(self.seeds), *sizes).int()
            )
            self._made = key, bits
        return self._made[1]

    def read(self, states_RTD: Tensor) -> ReadLogits:
        """Gives the logits [B, T, K] of the codes that tokens with these states predict, one
        codebook after another."""

        def logits(drawn: Sequence[Tensor]) -> Tensor:
            state_RTD = states_RTD
            if self.decoder.depth is not None:
                known_RTqD = self._vectors(drawn).repeat(self.levels, 1, 1, 1)
                state_RTD = self.decoder.depth.step(states_RTD, known_RTqD)
            return self.weights.heads[len(drawn)](self.mix(state_RTD))

        return logits

    def _vectors(self, drawn: Sequence[Tensor]) -> Tensor:
        """Of the first codes of cells: of q times [B, T] codes, [B, T, q, D]."""
        if not drawn:
            return self.table_ID.new_zeros(len(self.seeds), 1, 0, self.table_ID.shape[1])
        K = self.decoder.config.codebook_size
        return self.table_ID[torch.stack([codes + K * q for q, codes in enumerate(drawn)], -1)]

    def mix(self, states_RTD: Tensor) -> Tensor:
        """Guided states [B, T, D]. Logits are linear in them, so the head is needed only once."""
        return self.conditioning.mix(states_RTD, self.levels)

    def _states(self, ids_BTQ: Tensor, place_BT: Tensor) -> Tensor:
        """The decoder's states [R, T, D] of tokens of the open frame, which it looks at from now
        on."""
        x_RTD, place_RT = self.inputs(ids_BTQ, place_BT)
        return self.decoder.step(x_RTD, self.ring.extend(place_RT))

    def inputs(self, ids_BTQ: Tensor, place_BT: Tensor) -> tuple[Tensor, Tensor]:
        """What the decoder reads of tokens of the open frame [R, T, D], and their places [R, T]."""
        if self.levels > 1:
            ids_BTQ = ids_BTQ.repeat(self.levels, 1, 1)
            place_BT = place_BT.repeat(self.levels, 1)
        x_RTD = self.table_ID[ids_BTQ].sum(2)
        if self.added_RXD is not None:
            rows_R1 = torch.arange(len(place_BT), device=place_BT.device)[:, None]
            x_RTD = x_RTD + self.added_RXD[rows_R1, place_BT]
        return x_RTD, place_BT

    def _add(self, given: Given) -> None:
        """What conditions add to the frame that has been opened."""
        added_RXD = self.conditioning.additions(given, self.levels)
        kept = self.added_RXD
        if added_RXD is None:
            return
        if self.static and kept is not None and kept.shape == added_RXD.shape:
            kept.copy_(added_RXD)  # a graph reads it where it is
        else:
            self.added_RXD = added_RXD
            self._graph = None

    def _run_frame(self, codes_BG: Tensor, given: Given) -> None:
        self.ring.begin_frame()
        self._add(given)
        order = self.ring.order
        ids_BG = self.decoder.ids(codes_BG)
        ids_BGQ = ids_BG if ids_BG.dim() == 3 else ids_BG[..., None]
        ids_BLQ = frame_ids(order, ids_BGQ, len(self.table_ID))[:, order.carried_L]
        place_L = torch.arange(order.length, device=ids_BLQ.device)
        self._states(ids_BLQ, place_L.expand(ids_BLQ.shape[:2]))

    def _append(self, codes_BG: Tensor) -> None:
        self.frames += 1
        self.past.append(codes_BG)
        if len(self.past) > self.sinks + self.remembered:
            del self.past[self.sinks]
        self.schedule.keep(self.sinks, self.remembered)

    def _drop_guidance(self) -> None:
        if self.levels > self.conditioning.levels(self.frames):
            self.ring = self.ring.select(torch.arange(len(self.seeds), device=self.device))
            self._graph = None

    # ---- another prompt, another shot ----

    @torch.inference_mode()
    def set_text(self, text_BSE: Tensor, text_mask_BS: Tensor, window: Window = "keep") -> None:
        """Go on under other prompts.

        Args:
            window: what becomes of the frames that the next one sees. "keep": they stay as the old
                prompts made them; "recompute": the decoder reads them again under the new prompts,
                as the first ones after the sinks; "flush": they are forgotten, as by `cut`.
        """
        if window not in get_args(Window):
            raise ValueError(f"window must be one of {', '.join(get_args(Window))}; got {window!r}")
        self.conditioning.text = Features(text_BSE, text_mask_BS)
        self._run_prefix()
        if window == "flush":
            self.cut()
        if window == "recompute":
            self.past = self.past[: self.sinks] + self.past[self.sinks :][-self.ring.window :]
            self.ring.flush(sinks=True)
            self.schedule.forget(self.sinks, self.ring.window)
            for codes_BG, given in zip(self.past, self.schedule.past):
                self._run_frame(codes_BG, given)

    def _run_prefix(self) -> None:
        self._graph = None  # the prefix is another tensor
        prefix_RPD, mask_RP = self.conditioning.embed_prefix(self.levels)
        self.decoder.step(prefix_RPD, self.ring.set_prefix(mask_RP))

    @torch.inference_mode()
    def give(self, name: str, features: Features) -> None:
        """Give a further condition, from the next frame on.

        Args:
            features: of the prefix, in place of what was given before; or of one latent frame,
                which holds for all to come, or of several, one after another.

        Raises:
            ValueError: a condition that the decoder does not take.
        """
        if self.conditioning.give(name, features):
            self._run_prefix()

    @torch.inference_mode()
    def cut(self) -> None:
        """Begin another shot: the window is forgotten, prompts and sinks stay, the next frame
        follows the sinks."""
        self.ring.flush()
        del self.past[self.sinks :]
        self.schedule.forget(self.sinks)

    # ---- going back, and other rows ----

    @torch.inference_mode()
    def rewind(self, frames: int) -> None:
        """Take back the last latent frames; they come out the same again, or others under other
        `seeds`.

        Raises:
            ValueError: frames that the ring holds no more, or that had guidance when its rows are
                gone.
        """
        if self.levels < self.conditioning.levels(self.frames - frames):
            last = self.frames - (self.params.guidance_frames or 0)
            raise ValueError(
                f"guidance has ended, so rewind can take back 0 to {last} latent frames; got "
                f"{frames}"
            )
        self.ring.rewind(frames)
        self.frames -= frames
        del self.past[len(self.past) - frames :]
        self.schedule.rewind(frames)

    @torch.inference_mode()
    def select(self, videos: Sequence[int], seeds: Sequence[int]) -> "SamplingEngine":
        """A session that goes on with some of these videos, each any number of times; this one
        stays as it is.

        Args:
            videos: which, by their number in this session.
            seeds: one per video of the new session.
        """
        new = copy.copy(self)
        rows_R = torch.tensor(videos, device=self.device)
        new._graph = None
        new.seeds = list(seeds)
        new.past = [codes_BG[rows_R] for codes_BG in self.past]
        new.conditioning = self.conditioning.select(rows_R)
        new.added_RXD = None
        B = len(self.seeds)
        new.ring = self.ring.select(torch.cat([rows_R + B * i for i in range(self.levels)]))
        return new

    def state(self) -> dict[str, Tensor]:
        """All that changes as the videos grow, for `load_state` of a session with the same
        decoder and params."""
        past_TBG = torch.stack(self.past) if self.past else torch.zeros(0, dtype=torch.long)
        own = {"frames": torch.tensor(self.frames), "past": past_TBG}
        return own | self.ring.state() | self.conditioning.state()

    @torch.inference_mode()
    def load_state(self, state: dict[str, Tensor]) -> None:
        self.frames = int(state["frames"])
        self.past = list(state["past"].to(self.device))
        self._graph = None
        self.added_RXD = None
        self.conditioning.load_state(state, len(self.past))
        self.ring.load_state(state)
