"""What a video becomes: a grid of codes that remembers the size of the video it came from, and the
codes of its sound.

Legend: B batch, T H W latent grid, Q codebooks of a cell, K codes of sound of a latent, F Y X
frames and pixels, k frames per latent.
"""

import os
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..files.codes_file import (
    LARGEST_COUNT,
    LARGEST_FPS,
    LARGEST_RATE,
    CodesFile,
    CodesWriter,
    about_sound,
)
from ..files.config_fields import number, whole
from ..files.errors import UnreadableFile

__all__ = ["CodesFile", "CodesWriter", "SoundCodes", "VideoCodes", "frame_count", "latent_count"]

SOUND_RATE = 24_000  # samples per second


def frame_count(latents: int, frames_per_latent: int) -> int:
    """Frames that `latents` latent frames decode to: the first is one image, each later one is k
    frames."""
    if latents < 1:
        raise ValueError(f"latents must be at least 1; got {latents}")
    return 1 + frames_per_latent * (latents - 1)


def latent_count(frames: int, frames_per_latent: int) -> int:
    """Latent frames needed to hold `frames` frames (the last one may be partly padding)."""
    if frames < 1:
        raise ValueError(f"frames must be at least 1; got {frames}")
    return 1 + -(-(frames - 1) // frames_per_latent)


@dataclass(frozen=True)
class SoundCodes:
    """Codes of a batch of sounds of one length.

    indices: int64 `[B, T, K]` for K codes of each latent, or `[B, T, K, Q]` of a tokenizer with
        several codebooks, coarse to fine;
    num_samples: length of the sound before padding; rate: samples per second;
    tokenizer: the id of the sound tokenizer that wrote the codes and the only one that can read
        them.
    """

    indices: Tensor
    num_samples: int
    tokenizer: str = ""
    rate: int = SOUND_RATE

    def __post_init__(self) -> None:
        if self.indices.dim() not in (3, 4) or 0 in self.indices.shape:
            raise ValueError(
                "indices must be [B, T, K] or [B, T, K, Q], none of them 0; got shape "
                f"{list(self.indices.shape)}"
            )
        _check_type(self.indices)
        samples = whole(self.num_samples, "num_samples", (1, LARGEST_COUNT))
        object.__setattr__(self, "num_samples", samples)
        object.__setattr__(self, "rate", whole(self.rate, "rate", (1, LARGEST_RATE)))

    @property
    def rates(self) -> int:
        """How many codebooks there are per step: 1, or Q."""
        return self.indices.shape[-1] if self.indices.dim() == 4 else 1

    def first(self, latents: int, samples: int) -> "SoundCodes":
        """The sound of the first `latents` latent frames, which have so many samples."""
        samples = min(samples, self.num_samples)
        return replace(self, indices=self.indices[:, :latents].contiguous(), num_samples=samples)

    def prefix(self, rate: int) -> "SoundCodes":
        """The first `rate` codebooks: the same sound in fewer bits. ValueError if that many are
        not there."""
        if not 1 <= rate <= self.rates:
            raise ValueError(f"these codes have {self.rates} codebooks; got rate {rate}")
        if rate == self.rates:
            return self
        return replace(self, indices=self.indices[..., :rate].contiguous())


@dataclass(frozen=True)
class VideoCodes:
    """Codes of a batch of videos of one size.

    indices: int64 `[B, T, H, W]`, or `[B, T, H, W, Q]` of a tokenizer with several codebooks,
        coarse to fine;
    num_frames, height, width: size of the video before padding; fps: frames per second, 0 if
        unknown;
    tokenizer: the id of the tokenizer that wrote the codes and the only one that can read them;
    model: the name under which it was loaded, if known, for people to read;
    sound: codes of the sound that belongs to the videos, if there are any: `[B, T, K]`, those of
        latent frame t beside those of its pictures.
    """

    indices: Tensor
    num_frames: int
    height: int
    width: int
    fps: float = 0.0
    tokenizer: str = ""
    model: str = ""
    sound: SoundCodes | None = None

    def __post_init__(self) -> None:
        if self.indices.dim() not in (4, 5) or 0 in self.indices.shape:
            raise ValueError(
                "indices must be [B, T, H, W] or [B, T, H, W, Q], none of them 0; got shape "
                f"{list(self.indices.shape)}"
            )
        _check_type(self.indices)
        for name in ("num_frames", "height", "width"):
            object.__setattr__(self, name, whole(getattr(self, name), name, (1, LARGEST_COUNT)))
        object.__setattr__(self, "fps", number(self.fps, "fps", (0, LARGEST_FPS)))
        if self.sound is not None and len(self.sound.indices) != len(self.indices):
            raise ValueError(
                f"these are codes of {len(self.indices)} videos, and those of their sound of "
                f"{len(self.sound.indices)}"
            )

    def to(self, device: torch.device | str) -> "VideoCodes":
        sound = self.sound and replace(self.sound, indices=self.sound.indices.to(device))
        return replace(self, indices=self.indices.to(device), sound=sound)

    @property
    def rates(self) -> int:
        """How many codebooks there are per cell: 1, or Q."""
        return self.indices.shape[-1] if self.indices.dim() == 5 else 1

    def prefix(self, rate: int) -> "VideoCodes":
        """The first `rate` codebooks: the same video in fewer bits. ValueError if that many are
        not there."""
        if not 1 <= rate <= self.rates:
            raise ValueError(f"these codes have {self.rates} codebooks per cell; got rate {rate}")
        return (
            self
            if rate == self.rates
            else replace(self, indices=self.indices[..., :rate].contiguous())
        )

    def first(self, latents: int, frames_per_latent: int) -> "VideoCodes":
        """The first `latents` latent frames, and the sound of the frames that they hold. (Codes
        from a later one on are no video: the first latent frame is one image.) ValueError if that
        many are not there."""
        held = self.indices.shape[1]
        if not 1 <= latents <= held:
            raise ValueError(f"latents must be from 1 to {held}, which are there; got {latents}")
        frames = min(self.num_frames, frame_count(latents, frames_per_latent))
        sound = self.sound
        if sound is not None:  # as long as the video
            sound = sound.first(latents, max(1, sound.num_samples * frames // self.num_frames))
        indices = self.indices[:, :latents].contiguous()
        return replace(self, indices=indices, num_frames=frames, sound=sound)

    def scaled(self, ratio: int) -> "VideoCodes":
        """The same codes as those of a video `ratio` times as high and wide, for a tokenizer with
        patches as many times as wide that shares these codes. ValueError if ratio is below 1."""
        if ratio < 1:
            raise ValueError(f"ratio must be at least 1; got {ratio}")
        return replace(self, height=ratio * self.height, width=ratio * self.width)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file: codes as int32, the rest as metadata, with a checksum over all
        of it. Written beside its place, then renamed."""
        size = (self.height, self.width)
        with CodesWriter(path, *size, self.fps, self.tokenizer, self.model) as writer:
            writer.write(self.indices)
            about = None
            if self.sound is not None:
                sound = self.sound
                writer.write_sound(sound.indices)
                about = about_sound(sound.num_samples, sound.rate, sound.tokenizer)
            writer.finish(self.num_frames, about)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "VideoCodes":
        """Read what `save` wrote. UnreadableFile if the file is anything else, or damaged."""
        file = CodesFile.open(path)
        indices = file.read()
        try:
            sound = _sound_of(file)
            size = (file.num_frames, file.height, file.width)
            return cls(indices, *size, file.fps, file.tokenizer, file.model, sound)
        except (KeyError, ValueError) as error:
            raise UnreadableFile(f"'{path}' is damaged: {error}") from error


def _check_type(indices: Tensor) -> None:
    if indices.dtype != torch.int64:
        raise ValueError(f"indices must be int64; got {indices.dtype}; call .long() on them")


def _sound_of(file: CodesFile) -> SoundCodes | None:
    indices = file.read_sound()
    if indices is None:
        return None
    told = file.sound
    return SoundCodes(indices, int(told["samples"]), told["tokenizer"], int(told["rate"]))
