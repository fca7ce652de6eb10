"""A server that nobody kills holds no more memory after many videos than after some.

The slow tests watch it for 45 seconds, and `make soak TESTS=tests/app/serve/load` for five, with 50
clients.
"""

import os
import statistics
import time
from typing import Any

import pytest

from .crowd import LoadClient, crowd

SOAK = os.environ.get("KINETOSCOPE_SOAK") == "1"
(CLIENTS, SECONDS) = (50, 300) if SOAK else (6, 45)
FRAMES = 33
SIZE = (96, 64)  # width and height
VIDEO = FRAMES * SIZE[0] * SIZE[1] * 3  # bytes of its frames


def watch(server: Any, people: list[LoadClient], seconds: float) -> list[tuple[int, int]]:
    """Videos that were fetched and bytes that server and workers held then, again and again."""
    samples = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.5)
        samples.append((sum(client.fetched for client in people), server.memory()))
    return samples


def growth(samples: list[tuple[int, int]]) -> tuple[float, float]:
    """Videos, and bytes that were added, from the second third of the time to the last one: in the
    first one caches fill."""
    third = len(samples) // 3
    (middle, last) = (samples[third : 2 * third], samples[2 * third :])
    (videos, added) = (
        statistics.median(each[place] for each in last)
        - statistics.median(each[place] for each in middle)
        for place in (0, 1)
    )
    return videos, added


@pytest.mark.soak
@pytest.mark.slow
def test_no_video_leaves_its_frames_in_memory(tmp_path, model_folder, running):
    """Had every second video left its frames behind, or their like, this would fail."""
    with running(tmp_path, str(model_folder), "--workers", "2") as server:
        with crowd(server, CLIENTS, frames=FRAMES, size="{}x{}".format(*SIZE)) as people:
            samples = watch(server, people, SECONDS)
        (videos, added) = growth(samples)
        print(f"{videos:g} videos added {added / 1e6:.1f} MB to {samples[-1][1] / 1e6:.0f} MB")
        assert videos > 8, "too few to say anything"
        assert added < videos * VIDEO / 2, f"{added / videos / 1e6:.2f} MB a video"
