"""Where the time of a training run goes: steps, tokens, and waiting for data."""

from __future__ import annotations

import time
from collections.abc import Callable


class Stopwatch:
    """Counts steps and tokens between two readings.

    Waiting is the time from the end of a step to the beginning of the next. What else happens there
    (validation, checkpoints) ends with `rest` and does not count.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self.rest()
        self._clear()

    def _clear(self) -> None:
        self._steps = self._tokens = 0
        self._busy = self._waited = 0.0

    def rest(self) -> None:
        """Something other than training has ended."""
        self._mark = self.clock()

    def start(self) -> None:
        """The data of a step are there."""
        now = self.clock()
        self._waited += now - self._mark
        self._mark = now

    def stop(self, tokens: int) -> None:
        """A step is done."""
        now = self.clock()
        self._busy += now - self._mark
        self._mark = now
        self._steps = self._steps + 1
        self._tokens = self._tokens + tokens

    def read(self, steps_left: float) -> dict[str, float]:
        """Means since the last reading.

        They are seconds per step, tokens per second, and the share of time spent waiting for data;
        and the minutes that `steps_left` will take.
        """
        seconds = max(self._busy + self._waited, 1e-9)
        per_step = seconds / max(1, self._steps)
        values = {
            "seconds_per_step": per_step,
            "tokens_per_s": self._tokens / seconds,
            "data_wait": self._waited / seconds,
            "minutes_left": steps_left * per_step / 60,
        }
        self._clear()
        return values
