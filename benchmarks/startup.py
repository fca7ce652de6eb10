"""How long people wait for the command line: for help, for a mistake, for the first picture.

    python benchmarks/startup.py
    python benchmarks/startup.py --python OLD/.venv/bin/python --python NEW/.venv/bin/python

Every row is a process of its own, watched from outside. The first picture is there when `sample`
opens the file of its video, which it does when it has decoded the first frame. All rows of all
interpreters take turns, and a ratio is the median of the ratios of single rounds, so that what else
the machine does slows both of its sides alike. Beside the time that passes stands that of the
processor, which other work hardly changes. Linux only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import NamedTuple

TORCH = "import torch"
PICTURE = "first picture of nine frames"
ALL = "all nine frames, written"
SAMPLE = ["sample", "a red ball rolls to the left", "--frames", "9", "--seed", "0", "--out"]
WORDS = {
    "--help": ["--help"],
    "sample --help": ["sample", "--help"],
    "evaluate --help": ["evaluate", "--help"],
    "--version": ["--version"],
    "a mistake in an argument": ["sample", "a red ball", "--frames", "many"],
}
LOOK_SECONDS = 0.002  # how often it is looked whether the file is there
ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT  # asks whether a process has, and leaves it there


class Seconds(NamedTuple):
    passed: float
    processor: float


def watch(arguments: list[str], folder: str | None = None) -> tuple[Seconds, Seconds]:
    """When there was a file in the folder, and when the process ended."""
    begin = time.perf_counter()
    first: Seconds | None = None
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while folder and not first and not os.waitid(os.P_PID, process.pid, ENDED):
        if os.listdir(folder):
            first = Seconds(time.perf_counter() - begin, processor_seconds(process.pid))
        time.sleep(LOOK_SECONDS)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    end = Seconds(time.perf_counter() - begin, processor_seconds(process.pid))
    if process.wait() and folder:
        raise SystemExit(f"{' '.join(arguments)} failed")
    return first or end, end


def processor_seconds(pid: int) -> float:
    """What a process has used of the processor so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def turn(python: str) -> dict[str, Seconds]:
    """Every row, once."""
    command = str(Path(python).with_name("kinetoscope"))
    seconds = {TORCH: watch([python, "-c", TORCH])[1]}
    with tempfile.TemporaryDirectory() as folder:
        seconds[PICTURE], seconds[ALL] = watch([command, *SAMPLE, f"{folder}/clip.mp4"], folder)
    for name, words in WORDS.items():
        seconds[name] = watch([command, *words])[1]
    return seconds


def table(rounds: list[dict[str, Seconds]]) -> str:
    lines = ["| what | seconds | of `import torch` | processor seconds | of `import torch` |"]
    lines.append("|---|---|---|---|---|")
    for name in rounds[0]:
        cells = []
        for kind in range(len(Seconds._fields)):
            cells.append(statistics.median(each[name][kind] for each in rounds))
            cells.append(statistics.median(each[name][kind] / each[TORCH][kind] for each in rounds))
        lines.append(f"| {name} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--python",
        action="append",
        metavar="PATH",
        help="an interpreter whose kinetoscope is timed; may be given several times",
    )
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    pythons = list(dict.fromkeys(args.python or [sys.executable]))
    for python in pythons:  # files are in the machine's memory from here on
        turn(python)
    rounds: dict[str, list[dict[str, Seconds]]] = {python: [] for python in pythons}
    for index in range(args.rounds):
        for python in pythons if index % 2 else pythons[::-1]:
            rounds[python].append(turn(python))
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    print(f"medians of {args.rounds} rounds, {date.today()}, OMP_NUM_THREADS {threads}")
    for python in pythons:
        print(f"\n{python}\n\n{table(rounds[python])}", flush=True)


if __name__ == "__main__":
    main()
