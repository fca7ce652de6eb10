"""The sound of a file that is being written.

Legend: L samples.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from torch import Tensor

BIT_RATE = 96_000  # of one channel; AAC of 24 kHz is good at it


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
