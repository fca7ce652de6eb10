"""`kinetoscope serve --ray` with two replicas on this machine, which are killed under load."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from kinetoscope.app.serve.store.database import Database
from kinetoscope.app.serve.store.queue import VideoQueue

from .conftest import free_port
from .load.crowd import check_delivered, wait_for_all

HERE = "127.0.0.1"


class RayServer:
    """`kinetoscope serve --ray` with two replicas, on a cluster of its own."""

    def __init__(self, folder: Path, model: Path) -> None:
        port = free_port()
        self.client = httpx.Client(base_url=f"http://{HERE}:{port}", timeout=60)
        words = ["serve", "--ray", "--workers", "2", "--port", str(port), "--grace", "1"]
        words += ["--folder", str(folder), "--model", str(model)]
        words += ["--no-credentials", "--no-watermark"]
        command = [sys.executable, "-m", "kinetoscope.app.cli.main", *words]
        # replicas are as important as what else this machine does
        self.process = subprocess.Popen(command, env=os.environ | {"RAY_worker_niceness": "0"})

    def wait_for(self, workers: int, deaths: int, seconds: float = 400) -> None:
        """Until so many workers are ready and at least so many have died."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, "the server has ended"
            with contextlib.suppress(httpx.TransportError):
                told = self.client.get("/metrics").text
                lines = [line.split() for line in told.splitlines() if line[:1] not in ("#", "")]
                found = {line[0]: line[-1] for line in lines}
                ready = found.get("kinetoscope_workers_ready") == str(workers)
                if ready and int(found["kinetoscope_worker_deaths_total"]) >= deaths:
                    return
            time.sleep(0.5)
        raise AssertionError(f"not {workers} workers after {seconds} seconds")

    def replicas(self, deployment: str) -> list[int]:
        """Processes of a deployment, among those that this server started."""
        parents: dict[int, int] = {}
        found: list[int] = []
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                after_name = (place / "stat").read_text().rpartition(")")[2]
                parents[int(place.name)] = int(after_name.split()[1])
                name = f"ServeReplica:kinetoscope:{deployment}".encode()
                if name in (place / "cmdline").read_bytes():
                    found.append(int(place.name))
        return [pid for pid in found if self.process.pid in _ancestors(pid, parents)]


def _ancestors(pid: int, parents: dict[int, int]) -> list[int]:
    found = []
    while (pid := parents.get(pid, 0)) > 1:
        found.append(pid)
    return found


class PatientClient(threading.Thread):
    """Asks for one video after another; where no video is the answer it asks again."""

    def __init__(self, server: RayServer, number: int) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.number = number
        self.accepted: dict[str, str] = {}  # by the key of the request
        self.stopping = threading.Event()
        self.start()

    def run(self) -> None:
        with httpx.Client(base_url=self.server.client.base_url, timeout=60) as client:
            while not self.stopping.wait(random.uniform(1.0, 4.0)):
                key = f"client {self.number} turn {len(self.accepted)}"
                body = {"prompt": "a red ball", "frames": 21, "seed": len(self.accepted)}
                with contextlib.suppress(httpx.TransportError):
                    headers = {"Idempotency-Key": key}
                    answer = client.post("/v1/videos", json=body, headers=headers)
                    if answer.status_code == 200:
                        self.accepted[key] = answer.json()["id"]


def watch_live(url: str, pictures: int) -> None:
    """Watch a video through Ray Serve's proxy, and change its sentence on the way."""
    connect = pytest.importorskip("websockets.sync.client", reason="websockets is missing").connect
    with connect(f"{url.replace('http', 'ws')}/v1/videos/live", open_timeout=60) as socket:
        socket.send(json.dumps({"prompt": "a red ball"}))
        for number in range(pictures):
            assert socket.recv(60)[:1] == b"\x01"
            if number == 1:
                socket.send(json.dumps({"prompt": "a blue cube"}))


@pytest.mark.slow
def test_kills_of_a_replica_and_of_the_queue_lose_nothing_that_was_accepted(tmp_path, model_folder):
    pytest.importorskip("ray.serve", reason="the extra 'ray' is not installed")
    server = RayServer(tmp_path, model_folder)
    try:
        server.wait_for(workers=2, deaths=0)
        watch_live(str(server.client.base_url).rstrip("/"), pictures=12)
        crowd = [PatientClient(server, number) for number in range(4)]
        queue = VideoQueue(Database(tmp_path))
        while queue.counts()["in_progress"] < 2:
            time.sleep(0.05)
        os.kill(server.replicas("Model")[0], signal.SIGKILL)
        server.wait_for(workers=2, deaths=1)
        (front,) = server.replicas("Server")
        os.kill(front, signal.SIGKILL)
        while front in server.replicas("Server"):
            time.sleep(0.1)
        server.wait_for(workers=2, deaths=0)
        for client in crowd:
            client.stopping.set()
        for client in crowd:
            client.join(90)
        accepted = {key: name for client in crowd for key, name in client.accepted.items()}
        assert len(accepted) > 4
        wait_for_all(queue, 300)
        check_delivered(tmp_path, accepted)
    finally:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(120) == 0
