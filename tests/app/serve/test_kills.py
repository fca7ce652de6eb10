"""Under load, with kills of the server and of its workers: nothing accepted is lost, nothing is
made twice, no answer is wrong, and memory stays flat.

The sample of two minutes runs with the slow tests; `make soak` runs ten minutes with 50 clients.
"""

import contextlib
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from kinetoscope.app.serve.store.database import Database
from kinetoscope.app.serve.store.queue import VideoQueue
from kinetoscope.data.video import read_clip

PROMPTS = ["a red ball rolls", "a blue cube falls slowly", "a red cube"]
TOLD = {"queued", "in_progress", "completed"}
SOAK = os.environ.get("KINETOSCOPE_SOAK") == "1"


class LoadClient:
    """Asks for videos until it is told to stop; asks again where no answer came."""

    def __init__(self, url: str, number: int) -> None:
        self.url = url
        self.number = number
        self.accepted: dict[str, str] = {}  # by the key of the request
        self.wrong: list[str] = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        turn = 0
        with httpx.Client(base_url=self.url, timeout=20) as client:
            while not self.stopping.is_set():
                try:
                    self._ask(client, f"client {self.number} turn {turn}", turn)
                    turn += 1
                except httpx.TransportError:
                    pass  # the server was killed: the same request again
                except Exception as error:  # an answer that is none of a video
                    self.wrong.append(repr(error))
                self.stopping.wait(random.uniform(0.0, 0.5))

    def _ask(self, client: httpx.Client, key: str, turn: int) -> None:
        body = {"prompt": PROMPTS[turn % 3], "frames": 1 + 4 * (turn % 4), "seed": self.number}
        answer = client.post("/v1/videos", json=body, headers={"Idempotency-Key": key})
        if answer.status_code == 200:
            self.accepted[key] = answer.json()["id"]
            status = client.get(f"/v1/videos/{self.accepted[key]}").json()["status"]
            if status not in TOLD:
                self.wrong.append(f"{key} is {status}")
        elif answer.status_code not in (429, 503):
            self.wrong.append(f"{answer.status_code}: {answer.text[:200]}")


def load_and_kill(server: Any, clients: int, seconds: float, every: float) -> dict[str, str]:
    """What was accepted, while the server or one of its workers is killed every so often."""
    crowd = [LoadClient(server.url, number) for number in range(clients)]
    for client in crowd:
        client.thread.start()
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
    for client in crowd:
        client.stopping.set()
    for client in crowd:
        client.thread.join(60)
    wrong = [problem for client in crowd for problem in client.wrong]
    assert not wrong, wrong[:5]
    accepted: dict[str, str] = {}
    for client in crowd:
        accepted |= client.accepted
    return accepted


def wait_for_all(queue: VideoQueue, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (counts := queue.counts())["queued"] + counts["in_progress"]:
        assert time.monotonic() < end, f"still {counts} after {seconds} seconds"
        time.sleep(0.5)


def check_delivered(folder: Path, accepted: dict[str, str]) -> None:
    """Every video once, whole, and as long as it was asked for."""
    queue = VideoQueue(Database(folder))
    files = {path.stem: path for path in folder.glob("videos/*.mp4")}
    known = queue.known_ids()
    assert set(accepted.values()) <= known, "something accepted was lost"
    assert len(set(accepted.values())) == len(accepted)
    assert set(files) == known, "there are as many files as videos"
    for name in known:
        video = queue.get(name)
        assert video is not None and video.status == "completed", video
        assert video.bytes == files[name].stat().st_size
    for name in random.sample(sorted(known), min(20, len(known))):
        video = queue.get(name)
        assert video is not None and read_clip(files[name]).video.shape[1] == video.frames


@pytest.mark.slow
def test_a_sample_of_the_soak(tmp_path, model_folder, running):
    with running(tmp_path, str(model_folder), "--workers", "2") as server:
        accepted = load_and_kill(server, clients=8, seconds=120, every=30)
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
