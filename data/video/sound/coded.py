"""The sound of a video as codes, and codes as the sound of a video, at bounded memory.

A latent of sound goes with a latent frame of pictures, so both must have frames of one length: a
tokenizer of sound that knows 2,000 samples a frame at 24,000 a second goes with 12 frames a second.

Legend: L samples, T latent frames, K codes of a latent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from ....files.codes_file import CodesFile, about_sound
from .stream import CHUNK, iterate_sound

if TYPE_CHECKING:
    from ..write import VideoWriter

LATENTS_AT_ONCE = 32
SAME_RATE = 1e-5  # share by which rates may differ: 6 ms in ten minutes


class SoundSizes(Protocol):
    @property
    def rate(self) -> int: ...

    @property
    def frame_samples(self) -> int: ...

    @property
    def codes_per_latent(self) -> int: ...


class SoundCodec(Protocol):
    """What a tokenizer of sound must offer, on the CPU (where it is quicker than the pictures are
    anywhere): see `SoundTokenizer` for shapes."""

    @property
    def id(self) -> str: ...

    @property
    def codebook_size(self) -> int: ...

    @property
    def config(self) -> SoundSizes: ...

    def stream_encode(self, wave_chunks: Iterable[Tensor]) -> Iterator[Tensor]: ...

    def stream_decode(self, code_chunks: Iterable[Tensor]) -> Iterator[Tensor]: ...


def frame_rate(codec: SoundCodec) -> float:
    """Frames a second that a tokenizer of sound goes with."""
    return codec.config.rate / codec.config.frame_samples


def fits(codec: SoundCodec, fps: float) -> bool:
    """Whether a tokenizer of sound goes with a video of so many frames a second."""
    wanted = frame_rate(codec)
    return abs(fps - wanted) <= SAME_RATE * wanted


def sound_codes(codec: SoundCodec, path: str | Path, frames: int) -> Iterator[Tensor]:
    """Codes `[1, t, K]` of the sound of the first frames of a file, as they come: those of
    `codec.encode` on the whole. Where the track has nothing, there is silence."""
    samples = frames * codec.config.frame_samples
    chunks = iterate_sound(path, codec.config.rate, samples=samples)
    yield from codec.stream_encode(chunk_L[None] for chunk_L in chunks)


def about_codes(codec: SoundCodec, frames: int) -> dict[str, str]:
    """What a file of codes tells of the sound of so many frames."""
    config = codec.config
    return about_sound(frames * config.frame_samples, config.rate, codec.id)


def decoded_sound(codec: SoundCodec, file: CodesFile) -> Iterator[Tensor]:
    """The samples [L] that a file of codes of one video stands for, as they come.

    Raises:
        ValueError: the codes are another tokenizer's, or damaged.
    """
    check_writer(codec, file)
    samples = int(file.sound["samples"])
    done = 0
    for wave_BL in codec.stream_decode(_slices(codec, file)):
        part_L = wave_BL[0, : samples - done]
        done += len(part_L)
        yield part_L
    if done < samples:
        raise ValueError(
            f"'{file.path}' is damaged: {done} of its {samples} samples of sound are there"
        )


def check_writer(codec: SoundCodec, file: CodesFile) -> None:
    """ValueError unless this tokenizer wrote the codes of the sound of a file."""
    if file.sound.get("tokenizer") != codec.id:
        raise ValueError(
            f"the sound of '{file.path}' was written by sound tokenizer "
            f"{file.sound.get('tokenizer') or 'unknown'}, and this one is {codec.id}"
        )


def _slices(codec: SoundCodec, file: CodesFile) -> Iterator[Tensor]:
    wanted = (codec.config.codes_per_latent,)
    if file.sound_shape[2:] != wanted:
        raise ValueError(f"'{file.path}' is damaged: its sound has shape {list(file.sound_shape)}")
    for begin in range(0, file.sound_shape[1], LATENTS_AT_ONCE):
        indices = file.read_sound(begin, begin + LATENTS_AT_ONCE)
        assert indices is not None
        if indices.max() >= codec.codebook_size:
            raise ValueError(
                f"'{file.path}' is damaged: codes of its sound run from 0 to "
                f"{codec.codebook_size - 1}"
            )
        yield indices


def rebuilt_sound(codec: SoundCodec, path: str | Path) -> Iterator[tuple[Tensor, Tensor]]:
    """The sound of a file as it is and after the tokenizer, [L] each, as they come; after the end
    of the track there is silence without end."""
    waiting: list[Tensor] = []

    def remembered() -> Iterator[Tensor]:
        for chunk_L in iterate_sound(path, codec.config.rate):
            waiting.append(chunk_L)
            yield chunk_L[None]
        while True:
            waiting.append(torch.zeros(CHUNK))
            yield waiting[-1][None]

    for wave_BL in codec.stream_decode(codec.stream_encode(remembered())):
        given_L = torch.cat(waiting)
        length = wave_BL.shape[1]
        waiting = [given_L[length:]]
        yield given_L[:length], wave_BL[0]


class SoundInStep:
    """Writes sound to a video after the frames that it belongs to.

    Args:
        writer: with a `sound_rate`.
        chunks: samples [L], as they come.
    """

    def __init__(self, writer: VideoWriter, chunks: Iterable[Tensor]) -> None:
        assert writer.sound_rate is not None
        self.writer = writer
        self.pace = writer.sound_rate / writer.fps  # samples a frame
        self.samples = 0  # so far
        self._chunks = iter(chunks)
        self._rest = torch.zeros(0)

    def catch_up(self) -> Tensor:
        """Write the sound of the frames that are written, and return it."""
        return self._write(round(self.writer.frames * self.pace))

    def finish(self) -> None:
        """Write what is left, however many frames there are."""
        self._write(None)

    def _write(self, until: int | None) -> Tensor:
        written = []
        while until is None or self.samples < until:
            if not len(self._rest):
                following = next(self._chunks, None)
                if following is None:
                    break
                self._rest = following
            part = self._rest[: None if until is None else until - self.samples]
            self._rest = self._rest[len(part) :]
            self.samples += len(part)
            self.writer.write_sound(part)
            written.append(part)
        return torch.cat(written) if written else torch.zeros(0)
