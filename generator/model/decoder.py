"""Decoder-only transformer over spacetime codes: conditions in, logits of the next code out.

- RMSNorm before every sublayer, SwiGLU, grouped-query attention, normalised queries and keys, no
  biases
- three-axis RoPE (rope.py), frame-major, raster inside a frame (or rows at once: order.py)
- sequence: prefix (text states, projected), then per latent frame one header token and H * W cell
  tokens
- the header predicts cell 0, cell i predicts cell i + 1; the last cell of a frame predicts nothing;
  the codes of a cell, if it has several, are predicted one after another (depth.py)
- sound, if it is drawn: a start and a few tokens of several codes each behind the cells (sound.py)
- a token sees the prefix, the first `sinks` frames, the last `window` frames (its own included),
  and nothing later
- prefix and sinks never seem further away than `max_distance` frames: what training saw holds for
  ever
- input and output code tables are a full table plus a sum of small tables, one per FSQ dimension

Legend: B batch, T latent frames, H W grid, G = H * W cells, Q codes of a cell, L tokens, P prefix,
S text length, E text width, D model width, N query heads, M key/value heads, K head size or codes
of a codebook, V vocabulary, X codes of a latent's sound. Codes are [..., H, W], or [..., H, W, Q]
if Q > 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import rope
from .attention import attend
from .config import DecoderConfig
from .depth import DepthDecoder
from .embed import Given, TokenEmbedding
from .frame_layout import FrameLayout
from .layers import Block, CodeTable, LayerAttention, rms_norm
from .mask import frame_biases, plan_frames
from .sound_config import SoundConfig

__all__ = ["Decoder", "DecoderConfig"]


def logits(states: Tensor, table: Tensor) -> Tensor:
    """`[..., V]` of states `[..., D]` and a table `[V, D]`, or `[..., Q, K]` of `[..., Q, D]` and
    `[Q, K, D]`."""
    if table.dim() == 2:
        return states @ table.T
    return torch.einsum("...qd,qkd->...qk", states, table)


class Decoder(TokenEmbedding):
    """See the top of this file. Parameters are float32; run it under autocast for bfloat16."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.blocks = nn.ModuleList([Block(config, i) for i in range(config.layers)])
        self.head = CodeTable(config.vocab_size, config.levels, config.dim, std=0.02)
        nn.init.normal_(self.text.weight, std=0.1 * config.text_dim**-0.5)
        self.depth = DepthDecoder(config, config.codebooks) if config.codebooks > 1 else None

    def forward(
        self,
        codes_BTHW: Tensor,
        text_BSE: Tensor | None = None,
        text_mask_BS: Tensor | None = None,
        *,
        given: Given | None = None,
        corrupt_mask: Tensor | None = None,
        within: Tensor | None = None,
        window: int | None = None,
        backend: str = "sdpa",
        only_N: Tensor | None = None,
        return_hidden: bool = False,
        read: Callable[[Tensor, Tensor], Any] = logits,
        sound_BTX: Tensor | None = None,
        silent_B: Tensor | None = None,
        read_sound: Callable[[Tensor, Tensor], Any] = logits,
    ) -> Any:
        """Logits of every code given what comes before it, `[B, T, G, V]`, or `[B, T, G, Q, K]` of
        several codebooks: training, and the oracle of the cached step. With sound a pair: those,
        and the logits of the codes of sound, `[B, T, X, V]`.

        Args:
            codes_BTHW: int64 codes, all of them clean.
            text_BSE: states of the text encoder; None for no caption at all.
            text_mask_BS: True at real text tokens. A row without any is unconditional.
            given: features of further conditions by name; what is not named is not given.
            corrupt_mask: bool [B, T, H, W]; these cells are hidden from the input (they stay
                targets).
            within: what the later codes of a cell are given of its earlier ones, in the shape of
                the codes, if something else than they.
            window: in place of the trained one.
            backend: of `attend`; "matmul" trains fastest on a CPU in bfloat16.
            only_N: int64, the cells of the flattened [B, T, G] whose logits `[N, V]` are asked
                for; None for all.
            return_hidden: return normalised states `[B, T, G, D]` instead, from which `read` makes
                logits.
            read: what is made of states `[..., D]` and the table `[V, D]`, or of states `[..., Q,
                D]` and the tables `[Q, K, D]`, in place of logits; it is what is returned.
            sound_BTX: int64 codes of the sound; None for frames without.
            silent_B: bool [B]; these rows are as without sound, and what is read of their sound
                means nothing.
            read_sound: as `read`, of the states `[B, T, X, D]` of sound and its table.

        Raises:
            ValueError: codes of another grid or number, a condition that this decoder does not
                take, a window longer than it allows.
        """
        config = self.config
        books = (config.codebooks,) if config.codebooks > 1 else ()
        if codes_BTHW.shape[2:] != (*config.grid, *books):
            wanted = ", ".join(["B", "T", *map(str, (*config.grid, *books))])
            raise ValueError(f"codes must be [{wanted}]; got {list(codes_BTHW.shape)}")
        (B, T) = codes_BTHW.shape[:2]
        corrupt_BTG = None if corrupt_mask is None else corrupt_mask.flatten(2)
        prefix_BPD, prefix_mask_BP = self.embed_prefix(B, text_BSE, text_mask_BS, given)
        self._check_sound(sound_BTX, B, T)
        frames_BTLD = self.embed_frames(codes_BTHW.flatten(2, 3), given, corrupt_BTG, sound_BTX)
        P = prefix_BPD.shape[1]
        x_BLD = torch.cat([prefix_BPD, frames_BTLD.flatten(1, 2)], dim=1)
        layout = self.layout(sound_BTX is not None)
        seen = prefix_mask_BP, silent_B if sound_BTX is not None else None
        attention = self._frame_by_frame(seen, layout, T, window or config.window, x_BLD, backend)
        hidden_BTLD = self.step(x_BLD, attention)[:, P:].unflatten(1, (T, -1))
        hidden_BTGD = (
            hidden_BTLD[:, :, self.order.predictors_G]
            if config.wavefront
            else hidden_BTLD[:, :, : config.cells]
        )
        hidden = hidden_BTGD if only_N is None else hidden_BTGD.flatten(0, 2)[only_N]
        if self.depth is not None:
            codes = (codes_BTHW if within is None else within).flatten(2, 3)
            known = codes if only_N is None else codes.flatten(0, 2)[only_N]
            hidden = self.depth(hidden, F.embedding(self.ids(known), self.codes()))
        picture = hidden if return_hidden else read(hidden, self.tables())
        if sound_BTX is None:
            return picture
        sound = self._sounding()
        states_BTXD = sound.states(hidden_BTLD[:, :, self.order.length :], sound_BTX)
        return picture, states_BTXD if return_hidden else read_sound(states_BTXD, sound.head())

    def _check_sound(self, sound_BTX: Tensor | None, batch: int, frames: int) -> None:
        if sound_BTX is None:
            return
        self._sounding()
        wanted = [batch, frames, self.config.sound.codes]
        if list(sound_BTX.shape) != wanted:
            raise ValueError(f"codes of sound must be {wanted}; got {list(sound_BTX.shape)}")

    def tables(self) -> Tensor:
        """Of the logits: `[V, D]`, or one of each codebook, `[Q, K, D]`."""
        table_VD = self.head()
        books = self.config.codebooks
        return table_VD if books == 1 else table_VD.unflatten(0, (books, -1))

    def step(self, x_BLD: Tensor, attention: LayerAttention) -> Tensor:
        """Normalised states [B, L, D] of some tokens, given how they attend (to a cache, for
        instance)."""
        for block in self.blocks:
            x_BLD = block(x_BLD, attention)
        return rms_norm(x_BLD)

    def _frame_by_frame(
        self,
        seen: tuple[Tensor, Tensor | None],
        layout: FrameLayout,
        frames: int,
        window: int,
        x_BLD: Tensor,
        backend: str,
    ) -> LayerAttention:
        """Attention of whole frames: queries of a frame meet only the keys that they may see, so
        little is masked.

        Args:
            seen: which tokens of the prefix are real, [B, P], and which rows are silent, [B].
        """
        config = self.config
        prefix_mask_BP, silent_B = seen
        P = prefix_mask_BP.shape[1]
        L = layout.length
        device = x_BLD.device
        autocast = torch.is_autocast_enabled(device.type)
        dtype = torch.get_autocast_dtype(device.type) if autocast else x_BLD.dtype
        sounds = layout.sound is not None
        plan = plan_frames(config, P, frames, window, device, x_BLD.dtype, sounds)
        biases = frame_biases(plan, prefix_mask_BP, layout, dtype, silent_B)

        def attention(layer: int, qk_BLHK: Tensor, v_BLMK: Tensor, sharpness_N1: Tensor) -> Tensor:
            turned_BHLK = rope.rotate(qk_BLHK, plan.rotation).transpose(1, 2)
            q, k = turned_BHLK.split([config.heads, config.kv_heads], dim=1)
            q = (q * sharpness_N1[:, None].to(q.dtype)).split([P, *[L] * frames], dim=2)
            k = k.contiguous()
            v = v_BLMK.transpose(1, 2).contiguous()
            out = [attend(q[0], k[:, :, :P], v[:, :, :P], biases[0], backend)]
            for view, queries, bias in zip(plan.views, q[1:], biases[1:]):
                keys = k[:, :, view.first : view.last]
                values = v[:, :, view.first : view.last]
                if view.first:
                    near = k[:, :, : plan.anchors]
                    if view.anchor_rotation is not None:
                        anchors = qk_BLHK[:, : plan.anchors, config.heads :]
                        near = rope.rotate(anchors, view.anchor_rotation).transpose(1, 2)
                    keys = torch.cat([near, keys], dim=2)
                    values = torch.cat([v[:, :, : plan.anchors], values], dim=2)
                out.append(attend(queries, keys, values, bias, backend))
            return torch.cat(out, dim=2).transpose(1, 2).flatten(2)

        return attention


def with_conditions(decoder: Decoder, conditions: Mapping[str, int]) -> Decoder:
    """The same decoder, which also takes these conditions (names and sizes); their networks are
    new."""
    config = decoder.config
    new = dict(config.conditions) | dict(conditions)
    if tuple(new.items()) == config.conditions:
        return decoder
    return _wider(decoder, replace(config, conditions=tuple(new.items())))


def with_sound(decoder: Decoder, sound: SoundConfig) -> Decoder:
    """The same decoder, which also draws sound; what is of sound alone is new."""
    return _wider(decoder, replace(decoder.config, sound=sound))


def _wider(decoder: Decoder, config: DecoderConfig) -> Decoder:
    wider = Decoder(config)
    wider.load_state_dict(wider.state_dict() | decoder.state_dict())
    return wider.to(decoder.no_text.device)
