"""Video to codes and back: a causal tokenizer of local statistics.

- patches of k x p x p pixels, the first frame repeated k times; fixed transform and whitening instead of a learned stem
- residual channels-last blocks; few of the encoder's see their neighbours, so a mover leaves the codes around it alone
- FSQ by default, with one or more codebooks a cell; code vectors feed a mirrored decoder; two light causal
  convolutions over the pixels
- time is causal and the past is an argument, so a stream of chunks gives the codes and pixels of the whole clip

Legend: B batch, T H W latent grid, F Y X frames and pixels, k frames per latent, p patch side, C width, d size of a
code vector, Q codebooks of a cell, q those that are kept. Indices are `[B, T, H, W]`, or `[B, T, H, W, Q]` if Q > 1.
"""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from . import checkpoint
from .blocks import Block, PixelRefiner, Stack, StackConfig, State, own
from .checks import check_indices, check_same_size, check_video
from .codes import VideoCodes, latent_count
from .config import TokenizerConfig
from .patches import Whitening, pad_pictures, repeat_first, repeat_last
from .quantizer import Quantizer
from .tiles import Step, tiled

CELLS_AT_ONCE = 2048  # of a clip: a large picture is worked on one latent frame at a time, which bounds its memory


class Reconstruction(NamedTuple):
    """video `[B, 3, F, Y, X]` (not clamped), all indices int64 `[B, T, H, W]` or `[B, T, H, W, Q]`, the vectors
    `[B, T, H, W, d]` that were decoded, and the quantizer's own loss, a scalar."""

    video: Tensor
    indices: Tensor
    vectors: Tensor
    loss: Tensor


class VideoTokenizer(nn.Module):
    """Video `[B, 3, F, Y, X]` in [-1, 1] to codes `[B, T, H, W]` and back; any F, Y, X of at least 1."""

    def __init__(self, config: TokenizerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TokenizerConfig()
        self.whitening = Whitening(config.frames_per_latent, config.patch, config.whitening_floor)
        self.embed = nn.Linear(self.whitening.size, config.encoder.width)
        self.encoder = Stack(config.encoder, "encoder")
        self.quantizer = Quantizer(config.quantizer, config.encoder.width)
        self.lift = nn.Linear(config.quantizer.dim, config.decoder.width)
        self.decoder = Stack(config.decoder, "decoder")
        self.out_norm = nn.RMSNorm(config.decoder.width, eps=1e-6)
        self.out = nn.Linear(config.decoder.width, self.whitening.size)
        self.refiner = PixelRefiner(config.refine_channels) if config.refine_channels else None
        self._id: tuple[tuple[float, ...], str] | None = None

    # ---- what it is ----

    @property
    def codebook_size(self) -> int:
        return self.quantizer.codebook_size

    @property
    def rates(self) -> int:
        """Q, the codebooks of a cell: any number of them from 1 to Q, coarse to fine, can be decoded."""
        return self.quantizer.rates

    @property
    def levels(self) -> tuple[int, ...]:
        """Levels of each code dimension (FSQ), or nothing."""
        return self.quantizer.levels

    @property
    def id(self) -> str:
        """Short hash of config and weights; codes carry it, so that no other tokenizer reads them by mistake."""
        state = self.state_dict()
        # hashing reads every byte, so it is done again only when the sum of some tensor has changed
        marks = tuple(torch.stack([tensor.sum(dtype=torch.float64) for tensor in state.values()]).tolist())
        if self._id is None or self._id[0] != marks:
            self._id = (marks, checkpoint.fingerprint(dataclasses.asdict(self.config), state))
        return self._id[1]

    def code_vectors(self, indices: Tensor) -> Tensor:
        """Indices int64 `[B, T, H, W]` or `[B, T, H, W, q]` to the vectors they stand for `[B, T, H, W, d]`."""
        return self.quantizer.code_vectors(indices)

    # ---- training ----

    def forward(self, video: Tensor, quantize: bool = True, rate: int | Tensor | None = None) -> Reconstruction:
        """Video `[B, 3, F, Y, X]` in [-1, 1] to its reconstruction, with gradients.

        Only the first `rate` codebooks are decoded, one number or int64 `[B]`, one per clip; all if not given.
        """
        if isinstance(rate, int) and not 1 <= rate <= self.rates:
            raise ValueError(f"rate must be from 1 to {self.rates}; got {rate}")
        check_video(video)
        F, Y, X = video.shape[2:]
        x_BTHWC = self._encode_latents(self._lead_in(self.pad(video)), {}, {})
        vectors, indices, loss = self.quantizer(x_BTHWC, quantize, rate)
        pixels = self._decode_vectors(vectors, {}, {})
        return Reconstruction(pixels[:, :, :F, :Y, :X], indices, vectors, loss)

    @torch.no_grad()
    def fit_whitening(self, videos: Iterable[Tensor]) -> None:
        """Measure the statistics of patches over a few batches `[B, 3, F, Y, X]` in [-1, 1]; do so before training."""
        self.whitening.fit(self._lead_in(self.pad(video)) for video in videos)

    # ---- whole clips ----

    @torch.no_grad()
    def encode(self, video: Tensor, fps: float = 0.0, tile: int | None = None) -> VideoCodes:
        """Video `[B, 3, F, Y, X]` in [-1, 1] to codes. ValueError on another shape or type.

        With `tile`, the side of square tiles in pixels, working memory is that of one tile and its halo.
        """
        check_video(video)
        F, Y, X = video.shape[2:]
        k, p = self.config.cell

        def clip(window: Tensor, _: State) -> tuple[Tensor, State]:
            chunks = window.split(k * latents_at_once(window.shape[3] // p, window.shape[4] // p), dim=2)
            return torch.cat(list(self.stream_encode(chunks)), dim=1), {}

        indices, _ = self._tiled_encode(clip, tile)(pad_pictures(video, p), {})
        return VideoCodes(indices, F, Y, X, fps, self.id)

    @torch.no_grad()
    def decode(self, codes: VideoCodes, tile: int | None = None) -> Tensor:
        """Codes to video `[B, 3, F, Y, X]` in [-1, 1], see `encode` for `tile`.

        ValueError if another tokenizer wrote the codes, or nobody.
        """
        self._check_codes(codes)

        def clip(window: Tensor, _: State) -> tuple[Tensor, State]:
            chunks = window.split(latents_at_once(*window.shape[2:4]), dim=1)
            return torch.cat(list(self.stream_decode(chunks)), dim=2), {}

        pixels, _ = self._tiled_decode(clip, tile)(codes.indices, {})
        return pixels[:, :, : codes.num_frames, : codes.height, : codes.width]

    # ---- streams ----

    @torch.no_grad()
    def encode_step(self, video_chunk: Tensor, state: State, tile: int | None = None) -> tuple[Tensor, State]:
        """Encode the next frames `[B, 3, f, Y, X]` of a video; `{}` is the state before its first frame.

        Returns indices `[B, t, H, W]` of the latent frames that are now complete (t may be 0) and the new state, which
        holds the frames still waiting for company. Y and X that are no multiple of the patch get copies of the edge.
        A state is a dict of contiguous tensors, batch first, with or without tiles: safetensors saves it as it is.
        """
        check_video(video_chunk)
        k, p, past = self.config.frames_per_latent, self.config.patch, dict(state)
        frames, waiting = pad_pictures(video_chunk, p), past.pop("frames", None)
        if waiting is None:
            frames = self._lead_in(frames)
        else:
            check_same_size(waiting, frames)
            frames = torch.cat([waiting, frames], dim=2)
        complete = frames.shape[2] // k * k
        if complete:
            indices, past = self._tiled_encode(self._encode, tile)(frames[:, :, :complete], past)
        else:
            codebooks = (self.rates,) if self.rates > 1 else ()
            shape = (len(frames), 0, frames.shape[3] // p, frames.shape[4] // p, *codebooks)
            indices = torch.zeros(shape, dtype=torch.int64, device=frames.device)
        return indices, past | own({"frames": frames[:, :, complete:]})

    @torch.no_grad()
    def decode_step(self, indices: Tensor, state: State, tile: int | None = None) -> tuple[Tensor, State]:
        """Decode the next latent frames, indices `[B, t, H, W]` or `[B, t, H, W, q]`; `{}` is the state before them.

        Returns pixels `[B, 3, f, H*p, W*p]` in [-1, 1], where the very first latent frame gives 1 frame and every other
        one k, and the new state.
        """
        check_indices(indices, self.rates)
        return self._tiled_decode(self._decode, tile)(indices, state)

    def stream_encode(self, frame_chunks: Iterable[Tensor], tile: int | None = None) -> Iterator[Tensor]:
        """Chunks of frames `[B, 3, f, Y, X]`, any f, to chunks of indices `[B, t, H, W]` at bounded memory.

        A latent frame comes out as soon as its last frame went in; the last one is filled with copies of the last
        frame. The indices are those of `encode` on the whole video.
        """
        state: State = {}
        for chunk in frame_chunks:
            indices, state = self.encode_step(chunk, state, tile)
            if indices.shape[1]:
                yield indices
        waiting = state["frames"].shape[2] if state else 0
        if waiting:
            missing = self.config.frames_per_latent - waiting
            yield self.encode_step(chunk[:, :, -1:].expand(-1, -1, missing, -1, -1), state, tile)[0]

    def stream_decode(
        self,
        code_chunks: Iterable[Tensor],
        height: int | None = None,
        width: int | None = None,
        tile: int | None = None,
    ) -> Iterator[Tensor]:
        """Chunks of indices `[B, t, H, W]`, any t, to chunks of video `[B, 3, f, height, width]` at bounded memory.

        Without `height` and `width` the frames keep the padding to whole patches. The pixels are those of `decode`.
        """
        state: State = {}
        for chunk in code_chunks:
            pixels, state = self.decode_step(chunk, state, tile)
            yield pixels[:, :, :, :height, :width]

    # ---- files ----

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str]) -> "VideoTokenizer":
        """Load a shipped model by name, a folder, or a hub id; safetensors only. ValueError if that is impossible."""
        folder = checkpoint.find_folder(name, "tokenizer")
        tokenizer = cls(TokenizerConfig.from_dict(checkpoint.read_config(folder)))
        checkpoint.load_weights(tokenizer, folder)
        return tokenizer.eval()

    def save_pretrained(self, folder: str | os.PathLike[str], half: bool = True) -> None:
        """Write config.json and model.safetensors; `half` stores matrices as float16 (to compute in float32 again)."""
        checkpoint.save_folder(folder, dataclasses.asdict(self.config), self.state_dict(), half)

    def with_decoder(self, decoder: StackConfig) -> "VideoTokenizer":
        """The same codes, to be decoded by another stack: it takes over the blocks that both have.

        Blocks behind them begin as the identity, so a deeper decoder begins with the pixels of this one. ValueError on
        another width.
        """
        if decoder.width != self.config.decoder.width:
            raise ValueError(
                f"the decoder's width is {self.config.decoder.width} and must stay so; got {decoder.width}"
            )
        new = VideoTokenizer(dataclasses.replace(self.config, decoder=decoder))
        fresh, mine = new.state_dict(), self.state_dict()
        same = {name for name in mine if name in fresh and mine[name].shape == fresh[name].shape}
        new.load_state_dict(fresh | {name: mine[name] for name in same})
        for block in list(new.decoder.blocks)[self.config.decoder.depth :]:
            assert isinstance(block, Block)
            nn.init.zeros_(block.project.weight)  # its bias is 0 from the start
        return new.train(self.training)

    # ---- inside ----

    def _encode_latents(self, frames: Tensor, state: State, new_state: State) -> Tensor:
        x_BTHWC = self.embed(self.whitening(frames))
        # the residual stream stays float32 under autocast
        return self.encoder(x_BTHWC.float(), state, new_state)

    def _decode_vectors(self, vectors: Tensor, state: State, new_state: State) -> Tensor:
        x_BTHWC = self.decoder(self.lift(vectors).float(), state, new_state)
        pixels_BFYXC = self.whitening.inverse(self.out(self.out_norm(x_BTHWC)))
        if "decoded" not in state:
            pixels_BFYXC = pixels_BFYXC[:, self.config.frames_per_latent - 1 :]
        new_state["decoded"] = pixels_BFYXC[:, :0]  # nothing but a mark that there is a past
        if self.refiner is not None:
            pixels_BFYXC = self.refiner(pixels_BFYXC, state, new_state)
        return pixels_BFYXC.float().permute(0, 4, 1, 2, 3)

    def _encode(self, frames: Tensor, state: State) -> tuple[Tensor, State]:
        new_state: State = {}
        return self.quantizer(self._encode_latents(frames, state, new_state))[1], own(new_state)

    def _decode(self, indices: Tensor, state: State) -> tuple[Tensor, State]:
        new_state: State = {}
        return self._decode_vectors(self.code_vectors(indices), state, new_state).clamp(-1, 1), own(new_state)

    def _tiled_encode(self, step: Step, tile: int | None) -> Step:
        return tiled(step, tile, self.config.patch, self.config.halos[0], pitch=self.config.patch, axes=(3, 2))

    def _tiled_decode(self, step: Step, tile: int | None) -> Step:
        return tiled(step, tile, self.config.patch, self.config.halos[1], pitch=1, axes=(2, 3))

    def _lead_in(self, video: Tensor) -> Tensor:
        return repeat_first(video, self.config.frames_per_latent - 1)

    def pad(self, video: Tensor) -> Tensor:
        """Fill up the last group of frames with copies of the last frame, and patches with copies of the edge."""
        missing = (1 - video.shape[2]) % self.config.frames_per_latent
        return pad_pictures(repeat_last(video, missing), self.config.patch)

    def _check_codes(self, codes: VideoCodes) -> None:
        if codes.tokenizer != self.id:
            raise ValueError(f"these codes are of tokenizer {codes.tokenizer or 'unknown'}, and this one is {self.id}")
        p, k = self.config.patch, self.config.frames_per_latent
        wanted = [latent_count(codes.num_frames, k), -(-codes.height // p), -(-codes.width // p)]
        check_indices(codes.indices, self.rates)
        if list(codes.indices.shape[1:4]) != wanted:
            raise ValueError(
                f"a video of {codes.num_frames} x {codes.height} x {codes.width} has a grid of {wanted} codes; "
                f"got {list(codes.indices.shape[1:4])}"
            )
        for index in codes.indices.aminmax():
            if not 0 <= index < self.codebook_size:
                raise ValueError(f"codes run from 0 to {self.codebook_size - 1}; got {int(index)}")


def latents_at_once(H: int, W: int) -> int:
    return max(1, CELLS_AT_ONCE // (H * W))
