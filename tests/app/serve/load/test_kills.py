"""Under load, with kills of the server and of its workers: nothing accepted is lost, nothing is
made twice, no answer is wrong, and what a server holds does not grow from one kill to the next.

The slow tests run 24 seconds of it, and `make soak TESTS=tests/app/serve/load` ten with 50 clients.
"""

import contextlib
import os
import random
import signal
import time
from typing import Any

import pytest
from kinetoscope.app.serve.store.database import Database
from kinetoscope.app.serve.store.queue import VideoQueue

from .crowd import accepted_by, check_delivered, crowd, wait_for_all

SOAK = os.environ.get("KINETOSCOPE_SOAK") == "1"


def load_and_kill(server: Any, clients: int, seconds: float, every: float) -> dict[str, str]:
    """What was accepted, while the server or one of its workers is killed every so often."""
    with crowd(server, clients) as people:
        end = time.monotonic() + seconds
        turn = 0
        while time.monotonic() < end:
            time.sleep(every * random.uniform(0.5, 1.0))
            if turn % 2 == 0 and server.workers():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(server.workers()[-1], signal.SIGKILL)
            else:
                server.kill()
                server.start()
            server.wait_until_ready()
            turn += 1
    return accepted_by(people)


@pytest.mark.slow
def test_a_sample_of_the_soak(tmp_path, model_folder, running):
    with running(tmp_path, str(model_folder), "--workers", "2") as server:
        accepted = load_and_kill(server, clients=8, seconds=24, every=9)
        assert len(accepted) > 8
        wait_for_all(VideoQueue(Database(tmp_path)), 300)
        check_delivered(tmp_path, accepted)


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.skipif(not SOAK, reason="takes fifteen minutes; make soak runs it")
def test_fifty_clients_for_ten_minutes(tmp_path, model_folder, running):
    with running(tmp_path, str(model_folder), "--workers", "2", "--disk", "100") as server:
        load_and_kill(server, clients=50, seconds=60, every=60)
        wait_for_all(VideoQueue(Database(tmp_path)), 900)
        before = server.memory()
        accepted = load_and_kill(server, clients=50, seconds=600, every=60)
        wait_for_all(VideoQueue(Database(tmp_path)), 1800)
        check_delivered(tmp_path, accepted)
        assert server.memory() < 1.3 * before, "memory grows with the videos"
