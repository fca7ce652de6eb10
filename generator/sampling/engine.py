"""Codes in the making: prompt states and seeds in, one latent frame after another out, for ever.

A frame is drawn in parts (parts.py): its picture and, if asked for, its sound.

Legend: B videos, R rows of the batch (B for each level of guidance), S text length, E text width,
G cells of a part, Q codes of a cell, L tokens of a frame, X = L + 1 with one that is nowhere, T
tokens of one forward, D model width. Codes are [B, G], or [B, G, Q] if Q > 1.
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
from .drafts import FrameDraft, ReadLogits, draft_steps
from .frame_ring import FrameRing
from .params import SamplingParams
from .parts import PartSampler
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
        sound: draw the sound of every frame too; without it frames are as if there were no sound.

    Raises:
        ValueError: a window longer than the decoder allows, an undo below 1, guesses that are
            accepted by chance for cells of several codes, or sound of a decoder that draws none.
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
        sound: bool = False,
    ) -> None:
        if params.accelerate == "distribution" and decoder.config.codebooks > 1:
            raise ValueError(
                'accelerate="distribution" is for models with one code a cell; use "exact"'
            )
        if sound and decoder.sound is None:
            raise ValueError("this model draws no sound")
        self.weights = weights or SamplingWeights(decoder)
        self.decoder = self.weights.decoder
        self.seeds = list(seeds)
        self.params = params
        device = self.weights.picture.device
        self.capture = capture or graph_capture(device)
        # shapes that depend on no code
        self.static = self.capture is not None or device.type != "cpu"
        parts = (self.weights.picture, self.weights.sound if sound else None)
        self.samplers = [PartSampler(part, params, self.static) for part in parts if part]
        self.part = self.samplers[0].part  # that is drawn, or was drawn last
        text = Features(text_BSE, text_mask_BS)
        self.conditioning = Conditioning(decoder, params, text, given)
        rows = self.conditioning.levels(0) * len(self.seeds)
        arguments = rows, params.window, undo, self.weights.dtype, device
        self.ring = FrameRing(decoder.config, *arguments, backend or "matmul", self.static, sound)
        self.sinks = decoder.config.sinks
        self.remembered = self.ring.window + undo
        self._drawn: list[Tensor] = []  # codes of the parts of the open frame
        self.added_RXD: Tensor | None = None  # what conditions add to tokens of the open frame
        self.frames = 0  # latent frames so far, given and drawn
        self.forwards = 0  # runs of the decoder to draw them
        self._run_prefix()
        if backend is None and self.device.type != "cpu":
            self.ring.backend = self._fastest_backend()

    @property
    def device(self) -> torch.device:
        return self.weights.picture.device

    @property
    def sound(self) -> bool:
        """Whether frames have sound."""
        return len(self.samplers) > 1

    @property
    def past(self) -> list[Tensor]:
        """Codes [B, G] of the pictures of the sinks and of the last frames."""
        return self.samplers[0].past

    @property
    def sounds(self) -> list[Tensor]:
        """Codes of their sound; empty without sound."""
        return self.samplers[1].past if self.sound else []

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
    def feed(self, codes_BG: Tensor, sound_BG: Tensor | None = None) -> None:
        """Take a frame as given: its codes, int64, become the past of the next one. Sound that is
        not given is drawn, if frames have sound."""
        self._drop_guidance()
        self._run_frame(
            [codes_BG] if sound_BG is None else [codes_BG, sound_BG], self.schedule.next()
        )
        if not self.sound:
            self._append([codes_BG])
        else:
            heard_BG = self._draw(self.samplers[1]) if sound_BG is None else sound_BG
            self._append([codes_BG, heard_BG])

    @torch.inference_mode()
    def draw(self) -> Tensor:
        """Sample the next frame; the codes of its picture, int64 [B, G], or [B, G, Q] of several
        codebooks. Those of its sound are the last of `sounds`."""
        self._begin_frame()
        self._append([self._draw(sampler) for sampler in self.samplers])
        return self.past[-1]

    def _draw(self, sampler: PartSampler) -> Tensor:
        """The codes of a part of the open frame, whose parts before it are in."""
        frame, play = self._next_round(sampler)
        # To ask a GPU whether a frame is complete is to wait for it: not before as many rounds as
        # the last one needed.
        patience = sampler.needed if self.static else 0
        for rounds in itertools.count(1):
            play()
            # the processor has nothing else to do while a GPU works on all these
            if rounds == patience:
                sampler.bits(self.seeds, self.frames + 1)
            if rounds >= patience and frame.complete:
                break
        self.forwards += rounds
        sampler.needed = int(frame.rounds_B.max())
        codes_BG = frame.codes_BG.clone()
        # once it has run, so that all it needs is there
        if self.capture is not None and sampler.recorded is None:
            sampler.recorded = frame, self.capture(play)
        return codes_BG

    @torch.inference_mode()
    def begin_draft(self) -> FrameDraft:
        """Open the next frame, for one who draws it in place of `draw`: all that `next_draft` gives
        after it as well, and ends it with `end_draft`."""
        self._begin_frame()
        self._drawn = []
        return self._open(self.samplers[0])

    @torch.inference_mode()
    def next_draft(self, frame: FrameDraft) -> FrameDraft | None:
        """Take a part of the open frame that is complete; the draft of the part after it, if there
        is one."""
        self.forwards += int(frame.rounds_B.max())
        self._drawn.append(frame.codes_BG.clone())
        following = self.samplers[len(self._drawn) :]
        return self._open(following[0]) if following else None

    @torch.inference_mode()
    def end_draft(self) -> Tensor:
        """Take the frame whose parts are complete; the codes of its picture, int64 [B, G]."""
        self._append(self._drawn)
        return self.past[-1]

    @torch.inference_mode()
    def abandon_draft(self) -> None:
        """Forget the frame that `begin_draft` opened; it will be drawn from its beginning."""
        self.ring.rewind(1)

    def _begin_frame(self) -> None:
        self._drop_guidance()
        self.ring.begin_frame()
        self._add(self.schedule.next())

    def _open(self, sampler: PartSampler) -> FrameDraft:
        self.part = sampler.part
        return sampler.open(self.seeds, self.frames, self.ring.rows)

    def _next_round(self, sampler: PartSampler) -> tuple[FrameDraft, Work]:
        """A part's draft, and what runs the decoder once and draws some of its codes."""
        frame = self._open(sampler)
        if sampler.recorded is None:
            return frame, partial(self._round, frame)
        recorded, replay = sampler.recorded
        recorded.load(frame)
        return recorded, replay

    def _round(self, frame: FrameDraft) -> None:
        place_BT = frame.next_places()
        states_RTD = self._states(frame.tokens(place_BT), place_BT)
        asked = frame.asked(place_BT)
        frame.verify(place_BT[:, :asked], self.read(states_RTD[:, :asked]))

    def read(self, states_RTD: Tensor) -> ReadLogits:
        """Gives the logits [B, T, K] of the codes that tokens of the present part with these states
        predict, one codebook after another."""
        return self.part.read(states_RTD, self.mix, self.levels)

    def mix(self, states_RTD: Tensor) -> Tensor:
        """Guided states [B, T, D]."""
        return self.conditioning.mix(states_RTD, self.levels)

    def _states(self, ids_BTQ: Tensor, place_BT: Tensor) -> Tensor:
        """The decoder's states [R, T, D] of tokens of the present part, which it looks at from now
        on."""
        x_RTD, place_RT = self.inputs(ids_BTQ, place_BT)
        return self.decoder.step(x_RTD, self.ring.extend(place_RT))

    def inputs(self, ids_BTQ: Tensor, place_BT: Tensor) -> tuple[Tensor, Tensor]:
        """What the decoder reads of tokens of the present part [R, T, D], and their places in the
        frame [R, T]."""
        order = self.part.order
        if order.length < self.ring.length:
            is_here_BT = place_BT < order.length
            place_BT = torch.where(is_here_BT, place_BT + self.part.first, self.ring.length)
        if self.levels > 1:
            ids_BTQ = ids_BTQ.repeat(self.levels, 1, 1)
            place_BT = place_BT.repeat(self.levels, 1)
        x_RTD = self.part.vectors.of(ids_BTQ).sum(2)
        if self.added_RXD is not None:
            rows_R1 = torch.arange(len(place_BT), device=place_BT.device)[:, None]
            x_RTD = x_RTD + self.added_RXD[rows_R1, place_BT]
        return x_RTD, place_BT

    def _add(self, given: Given) -> None:
        """What conditions add to the frame that has been opened."""
        added_RXD = self.conditioning.additions(given, self.levels, self.ring.length)
        kept = self.added_RXD
        if added_RXD is None:
            return
        if self.static and kept is not None and kept.shape == added_RXD.shape:
            kept.copy_(added_RXD)  # a graph reads it where it is
        else:
            self.added_RXD = added_RXD
            self._forget_graphs()

    def _forget_graphs(self) -> None:
        for sampler in self.samplers:
            sampler.recorded = None

    def _run_frame(self, codes: Sequence[Tensor], given: Given) -> None:
        """Have the decoder read a frame whose parts, or the first of them, are given."""
        self.ring.begin_frame()
        self._add(given)
        for sampler, codes_BG in zip(self.samplers, codes):
            self.part = sampler.part
            ids_BLQ = self.part.frame_ids(codes_BG)
            place_L = torch.arange(self.part.order.length, device=ids_BLQ.device)
            self._states(ids_BLQ, place_L.expand(ids_BLQ.shape[:2]))

    def _append(self, codes: Sequence[Tensor]) -> None:
        """Take the codes of all parts of a frame."""
        self.frames += 1
        for sampler, codes_BG in zip(self.samplers, codes):
            sampler.append(codes_BG, self.sinks, self.remembered)
        self.schedule.keep(self.sinks, self.remembered)

    def _drop_guidance(self) -> None:
        if self.levels > self.conditioning.levels(self.frames):
            self.ring = self.ring.select(torch.arange(len(self.seeds), device=self.device))
            self._forget_graphs()

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
            for sampler in self.samplers:
                del sampler.past[self.sinks : -self.ring.window]
            self.ring.flush(sinks=True)
            self.schedule.forget(self.sinks, self.ring.window)
            parts = [sampler.past for sampler in self.samplers]
            for codes, given in zip(zip(*parts), self.schedule.past):
                self._run_frame(codes, given)

    def _run_prefix(self) -> None:
        self._forget_graphs()  # the prefix is another tensor
        prefix_RPD, mask_RP = self.conditioning.embed_prefix(self.levels)
        self.decoder.step(prefix_RPD.to(self.weights.dtype), self.ring.set_prefix(mask_RP))

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
        for sampler in self.samplers:
            del sampler.past[self.sinks :]
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
        for sampler in self.samplers:
            del sampler.past[len(sampler.past) - frames :]
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
        new.seeds = list(seeds)
        new.samplers = [sampler.select(rows_R) for sampler in self.samplers]
        new.conditioning = self.conditioning.select(rows_R)
        new.added_RXD = None
        B = len(self.seeds)
        new.ring = self.ring.select(torch.cat([rows_R + B * i for i in range(self.levels)]))
        return new

    def state(self) -> dict[str, Tensor]:
        """All that changes as the videos grow, for `load_state` of a session with the same
        decoder and params."""
        own = {"frames": torch.tensor(self.frames), "past": self.samplers[0].past_tensor()}
        if self.sound:
            own["sounds"] = self.samplers[1].past_tensor()
        return own | self.ring.state() | self.conditioning.state()

    @torch.inference_mode()
    def load_state(self, state: dict[str, Tensor]) -> None:
        self.frames = int(state["frames"])
        for sampler, name in zip(self.samplers, ("past", "sounds")):
            sampler.past = list(state[name].to(self.device))
        self._forget_graphs()
        self.added_RXD = None
        self.conditioning.load_state(state, len(self.past))
        self.ring.load_state(state)
