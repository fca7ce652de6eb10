"""The frame ring: keys and values of an endless video at constant memory and constant cost per frame.

    | prefix | sinks: frames 0 .. S-1 | ring: frame t in slot (t - S) mod window |

Nothing is moved, concatenated or grown. Ring keys are rotated once, where they stand. Prefix and sinks (the anchors)
also keep un-rotated keys and are rotated anew once per frame, so that they never seem further away than training saw.

Legend: B rows, P prefix tokens, S sink frames, L tokens (of a frame: header and cells), A = P + S * L anchors,
C = A + window * L slots, N query heads, M key/value heads, H = N + M, K head size, R rotations.
"""

import math

import torch
from torch import Tensor

from . import rope
from .attention import attend
from .config import DecoderConfig
from .layers import LayerAttention


class FrameRing:
    """Cache of one batch of videos: extend it by the prefix, then frame after frame by tokens, a few at a time.

    Args:
        config: of the decoder.
        prefix_mask_BP: which prefix tokens are real.
        window: latent frames that a token sees, its own included; by default as trained.
        dtype: of keys and values.
        backend: of `attend`.

    Raises:
        ValueError: a window longer than training allows.
    """

    def __init__(
        self,
        config: DecoderConfig,
        prefix_mask_BP: Tensor,
        window: int | None = None,
        dtype: torch.dtype = torch.float32,
        backend: str = "sdpa",
    ) -> None:
        self.config, self.backend, self.dtype = config, backend, dtype
        self.window = config.window if window is None else window
        config.check_window(self.window)
        rows, self.prefix = prefix_mask_BP.shape
        self.length, self.device = 1 + config.cells, prefix_mask_BP.device
        self.anchors = self.prefix + config.sinks * self.length
        self.slots = self.anchors + self.window * self.length
        size = (config.layers, rows, config.kv_heads, self.slots, config.head_size)
        self.keys, self.values = torch.zeros(2, *size, dtype=dtype, device=self.device)
        self.bare_keys = self.keys[:, :, :, : self.anchors].clone()
        self.bias_B11C = torch.zeros(rows, 1, 1, self.slots, dtype=dtype, device=self.device)
        self.bias_B11C[..., : self.prefix].masked_fill_(~prefix_mask_BP[:, None, None], -math.inf)
        self.padded = not bool(prefix_mask_BP.all())
        self.speeds = rope.rotation_speeds(config.head_size, config.rope_base)
        self.frame = -1  # the one that is open; the prefix counts as frame -1
        self.start, self.end, self.done = 0, self.prefix, 0  # its slots, and how many of its tokens are in
        self.rotation_LR = self._rotation(rope.prefix_positions(self.prefix))

    def begin_frame(self) -> None:
        """Open the next frame. All tokens of the one before must be in."""
        assert self.start + self.done == self.end, "the open frame is not complete"
        self.frame, self.done = self.frame + 1, 0
        turn = self.frame - self.config.sinks
        self.start = self.anchors + (turn % self.window if turn >= 0 else turn) * self.length
        self.end = self.start + self.length
        self.rotation_LR = self._rotation(rope.frame_positions(torch.tensor([self.frame]), *self.config.grid))
        if self.full:
            self.bias_B11C[..., self.start : self.end] = -math.inf  # the frame in this slot has left the window
        shift = self.config.anchor_shift(self.frame)
        if shift:
            positions = self._anchor_positions() + torch.tensor([shift, 0, 0])
            near = rope.rotate(self.bare_keys.transpose(2, 3), self._rotation(positions))
            self.keys[:, :, :, : self.anchors] = near.transpose(2, 3)

    @property
    def full(self) -> bool:
        """Whether the open frame takes the slot of an older one."""
        return self.frame - self.config.sinks >= self.window

    def extend(self, count: int) -> LayerAttention:
        """Make room for the next `count` tokens of the open frame; returns the attention to run them with.

        Each layer stores their keys and values, and each token sees all that a token at its place may see.
        """
        first, last = self.start + self.done, self.start + self.done + count
        assert last <= self.end, "a frame has no more tokens"
        rotation_LR = self.rotation_LR[self.done : self.done + count]
        self.done += count
        if self.full:
            self.bias_B11C[..., first:last] = 0
        seen = self.slots if self.full else last  # before the ring is full nothing lies behind the open frame
        bias = self.bias_B11C[..., :seen] if self.full or self.padded else None
        if count > 1 and self.frame >= 0:
            later_LL = torch.full((count, count), -math.inf, dtype=self.dtype, device=self.device).triu_(1)
            bias = self.bias_B11C[..., :seen].repeat(1, 1, count, 1)
            bias[..., first:last] += later_LL
        heads = [self.config.heads, self.config.kv_heads]

        def attention(layer: int, qk_BLHK: Tensor, v_BLMK: Tensor, sharpness_N1: Tensor) -> Tensor:
            keys, values = self.keys[layer], self.values[layer]
            q, k = rope.rotate(qk_BLHK, rotation_LR).transpose(1, 2).split(heads, dim=1)
            keys[:, :, first:last] = k
            values[:, :, first:last] = v_BLMK.transpose(1, 2)
            if self.frame < self.config.sinks:
                self.bare_keys[layer, :, :, first:last] = qk_BLHK[:, :, heads[0] :].transpose(1, 2)
            out = attend(q * sharpness_N1[:, None], keys[:, :, :seen], values[:, :, :seen], bias, self.backend)
            return out.transpose(1, 2).flatten(2)

        return attention

    def _anchor_positions(self) -> Tensor:
        sinks = rope.frame_positions(torch.arange(self.config.sinks), *self.config.grid)
        return torch.cat([rope.prefix_positions(self.prefix), sinks])

    def _rotation(self, positions_L3: Tensor) -> Tensor:
        return rope.rotation(positions_L3, self.speeds, self.dtype).to(self.device)
