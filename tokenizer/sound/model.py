"""Sound to codes and back: whole clips, streams and files. The network behind them is in `network`.

A latent of sound goes with a latent of video: the first is that of one frame, before which go
zeros to make it whole, and every later one is that of `frames_per_latent` frames.

Legend: B batch, L samples, T latents, K codes of a latent, Q codebooks, q those that are kept.
Indices are `[B, T, K]`, or `[B, T, K, Q]` if Q > 1.
"""

import dataclasses
import os
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from ...files.fingerprint import fingerprint, marks_of
from ...files.model_folder import find_folder, load_config, load_model, save_folder
from ..blocks import State, own
from ..codes import SoundCodes
from .config import SoundTokenizerConfig
from .network import SoundNetwork

LOUDEST_SAMPLE = 8.0  # what is beyond is in other units than [-1, 1]


class SoundTokenizer(SoundNetwork):
    """Mono sound `[B, L]` in [-1, 1] to codes `[B, T, K]` and back; any L of at least 1."""

    def __init__(self, config: SoundTokenizerConfig | None = None) -> None:
        super().__init__(config or SoundTokenizerConfig())
        self._id: tuple[tuple[object, ...], str] | None = None

    # ---- what it is ----

    @property
    def codebook_size(self) -> int:
        return self.quantizer.codebook_size

    @property
    def rates(self) -> int:
        """Q, the codebooks of a step: any number of them from 1 to Q, coarse to fine, can be
        decoded."""
        return self.quantizer.rates

    @property
    def id(self) -> str:
        """Short hash of config and weights; codes carry it, so that no other tokenizer reads
        them by mistake."""
        probes = (self.quantizer.norm.weight, self.out_norm.weight)
        marks = marks_of(self, probes)
        if self._id is None or self._id[0] != marks:
            config = dataclasses.asdict(self.config)
            self._id = (marks, fingerprint(config, self.state_dict()))
        return self._id[1]

    def latents(self, samples: int) -> int:
        """How many latents `samples` samples need."""
        if samples < 1:
            raise ValueError(f"samples must be at least 1; got {samples}")
        return -(-(samples + self.config.lead_in) // self.config.latent_samples)

    # ---- whole clips ----

    @torch.no_grad()
    def encode(self, wave: Tensor) -> SoundCodes:
        """Sound `[B, L]` in [-1, 1] to codes. ValueError on another shape, type or range."""
        check_wave(wave)
        indices = torch.cat(list(self.stream_encode([wave])), dim=1)
        return SoundCodes(indices, wave.shape[1], self.id)

    @torch.no_grad()
    def decode(self, codes: SoundCodes) -> Tensor:
        """Codes to sound `[B, L]` in [-1, 1]. ValueError if another tokenizer wrote them, or
        nobody."""
        if codes.tokenizer != self.id:
            raise ValueError(
                f"these codes are of sound tokenizer {codes.tokenizer or 'unknown'}, and this one "
                f"is {self.id}"
            )
        wanted = self.latents(codes.num_samples)
        if codes.indices.shape[1] != wanted:
            raise ValueError(
                f"a sound of {codes.num_samples} samples has {wanted} latents; got "
                f"{codes.indices.shape[1]}"
            )
        return self.decode_step(codes.indices, {})[0][:, : codes.num_samples]

    # ---- streams ----

    @torch.no_grad()
    def encode_step(self, wave_chunk: Tensor, state: State) -> tuple[Tensor, State]:
        """Encode the next samples `[B, l]` of a sound; `{}` is the state before the first one.

        Returns indices `[B, t, K]` of the latents that are now complete (t may be 0) and the new
        state, which holds the samples still waiting for company. A state is a dict of contiguous
        tensors, batch first: safetensors saves it as it is.
        """
        check_wave(wave_chunk)
        past = dict(state)
        if "waiting" in past:
            wave = torch.cat([past.pop("waiting"), wave_chunk], dim=1)
        else:
            wave = functional.pad(wave_chunk, (self.config.lead_in, 0))
        complete = wave.shape[1] // self.config.latent_samples * self.config.latent_samples
        steps = self.config.codes_per_latent
        codebooks = (self.rates,) if self.rates > 1 else ()
        if complete:
            new_past: State = {}
            x_BNC = self._encode_samples(wave[:, :complete], past, new_past)
            indices = self.quantizer(x_BNC[:, :, None, None])[1][:, :, 0, 0]
            indices = indices.unflatten(1, (-1, steps))
            past = own(new_past)
        else:
            shape = (len(wave), 0, steps, *codebooks)
            indices = torch.zeros(shape, dtype=torch.int64, device=wave.device)
        return indices, past | own({"waiting": wave[:, complete:]})

    @torch.no_grad()
    def decode_step(self, indices: Tensor, state: State) -> tuple[Tensor, State]:
        """Decode the next latents, indices `[B, t, K]` or `[B, t, K, q]`; `{}` is the state
        before them.

        Returns samples `[B, l]` in [-1, 1], where the very first latent gives those of one frame,
        and the new state.
        """
        self._check_indices(indices)
        new_state: State = {}
        vectors = self.code_vectors(indices.flatten(1, 2))
        wave = self._decode_vectors(vectors, state, new_state).clamp(-1, 1)
        if not state:
            wave = wave[:, self.config.lead_in :]
        return wave, own(new_state)

    def stream_encode(self, wave_chunks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Chunks of samples `[B, l]`, any l, to chunks of indices `[B, t, K]` at bounded memory.

        The last latent is filled with zeros. The indices are those of `encode` on the whole.
        """
        state: State = {}
        for chunk in wave_chunks:
            indices, state = self.encode_step(chunk, state)
            if indices.shape[1]:
                yield indices
        waiting = state["waiting"] if state else None
        if waiting is not None and waiting.shape[1]:
            missing = self.config.latent_samples - waiting.shape[1]
            yield self.encode_step(waiting.new_zeros(len(waiting), missing), state)[0]

    def stream_decode(self, code_chunks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Chunks of indices `[B, t, K]`, any t, to chunks of samples `[B, l]` at bounded memory:
        the samples of `decode`, with the padding of the last latent."""
        state: State = {}
        for chunk in code_chunks:
            wave, state = self.decode_step(chunk, state)
            yield wave

    # ---- files ----

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str]) -> "SoundTokenizer":
        """Load a shipped model by name, a folder, or a hub id; safetensors only. ValueError if
        that is impossible."""
        folder = find_folder(name, "sound")
        config = load_config(folder, SoundTokenizerConfig.from_dict)
        return load_model(folder, lambda: cls(config)).eval()

    def save_pretrained(self, folder: str | os.PathLike[str], half: bool = True) -> None:
        """Write config.json and model.safetensors; `half` stores matrices as float16 (to compute
        in float32 again)."""
        config = dataclasses.asdict(self.config)
        save_folder(folder, config, self.state_dict(), half)

    def _check_indices(self, indices: Tensor) -> None:
        K, Q = self.config.codes_per_latent, self.rates
        right = indices.dim() == 3 if Q == 1 else indices.dim() == 4 and indices.shape[3] <= Q
        if not right or indices.shape[1] < 1 or indices.shape[2] != K:
            wanted = f"[B, t, {K}]" if Q == 1 else f"[B, t, {K}, q] with q from 1 to {Q}"
            raise ValueError(
                f"indices must be {wanted}, and t at least 1; got shape {list(indices.shape)}"
            )
        low, high = indices.aminmax()
        if low < 0 or high >= self.codebook_size:
            wrong = int(low) if low < 0 else int(high)
            raise ValueError(f"codes run from 0 to {self.codebook_size - 1}; got {wrong}")


def check_wave(wave: Tensor) -> None:
    """ValueError unless `wave` is floating point `[B, L]` in [-1, 1] with something in it."""
    if wave.dim() != 2 or 0 in wave.shape:
        raise ValueError(f"sound must be [B, L], neither of them 0; got shape {list(wave.shape)}")
    if not wave.is_floating_point():
        raise ValueError(
            f"sound must be floating point in [-1, 1]; got {wave.dtype}; use wave / 32768"
        )
    loudest = wave.abs().amax()
    if not loudest <= LOUDEST_SAMPLE:  # nor for NaN
        raise ValueError(
            f"samples must be in [-1, 1]; got up to {loudest:.4g}; use wave / 32768 for those of "
            "16 bits"
        )
