"""The sound of video and sound files as samples, through PyAV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .frames import VideoError

MOST_SECONDS = 600.0


def read_sound(
    path: str | Path, rate: int = 24_000, seconds: float = MOST_SECONDS, stereo: bool = False
) -> Tensor:
    """The first `seconds` of a file's first sound track, mixed to one channel, or to two.

    Returns float32 [L], or [2, L] with `stereo`, in [-1, 1] at `rate` samples per second; gaps in
    the track are not filled. Raises VideoError if the file cannot be read or has no sound.
    """
    import av

    parts: list[np.ndarray] = []
    wanted = int(seconds * rate)
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise VideoError(f"{path} has no sound")
            # one channel becomes two below: the resampler would make it softer
            two = stereo and container.streams.audio[0].channels > 1
            resampler = av.AudioResampler("fltp", "stereo" if two else "mono", rate)
            count = 0
            for frame in container.decode(audio=0):
                for piece in resampler.resample(frame):
                    parts.append(piece.to_ndarray())
                    count += parts[-1].shape[1]
                if count >= wanted:
                    break
            else:
                parts += [piece.to_ndarray() for piece in resampler.resample(None)]
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path} cannot be read: {error}") from error
    if not parts:
        raise VideoError(f"{path} has a sound track without samples")
    samples = np.concatenate(parts, axis=1)[:, :wanted]
    sound = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32)).clamp(-1, 1)
    return sound.expand(2, -1) if stereo else sound[0]
