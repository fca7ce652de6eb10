"""Video to codes and back: a causal tokenizer of local statistics.

- patches of k x p x p pixels, the first frame repeated k times; fixed transform and whitening instead of a learned stem
- residual channels-last blocks; few of the encoder's see their neighbours, so a mover leaves the codes around it alone
- FSQ by default; code vectors feed a mirrored decoder; two light causal convolutions over the pixels
- time is causal and the past is an argument, so a stream of chunks gives the codes and pixels of the whole clip

Legend: B batch, T H W latent grid, F Y X frames and pixels, k frames per latent, p patch side, C width, d size of a
code vector.
"""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import checkpoint
from .blocks import PixelRefiner, Stack, StackConfig, State
from .codes import VideoCodes, latent_count
from .patches import Whitening
from .quantizer import Quantizer, QuantizerConfig


@dataclass(frozen=True)
class TokenizerConfig:
    """Sizes of a tokenizer. `refine_channels=0` leaves the pixel refiner out; see `StackConfig` for the blocks."""

    patch: int = 8
    frames_per_latent: int = 4
    whitening_floor: float = 0.02
    encoder: StackConfig = field(
        default_factory=lambda: StackConfig(width=192, depth=4, expand=3, kernel=3, spatial=(1,), temporal=(1, 2))
    )
    decoder: StackConfig = field(default_factory=StackConfig)
    refine_channels: int = 8
    quantizer: QuantizerConfig = field(default_factory=QuantizerConfig)

    def __post_init__(self) -> None:
        for name in ("patch", "frames_per_latent"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.refine_channels < 0:
            raise ValueError(f"refine_channels must be 0 (off) or more; got {self.refine_channels}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TokenizerConfig":
        """The inverse of `dataclasses.asdict`. ValueError on a key that no tokenizer has."""
        nested: dict[str, Any] = {"encoder": StackConfig, "decoder": StackConfig, "quantizer": QuantizerConfig}
        try:
            return cls(**{name: nested[name](**value) if name in nested else value for name, value in values.items()})
        except TypeError as error:
            raise ValueError(f"not a tokenizer config: {error}") from error


class Reconstruction(NamedTuple):
    """video `[B, 3, F, Y, X]` (not clamped), indices int64 `[B, T, H, W]`, loss: the quantizer's own, a scalar."""

    video: Tensor
    indices: Tensor
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
        """Indices int64 `[B, T, H, W]` to the vectors they stand for `[B, T, H, W, d]`."""
        return self.quantizer.code_vectors(indices)

    # ---- training ----

    def forward(self, video: Tensor, quantize: bool = True) -> Reconstruction:
        """Video `[B, 3, F, Y, X]` in [-1, 1] to its reconstruction, with gradients."""
        self._check_video(video)
        F, Y, X = video.shape[2:]
        x_BTHWC = self._encode_latents(self._repeat_first(self._pad(video)), {}, {})
        vectors, indices, loss = self.quantizer(x_BTHWC, quantize)
        pixels = self._decode_vectors(vectors, {}, {})
        return Reconstruction(pixels[:, :, :F, :Y, :X], indices, loss)

    @torch.no_grad()
    def fit_whitening(self, videos: Iterable[Tensor]) -> None:
        """Measure the statistics of patches over a few batches `[B, 3, F, Y, X]` in [-1, 1]; do so before training."""
        self.whitening.fit(self._repeat_first(self._pad(video)) for video in videos)

    # ---- whole clips ----

    @torch.no_grad()
    def encode(self, video: Tensor, fps: float = 0.0) -> VideoCodes:
        """Video `[B, 3, F, Y, X]` in [-1, 1] to codes. ValueError on another shape or type."""
        self._check_video(video)
        F, Y, X = video.shape[2:]
        indices, _ = self.encode_step(self._pad(video), {})
        return VideoCodes(indices, F, Y, X, fps, self.id)

    @torch.no_grad()
    def decode(self, codes: VideoCodes) -> Tensor:
        """Codes to video `[B, 3, F, Y, X]` in [-1, 1]. ValueError if another tokenizer wrote them, or nobody."""
        self._check_codes(codes)
        pixels, _ = self.decode_step(codes.indices, {})
        return pixels[:, :, : codes.num_frames, : codes.height, : codes.width]

    # ---- streams ----

    @torch.no_grad()
    def encode_step(self, video_chunk: Tensor, state: State) -> tuple[Tensor, State]:
        """Encode the next frames `[B, 3, f, Y, X]` of a video; `{}` is the state before its first frame.

        Returns indices `[B, t, H, W]` of the latent frames that are now complete (t may be 0) and the new state, which
        holds the frames still waiting for company. Y and X that are no multiple of the patch get copies of the edge.
        """
        self._check_video(video_chunk)
        k, new_state = self.config.frames_per_latent, State()
        chunk = self._pad_space(video_chunk)
        frames = torch.cat([state["frames"], chunk], dim=2) if state else self._repeat_first(chunk)
        complete = frames.shape[2] // k * k
        H, W = frames.shape[3] // self.config.patch, frames.shape[4] // self.config.patch
        indices = torch.zeros(len(frames), 0, H, W, dtype=torch.int64, device=frames.device)
        if complete:
            x_BTHWC = self._encode_latents(frames[:, :, :complete], state, new_state)
            indices = self.quantizer(x_BTHWC)[1]
        else:
            new_state.update(state)
        new_state["frames"] = frames[:, :, complete:]
        return indices, {key: value.clone() for key, value in new_state.items()}

    @torch.no_grad()
    def decode_step(self, indices: Tensor, state: State) -> tuple[Tensor, State]:
        """Decode the next latent frames, indices `[B, t, H, W]`; `{}` is the state before the first.

        Returns pixels `[B, 3, f, H*p, W*p]` in [-1, 1], where the very first latent frame gives 1 frame and every other
        one k, and the new state.
        """
        if indices.dim() != 4 or indices.shape[1] < 1:
            raise ValueError(f"indices must be [B, t, H, W] with t at least 1; got shape {list(indices.shape)}")
        new_state: State = {}
        pixels = self._decode_vectors(self.code_vectors(indices), state, new_state).clamp(-1, 1)
        return pixels, {key: value.clone() for key, value in new_state.items()}

    def stream_encode(self, frame_chunks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Chunks of frames `[B, 3, f, Y, X]`, any f, to chunks of indices `[B, t, H, W]` at bounded memory.

        A latent frame comes out as soon as its last frame went in; the last one is filled with copies of the last
        frame. The indices are those of `encode` on the whole video.
        """
        state: State = {}
        last: Tensor | None = None
        for chunk in frame_chunks:
            indices, state = self.encode_step(chunk, state)
            last = chunk[:, :, -1:]
            if indices.shape[1]:
                yield indices
        if last is not None and state["frames"].shape[2]:
            missing = self.config.frames_per_latent - state["frames"].shape[2]
            yield self.encode_step(last.expand(-1, -1, missing, -1, -1), state)[0]

    def stream_decode(
        self, code_chunks: Iterable[Tensor], height: int | None = None, width: int | None = None
    ) -> Iterator[Tensor]:
        """Chunks of indices `[B, t, H, W]`, any t, to chunks of video `[B, 3, f, height, width]` at bounded memory.

        Without `height` and `width` the frames keep the padding to whole patches. The pixels are those of `decode`.
        """
        state: State = {}
        for chunk in code_chunks:
            pixels, state = self.decode_step(chunk, state)
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
        new_state["decoded"] = pixels_BFYXC.new_zeros(0)
        if self.refiner is not None:
            pixels_BFYXC = self.refiner(pixels_BFYXC, state, new_state)
        return pixels_BFYXC.float().permute(0, 4, 1, 2, 3)

    def _repeat_first(self, video: Tensor) -> Tensor:
        first = video[:, :, :1].expand(-1, -1, self.config.frames_per_latent - 1, -1, -1)
        return torch.cat([first, video], dim=2)

    def _pad(self, video: Tensor) -> Tensor:
        """Fill up the last group of frames with copies of the last frame, and patches with copies of the edge."""
        k, F = self.config.frames_per_latent, video.shape[2]
        missing = 1 + k * (latent_count(F, k) - 1) - F
        if missing:
            video = torch.cat([video, video[:, :, -1:].expand(-1, -1, missing, -1, -1)], dim=2)
        return self._pad_space(video)

    def _pad_space(self, video: Tensor) -> Tensor:
        p, (Y, X) = self.config.patch, video.shape[3:]
        bottom, right = -Y % p, -X % p
        return functional.pad(video, (0, right, 0, bottom, 0, 0), mode="replicate") if bottom or right else video

    @staticmethod
    def _check_video(video: Tensor) -> None:
        if video.dim() != 5 or video.shape[1] != 3 or 0 in video.shape:
            raise ValueError(f"video must be [B, 3, F, Y, X], none of them 0; got shape {list(video.shape)}")
        if not video.is_floating_point():
            raise ValueError(f"video must be floating point in [-1, 1]; got {video.dtype}; use video / 127.5 - 1")

    def _check_codes(self, codes: VideoCodes) -> None:
        if codes.tokenizer != self.id:
            raise ValueError(f"these codes are of tokenizer {codes.tokenizer or 'unknown'}, and this one is {self.id}")
        p, k = self.config.patch, self.config.frames_per_latent
        wanted = [latent_count(codes.num_frames, k), -(-codes.height // p), -(-codes.width // p)]
        if list(codes.indices.shape[1:]) != wanted:
            raise ValueError(
                f"a video of {codes.num_frames} x {codes.height} x {codes.width} has a grid of {wanted} codes; "
                f"got {list(codes.indices.shape[1:])}"
            )
        for index in codes.indices.aminmax():
            if not 0 <= index < self.codebook_size:
                raise ValueError(f"codes run from 0 to {self.codebook_size - 1}; got {int(index)}")
