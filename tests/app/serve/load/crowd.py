"""Clients that ask a server for videos until they are told to stop, and look closely at what they
get."""

import contextlib
import hashlib
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from kinetoscope.app.serve.store.database import Database
from kinetoscope.app.serve.store.queue import VideoQueue
from kinetoscope.data.video import read_clip

PROMPTS = ["a red ball rolls", "a blue cube falls slowly", "a red cube"]
TOLD = {"queued", "in_progress", "completed"}
OPEN = 3  # videos that a client waits for at a time


class LoadClient:
    """Asks for videos and fetches them; asks again where no answer came.

    Args:
        more: fields of every request.

    Attributes:
        accepted: videos by the keys of their requests.
        fetched: videos that came.
        contents: hashes of the files by what was asked for.
        wrong: answers that should not have come.
    """

    def __init__(self, url: str, number: int, more: dict[str, Any]) -> None:
        self.url = url
        self.number = number
        self.more = more
        self.accepted: dict[str, str] = {}
        self.fetched = 0
        self.contents: dict[str, set[str]] = {}
        self.wrong: list[str] = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self._open: dict[str, dict[str, Any]] = {}  # what was asked for, by the video

    def _run(self) -> None:
        turn = 0
        with httpx.Client(base_url=self.url, timeout=20) as client:
            while not self.stopping.is_set():
                try:
                    if len(self._open) < OPEN:
                        self._ask(client, f"client {self.number} turn {turn}", turn)
                        turn += 1
                    for name in list(self._open):
                        self._look(client, name)
                except httpx.TransportError:
                    pass  # the server was killed: the same request again
                except Exception as error:  # an answer that is none of a video
                    self.wrong.append(repr(error))
                self.stopping.wait(random.uniform(0.0, 0.5))

    def _ask(self, client: httpx.Client, key: str, turn: int) -> None:
        body = {"prompt": PROMPTS[turn % 3], "frames": 1 + 4 * (turn % 4), "seed": self.number % 2}
        body |= self.more
        answer = client.post("/v1/videos", json=body, headers={"Idempotency-Key": key})
        if answer.status_code == 200:
            self.accepted[key] = answer.json()["id"]
            self._open[self.accepted[key]] = body
        elif answer.status_code not in (429, 503):
            self.wrong.append(f"{answer.status_code}: {answer.text[:200]}")

    def _look(self, client: httpx.Client, name: str) -> None:
        status = client.get(f"/v1/videos/{name}").json()["status"]
        if status not in TOLD:
            self.wrong.append(f"{name} is {status}")
        if status != "completed":
            return
        content = client.get(f"/v1/videos/{name}/content")
        if content.status_code != 200:
            self.wrong.append(f"{content.status_code}: {content.text[:200]}")
        asked = repr(sorted(self._open.pop(name).items()))
        found = hashlib.sha256(content.content).hexdigest()
        self.contents.setdefault(asked, set()).add(found)
        self.fetched += 1


@contextlib.contextmanager
def crowd(server: Any, clients: int, **more: Any) -> Iterator[list[LoadClient]]:
    """So many clients at work; at the end of the block they stop, and nothing that they were told
    may have been wrong."""
    made = [LoadClient(server.url, number, more) for number in range(clients)]
    for client in made:
        client.thread.start()
    try:
        yield made
    finally:
        for client in made:
            client.stopping.set()
        for client in made:
            client.thread.join(60)
    wrong = [problem for client in made for problem in client.wrong]
    assert not wrong, wrong[:5]
    contents: dict[str, set[str]] = {}
    for client in made:
        for asked, found in client.contents.items():
            contents.setdefault(asked, set()).update(found)
    several = {asked: len(found) for asked, found in contents.items() if len(found) > 1}
    assert not several, f"the same request gave several videos: {several}"


def accepted_by(clients: list[LoadClient]) -> dict[str, str]:
    """What a crowd was promised, by the keys of its requests."""
    accepted: dict[str, str] = {}
    for client in clients:
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
