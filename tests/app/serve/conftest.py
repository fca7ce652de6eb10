"""Servers of a debug model: in this process, with a thread as their worker, or as the command line
starts them, in processes that can be killed."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import pytest
from kinetoscope.app.provenance.options import Disclosure
from kinetoscope.generator import VideoGenerator

pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")

from kinetoscope.app.serve.application import create_app  # noqa: E402
from kinetoscope.app.serve.main import ImpatientProtocol  # noqa: E402
from kinetoscope.app.serve.server_state import ServerState  # noqa: E402
from kinetoscope.app.serve.settings import ServeSettings  # noqa: E402
from kinetoscope.app.serve.workers import pool  # noqa: E402
from kinetoscope.app.serve.workers.worker import Worker  # noqa: E402

PLAIN = Disclosure(no_credentials=True, no_watermark=True)


@pytest.fixture(scope="session")
def model_folder(generator: VideoGenerator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "debug-8"
    generator.save_pretrained(folder, half=False)
    return folder


@pytest.fixture
def make_settings(model_folder: Path, tmp_path: Path) -> Callable[..., ServeSettings]:
    def make(**options: Any) -> ServeSettings:
        usual: dict[str, Any] = {
            "folder": str(tmp_path / "serve"),
            "model": str(model_folder),
            "workers": 1,
            "grace": 5.0,
            "disclosure": PLAIN,
        }
        return ServeSettings(**usual | options)

    return make


class WorkerThread(threading.Thread):
    """Looks like a process to the pool."""

    pid = 0
    exitcode = 0

    def __init__(self, settings: ServeSettings, name: str, threads: int, pipe: Connection) -> None:
        # the pool closes its copy of the pipe's end, which here is the only one
        self.pipe = Connection(_copy(pipe))
        super().__init__(target=self._work, args=(settings, name), daemon=True)
        self.start()

    def _work(self, settings: ServeSettings, name: str) -> None:
        try:
            Worker(settings, name, self.pipe).run()
        except (EOFError, OSError):
            pass
        finally:
            self.pipe.close()

    def kill(self) -> None:
        return


def _copy(pipe: Connection) -> int:
    return os.dup(pipe.fileno())


@dataclass
class Running:
    """A server that listens."""

    url: str
    state: ServerState
    client: httpx.Client
    port: int

    def make(self, prompt: str = "a red ball rolls", **fields: Any) -> dict[str, Any]:
        """Ask for a video."""
        answer = self.client.post("/v1/videos", json={"prompt": prompt, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait(self, video_id: str, seconds: float = 60) -> dict[str, Any]:
        """The video when it is completed or failed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            video = self.client.get(f"/v1/videos/{video_id}").json()
            if video["status"] in ("completed", "failed"):
                return video
            time.sleep(0.05)
        raise AssertionError(f"still {video['status']} after {seconds} seconds")


@pytest.fixture
def run_server(
    make_settings: Callable[..., ServeSettings], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Running]]:
    """Starts a server; settings can be overridden."""
    monkeypatch.setattr(pool, "start_process", WorkerThread)
    started: list[tuple[Any, threading.Thread, httpx.Client]] = []

    def run(**options: Any) -> Running:
        make_pool = options.pop("make_pool", pool.WorkerPool)
        app = create_app(make_settings(**options), make_pool=make_pool)
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        config = uvicorn.Config(
            app, http=ImpatientProtocol, log_config=None, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{port}"
        client = httpx.Client(base_url=url, timeout=180)
        started.append((server, thread, client))
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                if client.get("/readyz").status_code == 200:
                    break
            except httpx.ConnectError:
                pass
            time.sleep(0.05)
        return Running(url, app.state.server, client, port)

    yield run
    for server, thread, client in started:
        client.close()
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def server(run_server: Callable[..., Running]) -> Running:
    return run_server()


# ---- in processes of their own ----


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class RealServer:
    """`kinetoscope serve` in a folder. It can be started again after a kill, on the same port."""

    def __init__(self, folder: Path, model: str, *options: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        words = ["serve", "--folder", str(folder), "--port", str(self.port), "--model", model]
        marks = ["--no-credentials", "--no-watermark", "--grace", "0"]
        self.command = [sys.executable, "-m", "kinetoscope.app.cli.main", *words, *marks, *options]
        self.process: subprocess.Popen[str] | None = None
        self.events: list[dict[str, Any]] = []

    def start(self) -> None:
        process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True)
        self.process = process
        threading.Thread(target=self._hear, args=(process,), daemon=True).start()

    def _hear(self, process: subprocess.Popen[str]) -> None:
        for line in process.stderr or ():
            with contextlib.suppress(ValueError):
                self.events.append(json.loads(line))

    def wait_until_ready(self, seconds: float = 300) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return
            time.sleep(0.2)
        raise AssertionError(f"the server is not ready after {seconds} seconds")

    def workers(self) -> list[int]:
        """Numbers of the processes that draw now."""
        started = [each["pid"] for each in self.events if each["event"] == "worker started"]
        return [pid for pid in started if Path(f"/proc/{pid}").exists()]

    def memory(self) -> int:
        """Bytes that the server and its workers hold."""
        total = 0
        for pid in [self.process.pid if self.process else 0, *self.workers()]:
            with contextlib.suppress(OSError):
                pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
                total += int(pages) * os.sysconf("SC_PAGE_SIZE")
        return total

    def kill(self) -> None:
        """At once, as when the power goes."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextlib.contextmanager
def real_server(folder: Path, model: str, *options: str) -> Iterator[RealServer]:
    """A server that is ready, and is stopped at the end."""
    server = RealServer(folder, model, *options)
    server.start()
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()


@pytest.fixture
def running() -> Callable[..., contextlib.AbstractContextManager[RealServer]]:
    """`running(folder, model, *options)` is a context with a server that is ready."""
    return real_server
