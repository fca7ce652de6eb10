"""The sound of video and sound files as one tensor of samples.

Legend: L samples.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from ..frames import VideoError
from .resample import Resampler
from .stream import has_track, iterate_sound

MOST_SECONDS = 600.0


def read_sound(
    path: str | Path, rate: int = 24_000, seconds: float = MOST_SECONDS, stereo: bool = False
) -> Tensor:
    """The first `seconds` of a file's first sound track, mixed to one channel, or to two.

    Returns float32 [L], or [2, L] with `stereo`, in [-1, 1] at `rate` samples per second; gaps in
    the track are not filled. Raises VideoError if the file cannot be read or has no sound.
    """
    parts: list[np.ndarray] = []
    wanted = int(seconds * rate)
    try:
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            if not container.streams.audio:
                raise VideoError(f"'{path}' has no sound")
            # one channel becomes two below: the resampler would make it softer
            two = stereo and container.streams.audio[0].channels > 1
            resampler = Resampler(rate, "stereo" if two else "mono")
            count = 0
            for frame in container.decode(audio=0):
                for piece in resampler.feed(frame):
                    parts.append(piece)
                    count += piece.shape[1]
                if count >= wanted:
                    break
            else:
                parts += resampler.flush()
    except (av.FFmpegError, OSError, UnicodeDecodeError) as error:
        raise VideoError(f"'{path}' cannot be read: {error}") from error
    if not parts:
        raise VideoError(f"'{path}' has a sound track without samples")
    samples = np.concatenate(parts, axis=1)[:, :wanted]
    sound = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32)).clamp(-1, 1)
    return sound.expand(2, -1) if stereo else sound[0]


def resample_sound(samples_L: Tensor, rate: int, wanted: int) -> Tensor:
    """The same sound, float [L], at another number of samples per second."""
    length = round(len(samples_L) * wanted / rate)
    if rate == wanted or length == 0:
        return samples_L[:length]
    given = np.ascontiguousarray(samples_L.numpy()[None], dtype=np.float32)
    frame = av.AudioFrame.from_ndarray(given, format="fltp", layout="mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler("fltp", "mono", wanted)
    pieces = [*resampler.resample(frame), *resampler.resample(None)]
    found = torch.from_numpy(np.concatenate([each.to_ndarray()[0] for each in pieces]))
    return torch.nn.functional.pad(found, (0, max(0, length - len(found))))[:length]


def read_span(path: str | Path, start: float, samples: int, rate: int = 24_000) -> Tensor | None:
    """A piece of a file's first sound track, mixed to one channel, that begins `start` seconds
    after its first picture.

    Returns float32 [L] in [-1, 1] at `rate` samples per second, with zeros where the track has
    nothing, or None for a file without a sound track. Raises VideoError if it cannot be read.
    """
    if not has_track(path):
        return None
    return torch.cat([torch.zeros(0), *iterate_sound(path, rate, start, samples)])
