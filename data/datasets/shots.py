"""Where one shot ends and the next begins.

Frames are compared as thumbnails of 12 x 16 blurred pixels, in which motion is small and another
place is not. A cut is a frame that differs from the one before by at least `cut` (mean difference
of all values, as a share of white) and by `JUMP` times as much as the last frames differed among
themselves, so that a fast camera is no cut. The second frame of a shot is never a cut: one flash
does not make two. Dissolves are not found.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

THUMBNAIL = (12, 16)
RECENT = 8  # differences that tell how much moves in the shot so far
JUMP = 3.0
CUT = 0.1


def split_shots(
    chunks: Iterable[Tensor], cut: float = CUT, clip_frames: int | None = None
) -> Iterator[tuple[int, Tensor]]:
    """A video in chunks uint8 `[3, f, Y, X]` to (number of the clip, its next frames uint8 `[3, g,
    Y, X]`).

    Args:
        cut: see above; 1 finds no cuts.
        clip_frames: also begin a new clip after so many frames.
    """
    detector = _CutDetector(cut)
    clip = 0
    length = 0
    for chunk in chunks:
        begin = 0
        for index, is_cut in enumerate(detector.push(chunk)):
            if is_cut or length == clip_frames:
                if index > begin:
                    yield clip, chunk[:, begin:index]
                clip = clip + 1
                length = 0
                begin = index
            length += 1
        yield clip, chunk[:, begin:]


class _CutDetector:
    def __init__(self, cut: float) -> None:
        self.cut = cut
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._last: Tensor | None = None

    def push(self, chunk: Tensor) -> list[bool]:
        """For each frame of uint8 `[3, f, Y, X]`: is it the first of a new shot?"""
        small_F3YX = adaptive_avg_pool2d(chunk.transpose(0, 1).float() / 255, THUMBNAIL)
        before = small_F3YX[:1] if self._last is None else self._last
        is_first = self._last is None
        self._last = small_F3YX[-1:]
        differences = (
            (small_F3YX - torch.cat([before, small_F3YX[:-1]])).abs().mean((1, 2, 3)).tolist()
        )
        return [False] * is_first + [
            self._is_cut(difference) for difference in differences[is_first:]
        ]

    def _is_cut(self, difference: float) -> bool:
        usual = sum(self._recent) / max(1, len(self._recent))
        if self._recent and difference >= max(self.cut, JUMP * usual) and self.cut < 1:
            self._recent.clear()
            return True
        self._recent.append(difference)
        return False
