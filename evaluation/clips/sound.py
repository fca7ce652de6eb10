"""The sound of a clip: the samples that are heard while its frames are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor

SOUND_RATE = 16_000  # samples a second that metrics of sound work at
LEAD = 1.0  # seconds before the wanted ones at which reading begins: packets are long


def read_sound(path: str | Path, begin: float, seconds: float, rate: int = SOUND_RATE) -> Tensor:
    """Mono samples in [-1, 1] at `rate` from second `begin` on; shorter where the sound ends
    before, and empty where the file has none or it cannot be read."""
    empty = torch.zeros(0)
    try:
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            if not container.streams.audio:
                return empty
            return _samples(container, container.streams.audio[0], begin, seconds, rate)
    except (av.FFmpegError, OSError, UnicodeDecodeError):
        return empty


def _samples(container: Any, stream: Any, begin: float, seconds: float, rate: int) -> Tensor:
    if begin > LEAD:
        container.seek(round((begin - LEAD) / stream.time_base), stream=stream)
    resampler = av.AudioResampler("fltp", "mono", rate)
    parts: list[Any] = []
    first: float | None = None
    for frame in container.decode(stream):
        if first is None:
            first = frame.time or 0.0
        for piece in resampler.resample(frame):
            parts.append(piece.to_ndarray()[0])
        if (frame.time or 0.0) > begin + seconds:
            break
    if not parts or first is None:
        return torch.zeros(0)
    sound = torch.from_numpy(np.concatenate(parts))
    start = max(0, round((begin - first) * rate))
    return sound[start : start + round(seconds * rate)].clone()
