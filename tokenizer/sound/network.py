"""The network of a sound tokenizer, from samples to codes and back.

- the encoder sees the loudness of bands every few milliseconds, over a short and a long piece of
  the past, instead of raw samples: it need not find out what a pitch is
- causal blocks at two rates of time; FSQ with one or more codebooks a step
- the decoder sets the loudness of fixed tones and noises every fine step, and adds a learned
  waveform of several hops, which may begin suddenly, as a blow does
- time is causal and the past is an argument, so a stream of chunks gives the codes and samples of
  the whole

Legend: B batch, L samples, S fine steps, N codes in time, C channels, W window, d size of a code
vector, Q codebooks, q those that are kept.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..blocks import State
from ..quantizer import Quantizer
from .blocks import Stack, with_past
from .config import SoundTokenizerConfig
from .spectra import mel_filters
from .synthesis import QUIET, RANGE, Synthesis

FAINTEST = 1e-4  # amplitude that counts as silence
LOUDEST = 3.0  # of the logarithm of a step's own loudness


class SoundReconstruction(NamedTuple):
    """wave `[B, L]` (not clamped), all indices int64 `[B, N]` or `[B, N, Q]`, the vectors `[B, N,
    d]` that were decoded, the quantizer's own loss, a scalar, and logarithms of the amplitudes of
    the synthesis `[B, S, K]`."""

    wave: Tensor
    indices: Tensor
    vectors: Tensor
    loss: Tensor
    mix: Tensor


class SoundNetwork(nn.Module):
    """What is trained: waves `[B, L]` to their reconstruction, L a multiple of a code's samples."""

    def __init__(self, config: SoundTokenizerConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.embed = nn.Linear(sum(c.bands), c.width)
        fine, coarse = c.encoder
        self.fine_encoder = Stack("fine_encoder", c.width, c.expand, c.taps, fine)
        self.merge = nn.Linear(c.width * c.steps_per_code, c.wide)
        self.encoder = Stack("encoder", c.wide, c.expand, c.taps, coarse)
        self.quantizer = Quantizer(c.quantizer, c.wide)
        self.lift = nn.Linear(c.quantizer.dim, c.wide)
        fine, coarse = c.decoder
        self.decoder = Stack("decoder", c.wide, c.expand, c.taps, coarse)
        self.split = nn.Linear(c.wide, c.width * c.steps_per_code)
        self.fine_decoder = Stack("fine_decoder", c.width, c.expand, c.taps, fine)
        self.out_norm = nn.RMSNorm(c.width, eps=1e-6)
        self.out = nn.Linear(c.width, c.window)
        self.loudness = nn.Linear(c.width, 1)
        self.synthesis = Synthesis(c.rate, c.latent_samples, c.hop, c.tones, c.noises)
        self.mix = nn.Linear(c.width, self.synthesis.count)
        nn.init.normal_(self.out.weight, std=0.3 / c.width**0.5)
        nn.init.zeros_(self.out.bias)
        nn.init.constant_(self.loudness.bias, -1.0)
        nn.init.normal_(self.mix.weight, std=0.1 / c.width**0.5)
        nn.init.zeros_(self.mix.bias)

    def forward(
        self, wave_BL: Tensor, quantize: bool = True, rate: int | Tensor | None = None
    ) -> SoundReconstruction:
        """Waves `[B, L]` to their reconstruction, with gradients; see `Quantizer` for `rate`."""
        x_BNC = self._encode_samples(wave_BL, {}, {})
        vectors, indices, loss = self.quantizer(x_BNC[:, :, None, None], quantize, rate)
        vectors = vectors[:, :, 0, 0]
        wave, mix_BSK = self._wave_and_mix(vectors, {}, {})
        return SoundReconstruction(wave, indices[:, :, 0, 0], vectors, loss, mix_BSK)

    def code_vectors(self, indices: Tensor) -> Tensor:
        """Indices int64 `[B, N]` or `[B, N, q]` to the vectors they stand for `[B, N, d]`."""
        return self.quantizer.code_vectors(indices[:, :, None, None])[:, :, 0, 0]

    # ---- parts, each with the past as an argument ----

    def _encode_samples(self, wave_BL: Tensor, state: State, new_state: State) -> Tensor:
        """Samples to what is quantized, `[B, N, C]`."""
        c = self.config
        past = max(c.windows) - c.hop
        joined = with_past(wave_BL, past, "samples", state, new_state)
        looks = [
            band_loudness(joined[:, past + c.hop - window :], window, c.hop, bands, c.rate)
            for window, bands in zip(c.windows, c.bands)
        ]
        x_BSC = self.embed(torch.cat(looks, dim=-1))
        x_BSC = self.fine_encoder(x_BSC.float(), state, new_state)
        x_BNC = self.merge(x_BSC.unflatten(1, (-1, c.steps_per_code)).flatten(2))
        return self.encoder(x_BNC.float(), state, new_state)

    def _decode_vectors(self, vectors: Tensor, state: State, new_state: State) -> Tensor:
        """Code vectors `[B, N, d]` to samples `[B, L]`."""
        return self._wave_and_mix(vectors, state, new_state)[0]

    def _wave_and_mix(
        self, vectors: Tensor, state: State, new_state: State
    ) -> tuple[Tensor, Tensor]:
        """Samples `[B, L]`, and the logarithms of amplitudes `[B, S, K]` of the synthesis."""
        c = self.config
        x_BNC = self.decoder(self.lift(vectors).float(), state, new_state)
        x_BSC = self.split(x_BNC).unflatten(2, (c.steps_per_code, -1)).flatten(1, 2)
        x_BSC = self.out_norm(self.fine_decoder(x_BSC.float(), state, new_state))
        loudness = (RANGE * self.loudness(x_BSC)).clamp(max=LOUDEST).exp()
        waves_BSW = (self.out(x_BSC) * loudness).float()
        mix_BSK = QUIET + RANGE * self.mix(x_BSC)
        played = self.synthesis(mix_BSK, state, new_state)
        return played + self._added_up(waves_BSW, state, new_state), mix_BSK

    def _added_up(self, waves_BSW: Tensor, state: State, new_state: State) -> Tensor:
        """Waveforms that begin one hop after the other and overlap, to samples."""
        c = self.config
        parts = c.window // c.hop
        past = with_past(waves_BSW[..., c.hop :], parts - 1, "overlap", state, new_state)
        S = waves_BSW.shape[1]
        total = waves_BSW[..., : c.hop]
        for part in range(1, parts):
            # what a step `part` hops ago still has to say
            begin = (part - 1) * c.hop
            total = total + past[:, parts - 1 - part : parts - 1 - part + S, begin : begin + c.hop]
        return total.flatten(1)


def band_loudness(wave_BL: Tensor, window: int, hop: int, bands: int, rate: int) -> Tensor:
    """Logarithms of the amplitudes of bands of pieces of a wave, [B, S, bands], of a range that
    suits a network."""
    shape = torch.hann_window(window, device=wave_BL.device)
    spectrum = torch.fft.rfft(wave_BL.float().unfold(1, window, hop) * shape).abs() * (4 / window)
    filters = mel_filters(window, bands, rate).to(wave_BL.device)
    return (spectrum @ filters.T + FAINTEST).log() / 3 + 2
