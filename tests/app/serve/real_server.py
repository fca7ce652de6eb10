"""A server as the command line starts it, in processes that can be killed."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx


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
def running(folder: Path, model: str, *options: str) -> Iterator[RealServer]:
    """A server that is ready, and is stopped at the end."""
    server = RealServer(folder, model, *options)
    server.start()
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()
