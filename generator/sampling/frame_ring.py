"""The frame ring: keys and values of an endless video at constant memory and constant cost per
frame.

    | prefix | sinks: frames 0 .. S-1 | ring: frame t in slot (t - S) mod window | nowhere |

Nothing is moved, concatenated or grown. Ring keys are rotated once, where they stand. Prefix and
sinks (the anchors) also keep un-rotated keys and are rotated anew once per frame, so that they
never seem further away than training saw. Tokens of the open frame may be written again and again,
in any number and at other places in each row: a token sees those of its own and earlier steps
(order.py) and never later ones, so a wrong guess is simply written over.

Legend: B rows, P prefix tokens, S sink frames, L tokens (of a frame: header, cells and those of its
sound), X = L + 1 with one that is nowhere, T tokens of one call, A = P + S * L anchors, C slots
that are seen, N query heads, M key/value heads, H = N + M, K head size, R rotations.
"""

import copy
import math
from collections import deque
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..model import rope
from ..model.attention import attend
from ..model.config import DecoderConfig
from ..model.frame_layout import frame_layout
from ..model.layers import LayerAttention

MOST_UNDO = 2**31 - 1


class OpenFrame(NamedTuple):
    """Of the frame that grows: the slot of each of its tokens, what is added to the scores of
    slots (0, or -inf for those that nobody sees), and how its tokens are rotated."""

    slot_X: Tensor
    hidden_B1C: Tensor
    rotation_XR: Tensor


class Placed(NamedTuple):
    """Tokens of one forward as the cache takes them: their slots, those of their un-rotated keys,
    what is added to their scores, and how they are rotated."""

    slot_BT: Tensor
    bare_slot_BT: Tensor
    bias_BTC: Tensor
    rotation: Tensor


def cache_attention(
    config: DecoderConfig,
    kv: Tensor,
    bare_keys: Tensor,
    placed: Placed,
    anchors: bool,
    backend: str,
) -> LayerAttention:
    """Attention that writes the keys and values of tokens to their slots, and then looks at as many
    slots as `bias_BTC` has.

    Args:
        kv: keys and values, [2, layers, B, M, C or more, K].
        bare_keys: un-rotated keys, [layers, B, M, A + 1, K].
        anchors: whether some of the tokens may be anchors.
        backend: of `attend`.
    """
    heads = [config.heads, config.kv_heads]
    seen = placed.bias_BTC.shape[2]
    bias_B1TC = placed.bias_BTC[:, None]
    rows_B1 = torch.arange(len(placed.slot_BT), device=placed.slot_BT.device)[:, None]

    def attention(layer: int, qk_BTHK: Tensor, v_BTMK: Tensor, sharpness_N1: Tensor) -> Tensor:
        keys, values = kv[:, layer]
        q_BTNK, k_BTMK = rope.rotate(qk_BTHK, placed.rotation).split(heads, dim=2)
        keys[rows_B1, :, placed.slot_BT] = k_BTMK
        values[rows_B1, :, placed.slot_BT] = v_BTMK
        if anchors:
            bare_keys[layer][rows_B1, :, placed.bare_slot_BT] = qk_BTHK[:, :, heads[0] :]
        q_BNTK = (q_BTNK * sharpness_N1).transpose(1, 2)
        out_BNTK = attend(q_BNTK, keys[:, :, :seen], values[:, :, :seen], bias_B1TC, backend)
        return out_BNTK.transpose(1, 2).flatten(2)

    return attention


class FrameRing:
    """Cache of a batch of videos: give it a prefix, then frame after frame, each by any tokens in
    any portions.

    Args:
        config: of the decoder.
        rows: B.
        window: latent frames that a token sees, its own included; by default as trained.
        undo: how many frames `rewind` can always take back; the window's memory grows by so many
            frames.
        dtype, device: of keys and values.
        backend: of `attend`.
        static: all slots are looked at from the first frame on, and what `extend` and its attention
            work on keeps its shape and its place in memory until a prefix, rows or a state are set:
            they can be recorded and replayed.
        sound: whether frames have tokens of sound.

    Raises:
        ValueError: a window longer than training allows, or no frame to undo.
    """

    def __init__(
        self,
        config: DecoderConfig,
        rows: int,
        window: int | None = None,
        undo: int = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        backend: str = "sdpa",
        static: bool = False,
        sound: bool = False,
    ) -> None:
        self.config = config
        self.backend = backend
        self.static = static
        self.window = config.window if window is None else window
        config.check_window(self.window)
        if undo < 1:
            raise ValueError(f"undo must be at least 1 latent frame; got {undo}")
        if undo > MOST_UNDO:
            raise ValueError(f"undo must be at most {MOST_UNDO} latent frames; got {undo}")
        layout = frame_layout(config, sound, torch.device(device))
        self.order = layout.picture
        self.places_L2 = layout.places_L2.cpu()
        self.length = layout.length
        self.prefix = 0
        self.kv = torch.zeros(
            2,
            config.layers,
            rows,
            config.kv_heads,
            self.slots + 1,
            config.head_size,
            dtype=dtype,
            device=device,
        )
        self.bare_keys = torch.zeros_like(self.kv[0, ..., : self.anchors + 1, :])
        # the last row is for what is nowhere
        unseen_XL = pad(layout.unseen_LL, (0, 0, 0, 1), value=True)
        self.later_XL = self.kv.new_zeros(unseen_XL.shape).masked_fill_(unseen_XL, -math.inf)
        self.speeds = rope.rotation_speeds(config.head_size, config.rope_base)
        # what the last frames have written over, newest last
        self.pushed_out: deque[Tensor] = deque(maxlen=undo)
        self.frame = -1  # the frame that is open, and the first that can be taken back
        self.first = 0
        self.open: OpenFrame | None = None
        # frames by which the keys of the anchors are moved up; -1 if they are not in place
        self.shift = 0

    @property
    def rows(self) -> int:
        return self.kv.shape[2]

    @property
    def undo(self) -> int:
        return self.pushed_out.maxlen or 0

    @property
    def anchors(self) -> int:
        return self.prefix + self.config.sinks * self.length

    @property
    def slots(self) -> int:
        return self.anchors + self.window * self.length

    @property
    def over(self) -> int:
        """How many frames have taken the slot of an older one, up to the open one."""
        return max(0, self.frame + 1 - self.config.sinks - self.window)

    # ---- writing ----

    def set_prefix(self, mask_BP: Tensor) -> LayerAttention:
        """Make room for a prefix, the first one or another; returns the attention to run it with.
        Frames stay.

        Args:
            mask_BP: which prefix tokens are real.
        """
        old = self.prefix
        self.prefix = mask_BP.shape[1]
        room = (0, 0, self.prefix - old, 0)  # a negative number takes slots away
        self.kv = pad(self.kv, room)
        self.bare_keys = pad(self.bare_keys, room)
        self.shift = -1
        self.open = None
        self.hidden_B1P = torch.zeros_like(mask_BP, dtype=self.kv.dtype).masked_fill_(
            ~mask_BP, -math.inf
        )[:, None]
        slots_BT = torch.arange(self.prefix, device=self.kv.device).expand(len(mask_BP), -1)
        rotation_LR = self._rotation(rope.prefix_positions(self.prefix))
        bias_BTC = self.hidden_B1P.expand(-1, self.prefix, -1)
        placed = Placed(slots_BT, slots_BT, bias_BTC, rotation_LR)
        return self._attention(placed, anchors=True)

    def begin_frame(self) -> None:
        """Open the next frame; all tokens of the one before should be in."""
        self.frame += 1
        turn = self.frame - self.config.sinks
        start = self.anchors + (turn % self.window if turn >= 0 else turn) * self.length
        end = start + self.length
        self.seen = self.slots if self.over or self.static else end
        if self.over:
            self.pushed_out.append(self.kv[..., start:end, :].clone())
        self._open(start, self.slots if self.over else end)
        shift = self.config.anchor_shift(self.frame)
        if shift != self.shift:
            sinks = rope.frame_positions(torch.arange(self.config.sinks), self.places_L2)
            positions = torch.cat([rope.prefix_positions(self.prefix), sinks]) + torch.tensor(
                [shift, 0, 0]
            )
            near = rope.rotate(
                self.bare_keys[..., : self.anchors, :].transpose(2, 3), self._rotation(positions)
            )
            self.kv[0, ..., : self.anchors, :] = near.transpose(2, 3)
            self.shift = shift

    def _open(self, start: int, written: int) -> None:
        """Note where the frame begins and how many slots hold something, in the tensors of the
        last one if static."""
        slots = torch.cat([torch.arange(start, start + self.length), torch.tensor([self.slots])])
        hidden_B1C = pad(self.hidden_B1P, (0, written - self.prefix))
        place_LR = self._rotation(rope.frame_positions(torch.tensor([self.frame]), self.places_L2))
        opened = OpenFrame(
            slots.to(self.kv.device),
            pad(hidden_B1C, (0, self.seen - written), value=-math.inf),
            torch.cat([place_LR, place_LR[:1]]),
        )
        if self.static and self.open is not None:
            for kept, new in zip(self.open, opened):
                kept.copy_(new)
        else:
            self.open = opened

    def extend(self, place_BT: Tensor) -> LayerAttention:
        """Take tokens of the open frame; returns the attention to run them with.

        Each layer stores their keys and values, and each token sees all that a token at its place
        may see: the anchors, the window, and of this frame what was last written at places of its
        own and earlier steps.

        Args:
            place_BT: int64, 0 for the first token of a frame to L - 1; L for one that is nowhere
                and is ignored.
        """
        return self._attention(self.place(place_BT), self.writes_anchors)

    def place(self, place_BT: Tensor) -> Placed:
        """Where tokens of the open frame go, and what they see; the arguments are those of
        `extend`."""
        assert self.open is not None, "tokens come after begin_frame"
        bias_BTC = self.open.hidden_B1C.repeat(1, place_BT.shape[1], 1)
        bias_BTC.index_copy_(2, self.open.slot_X[:-1], self.later_XL[place_BT])
        slot_BT = self.open.slot_X[place_BT]
        rotation = self.open.rotation_XR[place_BT]
        return Placed(slot_BT, slot_BT.clamp(max=self.anchors), bias_BTC, rotation)

    @property
    def writes_anchors(self) -> bool:
        """Whether tokens of the open frame may be anchors; frames after the sinks write to no
        anchor's slot."""
        return self.frame < self.config.sinks or self.static

    def _attention(self, placed: Placed, anchors: bool) -> LayerAttention:
        return cache_attention(self.config, self.kv, self.bare_keys, placed, anchors, self.backend)

    # ---- going back, and other rows ----

    @property
    def reach(self) -> int:
        """How many frames `rewind` can take back now."""
        return (
            self.frame + 1 - self.first
            if len(self.pushed_out) == self.over
            else len(self.pushed_out)
        )

    def rewind(self, frames: int) -> None:
        """Take back the last frames: the ring is as it was before them.

        Raises:
            ValueError: more frames than `reach`.
        """
        if not 0 <= frames <= self.reach:
            raise ValueError(
                f"rewind can take back 0 to {self.reach} latent frames here; got {frames}. "
                "What has left the window is gone: start the session with a larger undo"
            )
        for _ in range(frames):
            if self.over:
                start = self.anchors + (self.frame - self.config.sinks) % self.window * self.length
                self.kv[..., start : start + self.length, :] = self.pushed_out.pop()
            self.frame -= 1

    def flush(self, sinks: bool = False) -> None:
        """Forget the window, and the sinks too if asked: the next frame is the one after what
        is left."""
        self.pushed_out.clear()
        self.first = min(self.frame + 1, self.config.sinks)
        self.frame = -1 if sinks else self.first - 1

    def select(self, rows: Tensor) -> "FrameRing":
        """A ring of these rows, int64 [new B], each any number of times. This one stays as it
        is."""
        new = copy.copy(self)
        new.kv = self.kv[:, :, rows]
        new.bare_keys = self.bare_keys[:, rows]
        new.hidden_B1P = self.hidden_B1P[rows]
        if self.open is not None:
            slot_X, hidden_B1C, rotation_XR = self.open
            new.open = OpenFrame(slot_X.clone(), hidden_B1C[rows], rotation_XR.clone())
        new.pushed_out = deque(
            (frame[:, :, rows] for frame in self.pushed_out), self.pushed_out.maxlen
        )
        return new

    def state(self) -> dict[str, Tensor]:
        """All that changes, for `load_state` of a ring of the same sizes."""
        counters = torch.tensor([self.prefix, self.frame, self.first, self.shift])
        pushed_out = torch.stack(list(self.pushed_out)) if self.pushed_out else torch.zeros(0)
        tensors = {"kv": self.kv, "bare_keys": self.bare_keys, "hidden_prefix": self.hidden_B1P}
        return tensors | {"pushed_out": pushed_out, "counters": counters}

    def load_state(self, state: dict[str, Tensor]) -> None:
        names = ("kv", "bare_keys", "hidden_prefix", "pushed_out")
        kept = {name: state[name].to(self.kv, copy=True) for name in names}
        self.kv = kept["kv"]
        self.bare_keys = kept["bare_keys"]
        self.hidden_B1P = kept["hidden_prefix"]
        self.prefix, self.frame, self.first, self.shift = state["counters"].tolist()
        self.open = None
        self.pushed_out.clear()
        self.pushed_out.extend(kept["pushed_out"])

    def _rotation(self, positions_L3: Tensor) -> Tensor:
        return rope.rotation(positions_L3, self.speeds, self.kv.dtype).to(self.kv.device)
