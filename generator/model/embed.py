"""What a token is made of: its code, and what the three ports add to it.

- prefix: the states of the sentence, projected, then the tokens of further conditions
- a frame: one header token, then its cells in the decoder's order; each token carries the cell
  before the one that it predicts, as the sum of the vectors of its codes
- the header port adds a vector to the first token of a frame, the grid port adds one to the token
  that predicts the cell
- behind the cells of a frame, the tokens of its sound, if it has any (sound.py, frame_layout.py)
- where a token stands is told by rotating its queries and keys (rope.py)

The off-by-one of next-token prediction is here and in `DecodeOrder`, for the full forward
(`embed_frames`) and for the cached engine (`table`, `frame_additions`) alike.

Legend: B batch, T latent frames, H W grid, G = H * W cells, Q codes of a cell, L tokens of a frame,
P prefix, S text length, E text width, D model width, V vocabulary, K codes of a latent's sound.
Codes are [..., G], or [..., G, Q] if Q > 1.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..conditions import CONDITIONS, Features
from .config import DecoderConfig
from .frame_layout import FrameLayout, frame_layout
from .layers import CodeTable
from .order import DecodeOrder, decode_order
from .sound import SoundTokens

Given = Mapping[str, Features]


class TokenEmbedding(nn.Module):
    """The part of the decoder that comes before its blocks."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.codes = CodeTable(config.vocab_size, config.levels, config.dim, std=0.1)
        self.text = nn.Linear(config.text_dim, config.dim, bias=False)
        self.no_text = nn.Parameter(torch.randn(config.dim) * 0.1)
        self.frame_start = nn.Parameter(torch.randn(config.dim) * 0.1)
        self.hidden_code = nn.Parameter(torch.randn(config.dim) * 0.1)
        self.ports = nn.ModuleDict(
            {name: CONDITIONS[name].network(size, config) for name, size in config.conditions}
        )
        self.sound = SoundTokens(config) if config.sound.codes else None

    @property
    def order(self) -> DecodeOrder:
        """Which tokens a picture has, who sees whom among them, and when they run."""
        return decode_order(self.config.grid, self.config.wavefront, self.no_text.device)

    def layout(self, sound: bool) -> FrameLayout:
        """Which tokens a frame has, with its sound or without."""
        return frame_layout(self.config, sound, self.no_text.device)

    # ---- prefix ----

    def embed_prefix(
        self,
        batch: int,
        text_BSE: Tensor | None,
        text_mask_BS: Tensor | None,
        given: Given | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Prefix inputs `[B, P, D]` and the mask of what is real in them `[B, P]`.

        Rows without text get `no_text`. Tokens of further conditions of the prefix follow, in the
        order of the config.
        """
        prefix_BPD, mask_BP = self._embed_text(batch, text_BSE, text_mask_BS)
        for name, features in self._of_port("prefix", given):
            tokens_BPD = self.ports[name](features.values).to(prefix_BPD.dtype)
            prefix_BPD = torch.cat([prefix_BPD, tokens_BPD], dim=1)
            mask_BP = torch.cat([mask_BP, features.given], dim=1)
        return prefix_BPD, mask_BP

    def _embed_text(
        self, batch: int, text_BSE: Tensor | None, text_mask_BS: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        if text_BSE is None:
            mask_BP = torch.ones(batch, 1, dtype=torch.bool, device=self.no_text.device)
            return self.no_text.expand(batch, 1, -1), mask_BP
        if text_mask_BS is None:
            text_mask_BS = torch.ones(text_BSE.shape[:2], dtype=torch.bool, device=text_BSE.device)
        text_BPD = self.text(F.rms_norm(text_BSE, text_BSE.shape[-1:]))
        text_BPD = torch.where(text_mask_BS[..., None], text_BPD, self.no_text.to(text_BPD.dtype))
        first = torch.arange(text_mask_BS.shape[1], device=text_mask_BS.device) == 0
        return text_BPD, text_mask_BS | (first & ~text_mask_BS.any(1, keepdim=True))

    # ---- frames ----

    def embed_frames(
        self,
        codes_BTG: Tensor,
        given: Given | None = None,
        corrupt_BTG: Tensor | None = None,
        sound_BTK: Tensor | None = None,
    ) -> Tensor:
        """Inputs of whole frames, `[B, T, L, D]`: in raster order token i (0 is the header) carries
        cell i - 1 and predicts cell i.

        Args:
            corrupt_BTG: bool; these cells are hidden.
            sound_BTK: codes of the sound, for frames that have some.
        """
        cells_BTGD = F.embedding(self.ids(codes_BTG), self.codes())
        if self.config.codebooks > 1:
            cells_BTGD = cells_BTGD.sum(-2)
        if corrupt_BTG is not None:
            cells_BTGD = torch.where(corrupt_BTG[..., None], self.hidden_code, cells_BTGD)
        order = self.order
        start_BT1D = self.frame_start.expand(*codes_BTG.shape[:2], 1, -1)
        row_starts_BTHD = self.hidden_code.expand(*codes_BTG.shape[:2], order.starts - 1, -1)
        x_BTLD = torch.cat([start_BT1D, row_starts_BTHD, cells_BTGD], dim=2)
        if self.config.wavefront:
            x_BTLD = x_BTLD[:, :, order.carried_L]
        added_BTLD = self.frame_additions(given)
        if added_BTLD is not None:
            x_BTLD = x_BTLD + added_BTLD
        if sound_BTK is None:
            return x_BTLD
        return torch.cat([x_BTLD, self._sounding().embed(sound_BTK)], dim=2)

    def _sounding(self) -> SoundTokens:
        if self.sound is None:
            raise ValueError("this decoder draws no sound")
        return self.sound

    def ids(self, codes: Tensor) -> Tensor:
        """Codes as rows of the table: each codebook has its own."""
        if self.config.codebooks == 1:
            return codes
        return codes + torch.arange(
            0, self.config.vocab_size, self.config.codebook_size, device=codes.device
        )

    def table(self) -> Tensor:
        """What tokens carry, [V + 3, D]: codes, the start of a frame, a hidden cell (with which
        the rows of a wavefront start), and nothing. The cached engine adds up rows of it."""
        ends = torch.stack([self.frame_start, self.hidden_code, torch.zeros_like(self.hidden_code)])
        return torch.cat([self.codes(), ends])

    def frame_additions(self, given: Given | None) -> Tensor | None:
        """What the ports header and grid add to the tokens of pictures, [B, T, L, D]; None for
        nothing."""
        added_BTLD = None
        order = self.order
        for name, features in self._of_port("header", given):
            header_BTD = self._embedded(name, features)
            added_BTLD = self._room(added_BTLD, header_BTD)
            added_BTLD[:, :, 0] += header_BTD
        for name, features in self._of_port("grid", given):
            grid_BTGD = self._embedded(name, features).flatten(2, 3)
            added_BTLD = self._room(added_BTLD, grid_BTGD)
            added_BTLD = added_BTLD.index_add(2, order.predictors_G, grid_BTGD)
        return added_BTLD

    def _room(self, added_BTLD: Tensor | None, like: Tensor) -> Tensor:
        if added_BTLD is not None:
            return added_BTLD
        return like.new_zeros(*like.shape[:2], self.order.length, like.shape[-1])

    def _embedded(self, name: str, features: Features) -> Tensor:
        """Vectors of a condition, zero where nothing is given."""
        vectors = self.ports[name](features.values)
        given = features.given
        given = given.view(*given.shape, *(1,) * (vectors.dim() - given.dim()))
        return torch.where(given, vectors, 0.0).to(self.no_text.dtype)

    def _of_port(self, port: str, given: Given | None) -> list[tuple[str, Features]]:
        """What is given of the conditions of a port, in the order of the config.

        Raises:
            ValueError: a condition that this decoder was not made for.
        """
        known = [name for name, _ in self.config.conditions]
        for name in given or ():
            if name not in known:
                raise ValueError(
                    f"this decoder takes no '{name}'; it takes {', '.join(known) or 'text alone'}"
                )
        here = [name for name in known if CONDITIONS[name].port == port]
        return [(name, given[name]) for name in here if given and name in given]
