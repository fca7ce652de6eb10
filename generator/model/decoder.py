"""Decoder-only transformer over spacetime codes: conditions in, logits of the next code out.

- RMSNorm before every sublayer, SwiGLU, grouped-query attention, normalised queries and keys, no
  biases
- three-axis RoPE (rope.py), frame-major, raster inside a frame (or rows at once: parallel.py)
- sequence: prefix (text states, projected), then per latent frame one header token and H * W cell
  tokens
- the header predicts cell 0, cell i predicts cell i + 1; the last cell of a frame predicts nothing
- a token sees the prefix, the first `sinks` frames, the last `window` frames (its own included),
  and nothing later
- prefix and sinks never seem further away than `max_distance` frames: what training saw holds for
  ever
- input and output code tables are a full table plus a sum of small tables, one per FSQ dimension

Legend: B batch, T latent frames, H W grid, G = H * W cells, L tokens, P prefix, S text length, E
text width, D model width, N query heads, M key/value heads, K head size, V vocabulary.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import rope
from .attention import attend
from .config import DecoderConfig
from .layers import Block, CodeTable, LayerAttention, rms_norm
from .mask import frame_biases, plan_frames
from .order import DecodeOrder, decode_order

__all__ = ["Decoder", "DecoderConfig"]


def logits(states: Tensor, table_VD: Tensor) -> Tensor:
    return states @ table_VD.T


class Decoder(nn.Module):
    """See the top of this file. Parameters are float32; run it under autocast for bfloat16."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.codes = CodeTable(config.vocab_size, config.levels, config.dim, std=0.1)
        self.text = nn.Linear(config.text_dim, config.dim, bias=False)
        self.no_text = nn.Parameter(torch.randn(config.dim) * 0.1)
        self.frame_start = nn.Parameter(torch.randn(config.dim) * 0.1)
        self.hidden_code = nn.Parameter(torch.randn(config.dim) * 0.1)
        self.actions = nn.Embedding(config.num_actions, config.dim) if config.num_actions else None
        self.dense = nn.Embedding(config.grid_vocab, config.dim) if config.grid_vocab else None
        self.blocks = nn.ModuleList([Block(config, i) for i in range(config.layers)])
        self.head = CodeTable(config.vocab_size, config.levels, config.dim, std=0.02)
        nn.init.normal_(self.text.weight, std=0.1 * config.text_dim**-0.5)
        for table in (self.actions, self.dense):
            if table is not None:
                nn.init.normal_(table.weight, std=0.1)

    def forward(
        self,
        codes_BTHW: Tensor,
        text_BSE: Tensor | None = None,
        text_mask_BS: Tensor | None = None,
        *,
        header: Tensor | None = None,
        grid: Tensor | None = None,
        corrupt_mask: Tensor | None = None,
        window: int | None = None,
        backend: str = "sdpa",
        only_N: Tensor | None = None,
        return_hidden: bool = False,
        read: Callable[[Tensor, Tensor], Any] = logits,
    ) -> Any:
        """Logits of every code given what comes before it, `[B, T, G, V]`: training, and the oracle
        of the cached step.

        Args:
            codes_BTHW: int64 codes, all of them clean.
            text_BSE: states of the text encoder; None for no caption at all.
            text_mask_BS: True at real text tokens. A row without any is unconditional.
            header: int64 [B, T] actions, -1 where there is none.
            grid: int64 [B, T, H, W] dense codes, each added to the step that predicts its cell; -1
                where there is none.
            corrupt_mask: bool [B, T, H, W]; these codes are hidden from the input (they stay
                targets).
            window: in place of the trained one.
            backend: of `attend`; "matmul" trains fastest on a CPU in bfloat16.
            only_N: int64, the tokens of the flattened [B, T, G] whose logits `[N, V]` are asked
                for; None for all.
            return_hidden: return normalised states `[B, T, G, D]` instead; logits are `states @
                decoder.head().T`.
            read: what is made of these states and the table `[V, D]`, in place of logits; it is
                what is returned.

        Raises:
            ValueError: codes of another grid, a port that this decoder does not have, a window
                longer than it allows.
        """
        if codes_BTHW.shape[2:] != self.config.grid:
            raise ValueError(
                f"codes must be [B, T, {self.config.grid[0]}, {self.config.grid[1]}]; got "
                f"{list(codes_BTHW.shape)}"
            )
        config = self.config
        (B, T) = codes_BTHW.shape[:2]
        grid_BTG, corrupt_BTG = (x if x is None else x.flatten(2) for x in (grid, corrupt_mask))
        prefix_BPD, prefix_mask_BP = self.embed_prefix(B, text_BSE, text_mask_BS)
        frames_BTLD = self.embed_frames(codes_BTHW.flatten(2), header, grid_BTG, corrupt_BTG)
        P = prefix_BPD.shape[1]
        x_BLD = torch.cat([prefix_BPD, frames_BTLD.flatten(1, 2)], dim=1)
        attention = self._frame_by_frame(prefix_mask_BP, T, window or config.window, x_BLD, backend)
        hidden_BTLD = self.step(x_BLD, attention)[:, P:].unflatten(1, (T, -1))
        hidden_BTGD = (
            hidden_BTLD[:, :, self.order.predictors_G]
            if config.wavefront
            else hidden_BTLD[:, :, :-1]
        )
        hidden = hidden_BTGD if only_N is None else hidden_BTGD.flatten(0, 2)[only_N]
        return hidden if return_hidden else read(hidden, self.head())

    def embed_prefix(
        self, batch: int, text_BSE: Tensor | None, text_mask_BS: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Prefix inputs `[B, P, D]` and the mask of what is real in them `[B, P]`; rows without
        text get `no_text`."""
        if text_BSE is None:
            mask_BP = torch.ones(batch, 1, dtype=torch.bool, device=self.no_text.device)
            return self.no_text.expand(batch, 1, -1), mask_BP
        if text_mask_BS is None:
            text_mask_BS = torch.ones(text_BSE.shape[:2], dtype=torch.bool, device=text_BSE.device)
        text_BPD = self.text(F.rms_norm(text_BSE, text_BSE.shape[-1:]))
        text_BPD = torch.where(text_mask_BS[..., None], text_BPD, self.no_text.to(text_BPD.dtype))
        first = torch.arange(text_mask_BS.shape[1], device=text_mask_BS.device) == 0
        return text_BPD, text_mask_BS | (first & ~text_mask_BS.any(1, keepdim=True))

    def embed_frames(
        self,
        codes_BTG: Tensor,
        header_BT: Tensor | None = None,
        grid_BTG: Tensor | None = None,
        corrupt_BTG: Tensor | None = None,
    ) -> Tensor:
        """Inputs of whole frames, `[B, T, L, D]`.

        The off-by-one of next-token training lives here: token i (0 is the header) carries code i -
        1 and predicts code i, so the dense condition of cell i is added to token i. `order` says it
        for other orders than raster.
        """
        cells_BTGD = F.embedding(codes_BTG, self.codes())
        if corrupt_BTG is not None:
            cells_BTGD = torch.where(corrupt_BTG[..., None], self.hidden_code, cells_BTGD)
        order = self.order
        start_BT1D = self.frame_start.expand(*codes_BTG.shape[:2], 1, -1)
        if header_BT is not None:
            start_BT1D = (
                start_BT1D + port(self.actions, header_BT, "header", "num_actions")[:, :, None]
            )
        row_starts_BTHD = self.hidden_code.expand(*codes_BTG.shape[:2], order.starts - 1, -1)
        x_BTLD = torch.cat([start_BT1D, row_starts_BTHD, cells_BTGD], dim=2)
        if self.config.wavefront:
            x_BTLD = x_BTLD[:, :, order.carried_L]
        if grid_BTG is not None:
            dense_BTGD = port(self.dense, grid_BTG, "grid", "grid_vocab")
            x_BTLD = x_BTLD.index_add(2, order.predictors_G, dense_BTGD.to(x_BTLD.dtype))
        return x_BTLD

    @property
    def order(self) -> DecodeOrder:
        """Which tokens a frame has, who sees whom among them, and when they run."""
        return decode_order(self.config.grid, self.config.wavefront, self.no_text.device)

    def step(self, x_BLD: Tensor, attention: LayerAttention) -> Tensor:
        """Normalised states [B, L, D] of some tokens, given how they attend (to a cache, for
        instance)."""
        for block in self.blocks:
            x_BLD = block(x_BLD, attention)
        return rms_norm(x_BLD)

    def _frame_by_frame(
        self, prefix_mask_BP: Tensor, frames: int, window: int, x_BLD: Tensor, backend: str
    ) -> LayerAttention:
        """Attention of whole frames: queries of a frame meet only the keys that they may see, so
        little is masked."""
        config = self.config
        P = prefix_mask_BP.shape[1]
        L = self.order.length
        device = x_BLD.device
        autocast = torch.is_autocast_enabled(device.type)
        dtype = torch.get_autocast_dtype(device.type) if autocast else x_BLD.dtype
        plan = plan_frames(config, P, frames, window, device, x_BLD.dtype)
        biases = frame_biases(plan, prefix_mask_BP, self.order, dtype)

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


def port(table: nn.Embedding | None, values: Tensor, name: str, setting: str) -> Tensor:
    """Embeds the values of a port, nothing where they are negative."""
    if table is None:
        raise ValueError(f"this decoder has no {name} port; train one with {setting} above 0")
    return table(values.clamp(min=0)) * (values >= 0)[..., None]
