"""The network of a tokenizer, from pixels to codes and back.

- patches of k x p x p pixels, the first frame repeated k times; a fixed transform and whitening
  instead of a learned stem
- residual channels-last blocks; few blocks of the encoder see their neighbours, so a moving object
  changes few codes around it
- FSQ by default, with one or more codebooks per cell; a mirrored decoder of code vectors; two light
  causal convolutions over the pixels
- time is causal and the past is an argument, so a stream of chunks gives the codes and pixels of
  the whole clip

Legend: B batch, T H W latent grid, F Y X frames and pixels, k frames per latent, p patch side, C
width, d size of a code vector, Q codebooks of a cell, q those that are kept. Indices are `[B, T, H,
W]`, or `[B, T, H, W, Q]` if Q > 1.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .blocks import Stack, State, own, refiner
from .checks import check_video
from .config import TokenizerConfig
from .patches import Whitening, pad_pictures, repeat_first, repeat_last
from .quantizer import Quantizer


class Reconstruction(NamedTuple):
    """The result of the network.

    `video` is `[B, 3, F, Y, X]`, not clamped; `indices` are int64 `[B, T, H, W]` or `[B, T, H, W,
    Q]`, of all codebooks; `vectors` `[B, T, H, W, d]` were decoded; `loss` is the quantizer's own,
    a scalar.
    """

    video: Tensor
    indices: Tensor
    vectors: Tensor
    loss: Tensor


class TokenizerNetwork(nn.Module):
    """The trained network: video `[B, 3, F, Y, X]` in [-1, 1] to its reconstruction.


    Args:
        config: its sizes.
        library: as in `Quantizer`.
    """

    def __init__(self, config: TokenizerConfig, library: bool = True) -> None:
        super().__init__()
        self.config = config
        self.whitening = Whitening(config.frames_per_latent, config.patch, config.whitening_floor)
        self.embed = nn.Linear(self.whitening.size, config.encoder.width)
        self.encoder = Stack(config.encoder, "encoder")
        self.quantizer = Quantizer(config.quantizer, config.encoder.width, library)
        self.lift = nn.Linear(config.quantizer.dim, config.decoder.width)
        self.decoder = Stack(config.decoder, "decoder")
        self.out_norm = nn.RMSNorm(config.decoder.width, eps=1e-6)
        self.out = nn.Linear(config.decoder.width, self.whitening.size)
        self.refiner = refiner(config.refine_channels, config.refine_stride)

    def forward(
        self, video: Tensor, quantize: bool = True, rate: int | Tensor | None = None
    ) -> Reconstruction:
        """Video `[B, 3, F, Y, X]` in [-1, 1] to its reconstruction, with gradients.

        `rate` is the number of codebooks that are decoded: one number, or int64 `[B]`, one per
        clip; all if not given.
        """
        rates = self.quantizer.rates
        if isinstance(rate, int) and not 1 <= rate <= rates:
            raise ValueError(f"rate must be from 1 to {rates}; got {rate}")
        check_video(video)
        F, Y, X = video.shape[2:]
        x_BTHWC = self._encode_latents(self._lead_in(self.pad(video)), {}, {})
        vectors, indices, loss = self.quantizer(x_BTHWC, quantize, rate)
        pixels = self._decode_vectors(vectors, {}, {})
        return Reconstruction(pixels[:, :, :F, :Y, :X], indices, vectors, loss)

    @torch.no_grad()
    def fit_whitening(self, videos: Iterable[Tensor], keep: Tensor | None = None) -> None:
        """Measure the statistics of patches over a few batches `[B, 3, F, Y, X]` in [-1, 1], but
        for the coefficients `keep` (see `Whitening.fit`); do so before training."""
        self.whitening.fit((self._lead_in(self.pad(video)) for video in videos), keep)

    def code_vectors(self, indices: Tensor) -> Tensor:
        """Indices `[B, T, H, W]` or `[B, T, H, W, q]` to their vectors `[B, T, H, W, d]`."""
        return self.quantizer.code_vectors(indices)

    def pad(self, video: Tensor) -> Tensor:
        """Pad the last group of frames with its last frame, and patches with copies of the edge."""
        missing = (1 - video.shape[2]) % self.config.frames_per_latent
        return pad_pictures(repeat_last(video, missing), self.config.patch)

    # ---- parts, each with the past as an argument ----

    def _lead_in(self, video: Tensor) -> Tensor:
        return repeat_first(video, self.config.frames_per_latent - 1)

    def _encode_latents(self, frames: Tensor, state: State, new_state: State) -> Tensor:
        x_BTHWC = self.embed(self.whitening(frames))
        # the residual stream stays float32 under autocast
        return self.encoder(x_BTHWC.float(), state, new_state)

    def _decode_vectors(self, vectors: Tensor, state: State, new_state: State) -> Tensor:
        return self._refine_pixels(self._coarse_pixels(vectors, state, new_state), state, new_state)

    def _coarse_pixels(self, vectors: Tensor, state: State, new_state: State) -> Tensor:
        """Code vectors to channels-last pixels `[B, F, Y, X, 3]` that still show their patches."""
        x_BTHWC = self.decoder(self.lift(vectors).float(), state, new_state)
        pixels_BFYXC = self.whitening.inverse(self.out(self.out_norm(x_BTHWC)))
        if "decoded" not in state:
            pixels_BFYXC = pixels_BFYXC[:, self.config.frames_per_latent - 1 :]
        new_state["decoded"] = pixels_BFYXC[:, :0]  # nothing but a mark that there is a past
        return pixels_BFYXC

    def _refine_pixels(self, pixels_BFYXC: Tensor, state: State, new_state: State) -> Tensor:
        if self.refiner is not None:
            pixels_BFYXC = self.refiner(pixels_BFYXC, state, new_state)
        return pixels_BFYXC.float().permute(0, 4, 1, 2, 3)

    # ---- the same as steps of a stream: see `tiles.Step` ----

    def _encode(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        new_state: State = {}
        return self.quantizer(self._encode_latents(frames, state, new_state))[1], own(new_state)

    def _decode_coarse(self, indices: Tensor, state: State) -> tuple[Tensor, State]:
        new_state: State = {}
        return self._coarse_pixels(self.code_vectors(indices), state, new_state), own(new_state)

    def _decode_fine(self, pixels_BFYXC: Tensor, state: State) -> tuple[Tensor, State]:
        new_state: State = {}
        return self._refine_pixels(pixels_BFYXC, state, new_state).clamp(-1, 1), own(new_state)
