"""The parts of a sound tokenizer, from samples to codes and back.

- analysis: how loud each band is at every step of about 10 ms
- codes: a block of steps is predicted from the decoded past, and the rest rounded
- synthesis: magnitudes as the codes say, phases of its own
- the past is an argument, and everything is done a latent at a time, so a stream of chunks gives
  the codes and samples of the whole to the last bit

Legend: B batch, L samples, S steps, K bands, N codes of a latent, D levels of a block, P levels of
the past.
"""

import torch
from torch import Tensor, nn

from ..blocks import State
from .analysis import FLOOR, band_levels, unwarped, warped, warped_amplitude
from .block_codes import BlockCodes
from .config import SoundTokenizerConfig
from .past import with_past
from .synthesis import Synthesis


class SoundNetwork(nn.Module):
    """One latent at a time, each with the past as an argument."""

    def __init__(self, config: SoundTokenizerConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.codes = BlockCodes(c)
        self.synthesis = Synthesis(c.rate, c.latent_samples, c.hop, c.window, c.bands)

    def levels(self, wave_BL: Tensor, state: State, new_state: State) -> Tensor:
        """Warped levels `[B, S, K]` of the steps of samples `[B, L]`, L a multiple of hop."""
        c = self.config
        joined = with_past(wave_BL, c.window - c.hop, "samples", state, new_state)
        return warped(band_levels(joined, c.window, c.rise, c.hop, c.bands, c.rate), c.exponent)

    def encode_latent(self, wave_BL: Tensor, state: State, new_state: State) -> Tensor:
        """The samples of one latent to its codes, int64 `[B, N]`."""
        blocks = self.levels(wave_BL, state, new_state).unflatten(1, (self.config.blocks, -1))
        past = self._past(state, blocks)
        codes = []
        for block_BD in blocks.flatten(2).unbind(1):
            codes.append(self.codes.encode(block_BD, past))
            past = self._after(self.codes.decode(codes[-1], past))
        new_state["levels"] = past
        return torch.cat(codes, dim=1)

    def decode_latent(self, codes_BN: Tensor, state: State, new_state: State) -> Tensor:
        """The codes of one latent to its samples `[B, L]`."""
        past = self._past(state, self.codes.basis.new_zeros(len(codes_BN), 1))
        decoded = []
        for codes in codes_BN.unflatten(1, (self.config.blocks, -1)).unbind(1):
            decoded.append(self.codes.decode(codes, past))
            past = self._after(decoded[-1])
        new_state["levels"] = past
        warped_BSK = torch.cat(decoded, dim=1).unflatten(1, (-1, self.config.bands))
        levels_BSK = unwarped(warped_BSK, self.config.exponent)
        return self.synthesis(levels_BSK, state, new_state)

    def _past(self, state: State, like: Tensor) -> Tensor:
        """Levels of the last decoded steps `[B, P]`; before the first there is silence."""
        if "levels" in state:
            return state["levels"]
        silence = warped_amplitude(FLOOR, self.config.exponent)
        return like.new_full((len(like), self.config.past * self.config.bands), silence)

    def _after(self, block_BD: Tensor) -> Tensor:
        return block_BD[:, block_BD.shape[1] - self.config.past * self.config.bands :]
