"""The sound of video and sound files as samples, and samples as the sound of a file in the making,
through PyAV.

Legend: L samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .frames import VideoError

MOST_SECONDS = 600.0
RUN_UP = 0.5  # seconds that are decoded before what is wanted, for codecs that remember
NEXT = 2  # samples by which times may be off without a gap
BIT_RATE = 96_000  # of one channel; AAC of 24 kHz is good at it


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
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            if not container.streams.audio:
                raise VideoError(f"'{path}' has no sound")
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
    except (av.FFmpegError, OSError, UnicodeDecodeError) as error:
        raise VideoError(f"'{path}' cannot be read: {error}") from error
    if not parts:
        raise VideoError(f"'{path}' has a sound track without samples")
    samples = np.concatenate(parts, axis=1)[:, :wanted]
    sound = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32)).clamp(-1, 1)
    return sound.expand(2, -1) if stereo else sound[0]


def resample_sound(samples_L: Tensor, rate: int, wanted: int) -> Tensor:
    """The same sound, float [L], at another number of samples per second."""
    import av

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
    after its first frame.

    Returns float32 [L] in [-1, 1] at `rate` samples per second, with zeros where the track has
    nothing, or None for a file without a sound track. Raises VideoError if it cannot be read.
    """
    import av

    wave = torch.zeros(samples)
    try:
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            if not container.streams.audio:
                return None
            begin = start + _first_frame(container)
            if start > RUN_UP:
                container.seek(int((begin - RUN_UP) * av.time_base))
            resampler = av.AudioResampler("flt", "mono", rate)
            following = None
            for frame in _resampled(container, resampler):
                place = round((frame.time - begin) * rate)
                if following is not None and abs(place - following) <= NEXT:
                    place = following
                if place >= samples:
                    break
                following = place + frame.samples
                piece = torch.from_numpy(frame.to_ndarray()[0].copy())
                wanted = slice(max(0, place), min(samples, following))
                if wanted.start < wanted.stop:
                    wave[wanted] = piece[wanted.start - place : wanted.stop - place]
    except (av.FFmpegError, OSError, UnicodeDecodeError) as error:
        raise VideoError(f"the sound of '{path}' cannot be read: {error}") from error
    return wave.clamp(-1, 1)


def _first_frame(container: Any) -> float:
    """Seconds at which the pictures begin."""
    if not container.streams.video:
        return 0.0
    stream = container.streams.video[0]
    return float((stream.start_time or 0) * stream.time_base)


def _resampled(container: Any, resampler: Any) -> Iterator[Any]:
    """Frames of the first track with their times; packets that cannot be decoded are left out, as
    at the beginning of a stream that was cut out of another, or after a seek."""
    import av

    for packet in container.demux(audio=0):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            if frame.pts is not None:
                yield from resampler.resample(frame)
    yield from resampler.resample(None)


class SoundTrack:
    """The one channel of sound of a file that is being written.

    What an encoder puts before the first sample (1,024 zeros in AAC) carries times before 0, and
    the file says so: sample n of what is written is heard n / rate seconds after the first frame is
    seen.

    Args:
        container: of PyAV, open for writing, to which nothing has been written.
        encoder: FFmpeg's name.
        rate: samples per second.
    """

    def __init__(self, container: Any, encoder: str, rate: int) -> None:
        self.container = container
        self.rate = rate
        self.count = 0  # samples so far
        self.stream: Any = container.add_stream(encoder, rate=rate, layout="mono")
        self.stream.bit_rate = BIT_RATE

    def write(self, samples_L: Tensor) -> None:
        """Append samples, float in [-1, 1]."""
        import av

        samples = samples_L.detach().cpu().float().clamp(-1, 1).numpy()
        if not len(samples):
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), "fltp", "mono")
        frame.sample_rate = self.rate
        frame.time_base = Fraction(1, self.rate)
        frame.pts = self.count
        self.count += len(samples)
        self.container.mux(self.stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self.container.mux(self.stream.encode(None))
