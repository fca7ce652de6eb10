"""Sound to codes and back: whole clips, streams and files. The network behind them is in `network`.

A latent of sound goes with a latent of video: the first is that of one frame, before which go
zeros to make it whole, and every later one is that of `frames_per_latent` frames.

Legend: B batch, L samples, T latents, K codes of a latent. Indices are `[B, T, K]`.
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
        return self.config.codebook_size

    @property
    def levels_of_codes(self) -> tuple[int, ...]:
        """Inner structure of a code, fastest first: its bits."""
        return self.config.levels

    @property
    def rates(self) -> int:
        """Codebooks of a code: one."""
        return 1

    @property
    def id(self) -> str:
        """Short hash of config and weights; codes carry it, so that no other tokenizer reads
        them by mistake."""
        probes = (self.codes.basis, self.codes.points)
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
        size = self.config.latent_samples
        past = dict(state)
        if "waiting" in past:
            wave = torch.cat([past.pop("waiting"), wave_chunk], dim=1)
        else:  # encoding looks ahead by a rise
            wave = functional.pad(wave_chunk, (self.config.lead_in - self.config.rise, 0))
        complete = wave.shape[1] // size * size
        indices = [wave.new_zeros(len(wave), 0, self.config.codes_per_latent, dtype=torch.int64)]
        for latent in wave[:, :complete].unflatten(1, (-1, size)).unbind(1):
            new_past: State = {}
            indices.append(self.encode_latent(latent, past, new_past)[:, None])
            past = new_past
        return torch.cat(indices, dim=1), own(past | {"waiting": wave[:, complete:]})

    @torch.no_grad()
    def decode_step(self, indices: Tensor, state: State) -> tuple[Tensor, State]:
        """Decode the next latents, indices `[B, t, K]`; `{}` is the state before them.

        Returns samples `[B, l]` in [-1, 1], where the very first latent gives those of one frame,
        and the new state.
        """
        self._check_indices(indices)
        waves = []
        past = state
        for codes in indices.unbind(1):
            new_past: State = {}
            waves.append(self.decode_latent(codes, past, new_past).clamp(-1, 1))
            past = new_past
        wave = torch.cat(waves, dim=1)
        if not state:
            wave = wave[:, self.config.lead_in :]
        return wave, own(past)

    def stream_encode(self, wave_chunks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Chunks of samples `[B, l]`, any l, to chunks of indices `[B, t, K]` at bounded memory.

        The last latent is filled with zeros. The indices are those of `encode` on the whole.
        """
        state: State = {}
        for chunk in wave_chunks:
            indices, state = self.encode_step(chunk, state)
            if indices.shape[1]:
                yield indices
        if not state:
            return
        waiting = state["waiting"]
        size = self.config.latent_samples
        latents = -(-(waiting.shape[1] + self.config.rise) // size)
        missing = latents * size - waiting.shape[1]
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
        K = self.config.codes_per_latent
        if indices.dim() != 3 or indices.shape[1] < 1 or indices.shape[2] != K:
            raise ValueError(
                f"indices must be [B, t, {K}], and t at least 1; got shape {list(indices.shape)}"
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
