"""Video to codes and back: whole clips, streams, tiles and files. `network` has the network itself.

Legend: B batch, T H W latent grid, F Y X frames and pixels, k frames per latent, p patch side, Q
codebooks of a cell, q those that are kept. Indices are `[B, T, H, W]`, or `[B, T, H, W, Q]` if Q >
1.
"""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from ..files.caller_settings import own_settings
from ..files.fingerprint import fingerprint, marks_of
from ..files.hub import OnHub
from ..files.hub.card import CardFacts
from ..files.model_folder import find_folder, load_config, load_model, save_folder
from .blocks import REFINED, StackConfig, State, own
from .checks import (
    as_tensor,
    check_indices,
    check_range,
    check_same_size,
    check_table,
    check_tile,
    check_video,
    check_weights,
)
from .codes import VideoCodes, latent_count
from .config import TokenizerConfig
from .network import TokenizerNetwork
from .patches import pad_pictures
from .tiles import tiled

# a large picture is processed one latent frame at a time, which bounds its memory
CELLS_AT_ONCE = 2048


class VideoTokenizer(OnHub, TokenizerNetwork):
    """Video `[B, 3, F, Y, X]` in [-1, 1] to codes `[B, T, H, W]` and back, of any size."""

    def __init__(self, config: TokenizerConfig | None = None, library: bool = True) -> None:
        super().__init__(config or TokenizerConfig(), library)
        self._id: tuple[tuple[object, ...], str] | None = None

    # ---- what it is ----

    @property
    def codebook_size(self) -> int:
        return self.quantizer.codebook_size

    @property
    def rates(self) -> int:
        """Q, the codebooks of a cell, coarse to fine; any 1 to Q of them can be decoded."""
        return self.quantizer.rates

    @property
    def levels(self) -> tuple[int, ...]:
        """Levels of each code dimension (FSQ); empty for other quantizers."""
        return self.quantizer.levels

    @property
    def id(self) -> str:
        """Short hash of config and weights, or `config.codes_of`. Codes carry it, so tokenizers
        that do not share them refuse them."""
        if self.config.codes_of:
            return self.config.codes_of
        probes = (
            self.quantizer.norm.weight,
            self.out_norm.weight,
            *self.quantizer.learned,
        )
        marks = marks_of(self, probes)
        if self._id is None or self._id[0] != marks:
            self._id = (
                marks,
                fingerprint(self.config.marks(), self.state_dict()),
            )
        return self._id[1]

    # ---- whole clips ----

    @own_settings()
    @torch.no_grad()
    def encode(self, video: Tensor, fps: float = 0.0, tile: int | None = None) -> VideoCodes:
        """Video `[B, 3, F, Y, X]` in [-1, 1] to codes. ValueError on another shape, type or range.

        With `tile`, the side of square tiles in pixels, the working memory is that of one tile and
        its halo. Small tiles cost more, because halos are computed more than once. A tile narrower
        than its halo is a ValueError.
        """
        video = self._taken(video)
        check_range(video)
        check_tile(tile, self.config.patch * self.config.halos[0])
        F, Y, X = video.shape[2:]
        k, p = self.config.cell

        def clip(window: Tensor, _: State) -> tuple[Tensor, State]:
            chunks = window.split(
                k * latents_at_once(window.shape[3] // p, window.shape[4] // p), dim=2
            )
            return torch.cat(list(self.stream_encode(chunks)), dim=1), {}

        indices, _ = tiled(clip, tile, p, self.config.halos[0], pitch=p, axes=(3, 2))(
            pad_pictures(video, p), {}
        )
        return VideoCodes(indices, F, Y, X, fps, self.id)

    @own_settings()
    @torch.no_grad()
    def decode(self, codes: VideoCodes, tile: int | None = None) -> Tensor:
        """Codes to video `[B, 3, F, Y, X]` in [-1, 1]; `tile` is as in `encode`.

        ValueError if the codes are not of this tokenizer.
        """
        self._check_codes(codes)
        halo = self.config.halos[1]
        check_tile(tile, self.config.patch * halo)

        def clip(window: Tensor, _: State) -> tuple[Tensor, State]:
            chunks = window.split(latents_at_once(*window.shape[2:4]), dim=1)
            return torch.cat(list(self.stream_decode(chunks)), dim=2), {}

        pixels, _ = tiled(clip, tile, self.config.patch, halo, pitch=1, axes=(2, 3))(
            codes.indices, {}
        )
        return pixels[:, :, : codes.num_frames, : codes.height, : codes.width]

    # ---- streams ----

    def encode_step(
        self, video_chunk: Tensor, state: State, tile: int | None = None
    ) -> tuple[Tensor, State]:
        """Encode the next frames `[B, 3, f, Y, X]` of a video; `{}` is the state before its first
        frame.

        Returns indices `[B, t, H, W]` of the latent frames that are now complete (t may be 0) and
        the new state, which holds the frames of the next, incomplete one. Y and X that are no
        multiple of the patch are padded with copies of the edge. A state is a dict of contiguous
        tensors, batch first, with or without tiles, so safetensors can save it as it is.
        """
        return self._encode_step(video_chunk, dict(state), tile)

    def decode_step(
        self, indices: Tensor, state: State, tile: int | None = None
    ) -> tuple[Tensor, State]:
        """Decode the next latent frames, indices `[B, t, H, W]` or `[B, t, H, W, q]`; `{}` is the
        state before them.

        Returns pixels `[B, 3, f, H*p, W*p]` in [-1, 1], where the very first latent frame gives 1
        frame and every other one k, and the new state.
        """
        return self._decode_step(indices, dict(state), tile)

    def stream_encode(
        self, frame_chunks: Iterable[Tensor], tile: int | None = None
    ) -> Iterator[Tensor]:
        """Encode chunks of frames `[B, 3, f, Y, X]`, any f, to chunks of indices at bounded memory.

        Each latent frame `[B, t, H, W]` comes out as soon as its last frame went in. The last
        latent frame is filled with copies of the last frame. The indices are those of `encode` on
        the whole video.
        """
        state: State = {}
        for given in frame_chunks:
            chunk = self._taken(given)
            indices, state = self._encode_step(chunk, state, tile)
            if indices.shape[1]:
                yield indices
        waiting = state["frames"].shape[2] if state else 0
        if waiting:
            missing = self.config.frames_per_latent - waiting
            yield self._encode_step(chunk[:, :, -1:].expand(-1, -1, missing, -1, -1), state, tile)[
                0
            ]

    def stream_decode(
        self,
        code_chunks: Iterable[Tensor],
        height: int | None = None,
        width: int | None = None,
        tile: int | None = None,
    ) -> Iterator[Tensor]:
        """Decode chunks of indices `[B, t, H, W]`, any t, to chunks of video at bounded memory.

        The chunks are `[B, 3, f, height, width]`; without `height` and `width` the frames keep
        their padding to whole patches. The pixels are those of `decode`. ValueError for a code
        that is none of this tokenizer.
        """
        state: State = {}
        for chunk in code_chunks:
            check_table(chunk, self.codebook_size)
            pixels, state = self._decode_step(chunk, state, tile)
            yield pixels[:, :, :, :height, :width]
            del pixels  # free them before the next ones are made

    # ---- files ----

    @classmethod
    def from_pretrained(
        cls, name: str | os.PathLike[str], library: bool = True
    ) -> "VideoTokenizer":
        """Load a shipped model by name, a folder, or a hub id. ValueError if that fails.

        With `library=False` the library of quantizers, which takes longer to import than torch, is
        imported only when something is encoded, and not at all if codes are only decoded.
        """
        folder = find_folder(name, "tokenizer")
        config = load_config(folder, TokenizerConfig.from_dict)
        return load_model(folder, lambda: cls(config, library)).eval()

    def save_pretrained(self, folder: str | os.PathLike[str], half: bool = True) -> None:
        """Write config.json and model.safetensors; `half` stores matrices as float16."""
        save_folder(folder, dataclasses.asdict(self.config), self.state_dict(), half)

    def card_facts(self) -> CardFacts:
        from .hub_card import facts

        return facts(self)

    def with_stacks(
        self, encoder: StackConfig | None = None, decoder: StackConfig | None = None
    ) -> "VideoTokenizer":
        """This tokenizer with another encoder, decoder or both, which take over weights that fit.

        Blocks after those of the old stack, and convolutions over neighbours that a block did not
        have, begin as the identity. So a deeper tokenizer, or one that sees further, begins with
        the codes and pixels of this one. ValueError on another width.
        """
        old = self.config
        config = dataclasses.replace(
            old, encoder=encoder or old.encoder, decoder=decoder or old.decoder
        )
        for name, was, now in (
            ("encoder", old.encoder, config.encoder),
            ("decoder", old.decoder, config.decoder),
        ):
            if now.width != was.width:
                raise ValueError(
                    f"the {name}'s width is {was.width} and cannot change; got {now.width}"
                )
        new = VideoTokenizer(config)
        new.encoder.begin_as_identity()
        new.decoder.begin_as_identity()
        fresh = new.state_dict()
        mine = self.state_dict()
        same = {name for name in mine if name in fresh and mine[name].shape == fresh[name].shape}
        new.load_state_dict(fresh | {name: mine[name] for name in same})
        return new.train(self.training)

    def sharing_codes(self, owner: str) -> "VideoTokenizer":
        """This very tokenizer, which from now on reads and writes the codes of tokenizer `owner`
        (an id); with "" they are its own."""
        self.config = dataclasses.replace(self.config, codes_of=owner)
        return self

    # ---- inside: steps that empty `past`, so that a large picture is never kept twice ----

    def _taken(self, video: Any) -> Tensor:
        """A video of any floating point type, of numpy too, as this tokenizer computes."""
        check_weights(self.embed.weight)
        taken = as_tensor(video, "video")
        check_video(taken)
        return taken.to(self.embed.weight)

    @own_settings()
    @torch.no_grad()
    def _encode_step(
        self, video_chunk: Tensor, past: State, tile: int | None
    ) -> tuple[Tensor, State]:
        video_chunk = self._taken(video_chunk)
        (k, p) = self.config.cell
        halo = self.config.halos[0]
        check_tile(tile, p * halo)
        frames = pad_pictures(video_chunk, p)
        if "frames" in past:
            check_same_size(past["frames"], frames)
            frames = torch.cat([past.pop("frames"), frames], dim=2)
        else:
            frames = self._lead_in(frames)
        complete = frames.shape[2] // k * k
        if complete:
            step = tiled(self._encode, tile, p, halo, pitch=p, axes=(3, 2))
            indices, past = step(frames[:, :, :complete], past)
        else:
            codebooks = (self.rates,) if self.rates > 1 else ()
            shape = (len(frames), 0, frames.shape[3] // p, frames.shape[4] // p, *codebooks)
            indices = torch.zeros(shape, dtype=torch.int64, device=frames.device)
        return indices, past | own({"frames": frames[:, :, complete:]})

    @own_settings()
    @torch.no_grad()
    def _decode_step(self, indices: Tensor, past: State, tile: int | None) -> tuple[Tensor, State]:
        check_weights(self.embed.weight)
        indices = as_tensor(indices, "indices").to(self.embed.weight.device)
        check_indices(indices, self.rates)
        p = self.config.patch
        halo = self.config.halos[1]
        check_tile(tile, p * halo)
        refined = {key: past.pop(key) for key in list(past) if key.startswith(REFINED)}
        # two stages: the first needs most of the halo, the second does most of the work on pixels
        fine_halo = halo - self.config.decoder.radius
        coarse_BFYXC, past = tiled(
            self._decode_coarse, tile, p, halo - fine_halo, pitch=1, axes=(2, 2)
        )(indices, past)
        pixels, refined = tiled(self._decode_fine, tile, p, fine_halo, pitch=p, axes=(2, 3))(
            coarse_BFYXC, refined
        )
        return pixels, past | refined

    def _check_codes(self, codes: VideoCodes) -> None:
        if not isinstance(codes, VideoCodes):
            raise ValueError(
                f"decode takes VideoCodes; got {type(codes).__name__}. Indices alone are decoded "
                "by decode_step(indices, {})"
            )
        if codes.tokenizer != self.id:
            raise ValueError(
                f"these codes are of tokenizer {codes.tokenizer or 'unknown'}, and this one is "
                f"{self.id}"
            )
        p = self.config.patch
        k = self.config.frames_per_latent
        wanted = [latent_count(codes.num_frames, k), -(-codes.height // p), -(-codes.width // p)]
        check_indices(codes.indices, self.rates)
        if list(codes.indices.shape[1:4]) != wanted:
            raise ValueError(
                f"a video of {codes.num_frames} x {codes.height} x {codes.width} has a grid of "
                f"{wanted} codes; got {list(codes.indices.shape[1:4])}"
            )
        check_table(codes.indices, self.codebook_size)


def latents_at_once(H: int, W: int) -> int:
    return max(1, CELLS_AT_ONCE // (H * W))
