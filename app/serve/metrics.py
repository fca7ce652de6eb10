"""Numbers for Prometheus, in its text format."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

from .store.queue import VideoQueue
from .workers.pool import WorkerPool

TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counts requests; everything else is asked of queue and workers when it is read."""

    def __init__(self, queue: VideoQueue, pool: WorkerPool) -> None:
        self.queue = queue
        self.pool = pool
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._seconds = 0.0

    def count(self, method: str, status: int, seconds: float) -> None:
        with self._lock:
            self._requests[method, str(status)] += 1
            self._seconds += seconds

    def text(self) -> str:
        """All of it, as Prometheus reads it."""
        with self._lock:
            requests = dict(self._requests)
            seconds = self._seconds
        lines = [
            *_family("kinetoscope_requests_total", "counter", "Requests answered."),
            *(_sample("kinetoscope_requests_total", {"method": method, "status": status}, count)
              for (method, status), count in sorted(requests.items())),
            *_family("kinetoscope_request_seconds_total", "counter", "Time spent on them."),
            _sample("kinetoscope_request_seconds_total", {}, round(seconds, 6)),
            *_family("kinetoscope_videos", "gauge", "Videos that are kept, by status."),
            *(_sample("kinetoscope_videos", {"status": status}, count)
              for status, count in self.queue.counts().items()),
        ]  # fmt: skip
        (ready, deaths, live) = (self.pool.ready, self.pool.deaths, self.pool.live)
        gauges = {
            "kinetoscope_workers_ready": ("gauge", "Workers that have their model.", ready),
            "kinetoscope_worker_deaths_total": ("counter", "Workers that died.", deaths),
            "kinetoscope_live_videos": ("gauge", "Videos that are watched live.", live),
        }
        for name, (kind, text, value) in gauges.items():
            lines += [*_family(name, kind, text), _sample(name, {}, value)]
        return "\n".join(lines) + "\n"


def _family(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{label}="{text}"' for label, text in labels.items())
    return f"{name}{{{inside}}} {value}" if inside else f"{name} {value}"
