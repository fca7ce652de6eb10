"""The sound that a model draws with its pictures.

Legend: B videos, f Y X frames and pixels of a latent frame, l samples.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from ..generator.pipeline import VideoGenerator
    from ..generator.session import VideoSession
    from ..tokenizer.codes import SoundCodes

SOUND = "sound"  # folder of the sound tokenizer inside a model's


class Drawn(NamedTuple):
    """A latent frame: pixels uint8 [B, 3, f, Y, X], and samples float [B, l] in [-1, 1] if there
    is sound."""

    pixels: Tensor
    samples: Tensor | None


def drawn(chunk: Any, left: int | None = None) -> Drawn:
    """What a session has just drawn, on the CPU.

    Args:
        chunk: what its iterator gave.
        left: frames that are still wanted; None for all.
    """
    from ..data.video import to_uint8

    (pixels, samples) = chunk if isinstance(chunk, tuple) else (chunk, None)
    wanted = pixels[:, :, :left]
    if samples is not None:
        count = samples.shape[1] * wanted.shape[2] // pixels.shape[2]
        samples = samples[:, :count].cpu()
    return Drawn(to_uint8(wanted).cpu(), samples)


def pcm(samples: np.ndarray) -> bytes:
    """Samples float [l] or [l, channels] in [-1, 1] as 16-bit PCM, little-endian, channels
    interleaved."""
    return (np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes()


def sound_codes(session: VideoSession) -> Tensor:
    """Codes of the sound of the last latent frame, [B, 1, K]."""
    return session.engine.sounds[-1].flatten(1)[:, None]


def codes_of(indices_BTK: Tensor, frames: int, generator: VideoGenerator) -> SoundCodes:
    """Codes of the sound of so many frames, to be kept beside those of the pictures."""
    from ..tokenizer.codes import SoundCodes

    samples = frames * generator.samples_per_frame
    tokenizer = generator.check_sounds().id
    return SoundCodes(indices_BTK.cpu().contiguous(), samples, tokenizer, generator.sound_rate)


def sound_fps(generator: VideoGenerator) -> float | None:
    """Frames per second that a model draws sound for; None if it draws none."""
    if generator.sound is None:
        return None
    return generator.sound_rate / generator.samples_per_frame


def folder_sound_fps(folder: Path) -> float | None:
    """The same of the folder of a model, from its configs alone. A tokenizer of sound may lie there
    before the model draws any."""
    from ..files.model_folder import load_config
    from ..generator.model.config import DecoderConfig
    from ..tokenizer.sound import SoundTokenizerConfig

    if not load_config(folder, DecoderConfig.from_dict).sound.codes:
        return None
    config = load_config(folder / SOUND, SoundTokenizerConfig.from_dict)
    return config.rate / config.frame_samples


def is_rate(fps: float, wanted: float) -> bool:
    return abs(fps - wanted) < 1e-6
