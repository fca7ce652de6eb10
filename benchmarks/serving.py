"""Frames a second of `kinetoscope serve`, by clients and by how its workers share the machine.

    python benchmarks/serving.py --clients 1 4 16 --plans 1x1 1x8 2x1 2x8

A plan is WORKERSxBATCH: 1x1 draws one video after another with all cores, 1x8 draws eight in one
batch, 2x1 gives each of two processes a core. Every client asks for a video, waits for it, and asks
for the next one. The plans take turns, `--rounds` times, and the medians are printed with the ratio
to the first plan. The processor time of the workers stands beside the time on the clock, which says
little on a machine that others use.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

PROMPTS = (
    "a red ball rolls to the left",
    "a blue cube falls",
    "a green cone slides to the right",
    "a yellow ball bounces",
)
TICKS = os.sysconf("SC_CLK_TCK")


def ask(url: str, body: dict[str, object] | None = None) -> dict[str, object]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(url, data, headers), timeout=60) as answer:
        return json.load(answer)


@contextmanager
def server(model: str, workers: int, batch: int) -> Iterator[tuple[str, list[int]]]:
    """The address of a server, and the numbers of the processes that draw."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "kinetoscope.app.cli.main", "serve"]
        command += ["--folder", folder, "--port", "0", "--model", model, "--grace", "0"]
        command += ["--workers", str(workers), "--batch", str(batch)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        url = process.stderr.readline().split()[0]
        pids: list[int] = []
        ready = 0
        while ready < workers:
            event = json.loads(process.stderr.readline())
            ready += event["event"] == "worker ready"
            if event["event"] == "worker started":
                pids.append(event["pid"])
        threading.Thread(target=process.stderr.read, daemon=True).start()
        try:
            yield url, pids
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def processor_seconds(pids: list[int]) -> float:
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as file:
            words = file.read().rpartition(")")[2].split()
        total += int(words[11]) + int(words[12])
    return total / TICKS


def client(url: str, number: int, pause: float, videos: int, frames: int) -> None:
    for turn in range(videos):
        prompt = PROMPTS[(number + turn) % len(PROMPTS)]
        made = ask(f"{url}/videos", {"prompt": prompt, "frames": frames, "seed": number})
        while ask(f"{url}/videos/{made['id']}")["status"] in ("queued", "in_progress"):
            time.sleep(pause)


def measure(url: str, pids: list[int], clients: int, videos: int, frames: int) -> tuple[float, ...]:
    """Frames a second, and processor seconds for 100 frames."""
    pause = 0.025 * clients  # all of them ask 40 times a second, which takes little of the machine
    before = processor_seconds(pids)
    begin = time.monotonic()
    threads = [
        threading.Thread(target=client, args=(url, number, pause, videos, frames))
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = clients * videos * frames
    seconds = time.monotonic() - begin
    return total / seconds, 100 * (processor_seconds(pids) - before) / total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="physics-64")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--plans", nargs="+", default=["1x1", "1x8", "2x1", "2x8"])
    parser.add_argument("--videos", type=int, default=2, help="of each client")
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"{options.model}, {cores} cores, videos of {options.frames} frames\n", flush=True)
    measured: dict[tuple[str, int], list[tuple[float, ...]]] = {}
    for _ in range(options.rounds):
        for plan in options.plans:
            (workers, batch) = map(int, plan.split("x"))
            with server(options.model, workers, batch) as (url, pids):
                measure(url, pids, workers, 1, 5)  # what is done once
                for clients in options.clients:
                    numbers = measure(url, pids, clients, options.videos, options.frames)
                    measured.setdefault((plan, clients), []).append(numbers)
                    print(".", end="", flush=True)
    print("\n\n| workers x batch | clients | frames/s | ratio | processor seconds for 100 frames |")
    print("|---|---|---|---|---|")
    for (plan, clients), numbers in measured.items():
        rate, work = (statistics.median(column) for column in zip(*numbers))
        first, _ = (statistics.median(c) for c in zip(*measured[options.plans[0], clients]))
        print(f"| {plan} | {clients} | {rate:.1f} | {rate / first:.2f} | {work:.2f} |")


if __name__ == "__main__":
    main()
