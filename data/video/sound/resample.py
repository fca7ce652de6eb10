"""Decoded sound of any rate, format and number of channels as float samples of one rate.

Legend: C channels, L samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import av.filter
import numpy as np
from numpy.typing import NDArray


class Resampler:
    """Turns frames of PyAV into samples float32 `[C, L]`, C 1 or 2.

    Channels are mixed by FFmpeg's table for their places. Its factors add up to one at most: a
    track as loud as can be does not get louder. (`av.AudioResampler` mixes floats without that
    bound: two channels become one that is 1.4 times as loud, six one of 3.4 times.)

    Args:
        rate: samples per second.
        layout: "mono" or "stereo".
    """

    def __init__(self, rate: int, layout: str = "mono") -> None:
        self.rate = rate
        self.layout = layout
        self._graph: Any = None
        self._kind: tuple[object, ...] = ()

    def takes(self, frame: Any) -> bool:
        """Whether a frame is of the kind that came before it, if any did."""
        return self._graph is None or self._kind == _kind(frame)

    def feed(self, frame: Any) -> Iterator[NDArray[np.float32]]:
        """What one more frame makes complete. Where a track changes its kind, the samples of the
        kind before end first."""
        if not self.takes(frame):
            yield from self.flush()
        if self._graph is None:
            self._graph = self._made(frame)
            self._kind = _kind(frame)
        self._graph.push(frame)
        yield from self._pulled()

    def flush(self) -> Iterator[NDArray[np.float32]]:
        """What is left at the end of a track."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._pulled()
            self._graph = None

    def _pulled(self) -> Iterator[NDArray[np.float32]]:
        while True:
            try:
                made = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            yield made.to_ndarray()

    def _made(self, frame: Any) -> Any:
        graph = av.filter.Graph()
        source = graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format.name,
            layout=frame.layout.name,
            time_base=frame.time_base,
        )
        settings = f"{self.rate}:ochl={self.layout}:osf=fltp:rematrix_maxval=1"
        resample = graph.add("aresample", settings)
        sink = graph.add("abuffersink")
        source.link_to(resample)
        resample.link_to(sink)
        graph.configure()
        return graph


def _kind(frame: Any) -> tuple[object, ...]:
    return frame.sample_rate, frame.format.name, frame.layout.name
