"""The tokens of sound: what they carry, and what is read from them.

A token carries several codes that follow one another in time. All come from one table, and the
place of a code in its token is told by a vector of gains, which the table's vector is multiplied
with before the codes of a token are added up. The first token, the start, carries none; each
predicts the codes of the next one.

Legend: B batch, T latent frames, n tokens of a latent's sound, q codes of a token, K = n * q codes
of a latent, L = n + 1 tokens with the start, V codes that there are, D model width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import DecoderConfig
from .depth import DepthDecoder
from .layers import CodeTable


class SoundTokens(nn.Module):
    """The part of a decoder that sound alone uses; the blocks are those of the picture."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        sound = config.sound
        self.tokens = sound.tokens
        self.books = sound.codes_per_token
        self.codes = CodeTable(sound.vocab_size, sound.levels, config.dim, std=0.1)
        self.start = nn.Parameter(torch.randn(config.dim) * 0.1)
        self.head = CodeTable(sound.vocab_size, sound.levels, config.dim, std=0.02)
        gains = torch.randn(self.books, config.dim) / self.books**0.5
        self.gain = nn.Parameter(gains) if self.books > 1 else None
        self.depth = DepthDecoder(config, self.books) if self.books > 1 else None

    def vectors(self, codes_BTK: Tensor) -> Tensor:
        """Of each code, [B, T, n, q, D]."""
        vectors = F.embedding(codes_BTK.unflatten(-1, (self.tokens, self.books)), self.codes())
        return vectors if self.gain is None else vectors * self.gain

    def embed(self, codes_BTK: Tensor) -> Tensor:
        """Inputs [B, T, L, D] of the tokens of these codes."""
        start_BT1D = self.start.expand(*codes_BTK.shape[:2], 1, -1)
        return torch.cat([start_BT1D, self.vectors(codes_BTK).sum(-2)], dim=2)

    def states(self, hidden_BTLD: Tensor, codes_BTK: Tensor) -> Tensor:
        """What the logits of all codes are read from, [B, T, K, D], given the decoder's states of
        the tokens."""
        hidden_BTnD = hidden_BTLD[:, :, :-1]
        if self.depth is None:
            return hidden_BTnD
        return self.depth(hidden_BTnD, self.vectors(codes_BTK)).flatten(2, 3)

    def table(self) -> Tensor:
        """What tokens carry, [V + 3, D]: codes, the start, a hidden token and nothing. The cached
        engine adds up rows of it, codes with the gains of their places."""
        nothing = torch.zeros_like(self.start)
        return torch.cat([self.codes(), torch.stack([self.start, nothing, nothing])])
