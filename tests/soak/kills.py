"""Kills a command at random moments, or fills its disk, and runs it again: what stands under a name
is whole, and in the end everything is as if nothing had happened.

    python kills.py COMMAND FOLDER SIGTERM|SIGKILL|SIGTERM,SIGKILL|ENOSPC COUNT SEED

FOLDER holds the inputs; COUNT is that of each signal. Prints a JSON object: how the tries ended,
how many were stopped while a file was being written, and everything that was wrong.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tries import (
    Ended,
    begins,
    broken_checkpoints,
    content,
    fresh_fork_server,
    import_all,
    in_fork,
    meaning,
    parts,
    start,
    temporary,
    wait,
)

MODEL, PARTS = "../inputs/model", "../inputs/parts"
# Words without blanks in them, as in a shell.
TRAINER = """--trainer.default_root_dir=runs --trainer.accelerator=cpu --trainer.precision=32-true
    --trainer.max_steps=6 --trainer.callbacks.every_n_train_steps=2
    --trainer.enable_progress_bar=false --trainer.enable_model_summary=false
    --trainer.val_check_interval=null --trainer.limit_val_batches=0 --data.root=../inputs/films
    --data.size=16 --data.frames=5 --model.export_dir=model"""
TEXTS = {
    "prepare": f"""prepare ../inputs/films shards --tokenizer {MODEL}/tokenizer --text {MODEL}/text
        --size 16 --videos-per-shard 2 --workers 1""",
    "fit-tokenizer": f"""fit-tokenizer --config ../inputs/tokenizer.yaml {TRAINER}
        --data.batch_size=2 --model.init_from={PARTS}/tokenizer --model.whitening_batches=2""",
    "fit-generator": f"""fit-generator --config ../inputs/generator.yaml {TRAINER}
        --data.rounds=1 --data.stages=[{{"steps":9,"latents":2,"batch_size":2}}]
        --data.cache_dir=tokens --model.tokenizer={PARTS}/tokenizer --model.text={PARTS}/text
        --model.grid=[2,2] --model.size.dim=16 --model.size.heads=1 --model.size.kv_heads=1
        --model.size.layers=1 --model.samples_every=0 --model.warmup_steps=1""",
    "sample": f"""sample ball cube --out videos --seed 1 --frames 13 --scale 3 --grid-out grid.mp4
        --model {MODEL}""",
    "encode": f"encode ../inputs/films --out codes --tokenizer {MODEL}/tokenizer",
    "decode": f"decode ../inputs/codes --out videos --scale 2 --tokenizer {MODEL}/tokenizer",
    "reconstruct": f"""reconstruct ../inputs/films --out videos --scale 2
        --tokenizer {MODEL}/tokenizer""",
    "reconstruct-one": f"""reconstruct ../inputs/films/0.mp4 --out video.mp4 --scale 2
        --tokenizer {MODEL}/tokenizer""",
}
COMMANDS = {name: text.split() for name, text in TEXTS.items()}
KEPT = ("sample", "reconstruct-one")  # Ctrl-C keeps the frames that were made so far
# 75 says that a training run has a checkpoint to go on from.
ENDS = {signal.SIGTERM: (0, 130, 75), signal.SIGKILL: (0, -9)}
MOST_WRITING = 0.002  # seconds between the sight of a file that is being written and a kill
MORE_BYTES = 256 << 10  # of a full disk, beyond what the command writes


class Tries:
    """The tries of one command: `work` is its folder, `scratch` holds what it says and what is
    temporary, `whole` what an undisturbed run makes."""

    def __init__(self, name: str, root: Path, seed: int) -> None:
        self.name = name
        self.words = COMMANDS[name]
        self.work = root / "work"
        self.scratch = root / "scratch"
        self.whole = root / "whole"
        self.dice = random.Random(seed)
        self.wrong: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.writing = 0
        (self.scratch / "tmp").mkdir(parents=True)
        self.whole.mkdir()
        first = import_all(self.words, self.whole, self.scratch)
        assert first.status == 0, first.said[-2000:]
        self.wanted = in_fork(content, self.whole)
        self.work.mkdir()
        self.settle("an undisturbed run", self.run())
        self.empty(old=False)
        begin = time.monotonic()  # the first one found nothing in the caches of the machine
        self.run()
        self.seconds = time.monotonic() - begin

    # ---- one try ----

    def run(self, *more: str) -> Ended:
        return wait(start([*self.words, *more], self.work, self.scratch), self.scratch)

    def empty(self, old: bool) -> None:
        """Make the folder anew; `old`: with what an earlier run of other settings has left."""
        for path in self.work.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name in self.wanted if old else ():
            if name.endswith((".mp4", ".safetensors")) and not self.name.startswith("fit"):
                (self.work / name).parent.mkdir(parents=True, exist_ok=True)
                (self.work / name).write_bytes(b"old")

    def check_stopped(self, what: str, ended: Ended, leaves: bool) -> None:
        """After a try: nothing is half; only a process that was killed leaves files behind."""
        self.statuses[ended.status] += 1
        left = [str(path) for path in (*parts(self.work), *temporary(self.scratch))]
        if left and not leaves:
            self.wrong.append(f"{what}: left {left}")
        if "Traceback" in ended.said:
            self.wrong.append(f"{what}: a traceback: {ended.said[-1500:]}")
        self.wrong += [f"{what}: {line}" for line in in_fork(broken_checkpoints, self.work)]
        for path in sorted(self.work.rglob("*")):
            name = path.relative_to(self.work).as_posix()
            if name in self.wanted and ".part" not in name and not self.is_whole(path, name):
                self.wrong.append(f"{what}: '{name}' is half written")

    def is_whole(self, path: Path, name: str) -> bool:
        if path.read_bytes() == b"old" or path.name in ("manifest.json", "skipped.csv"):
            return True  # of a table in the middle of a run: it is written as a whole
        if name.endswith(".ckpt"):
            return True  # checked by itself
        if in_fork(meaning, path) == self.wanted[name]:
            return True
        if self.name.startswith("fit"):  # an export of an earlier step
            return True
        return self.name in KEPT and in_fork(begins, path, self.whole / name)

    def settle(self, what: str, ended: Ended) -> None:
        """After the run that goes on to the end: everything is there, and nothing else."""
        if ended.status or "Traceback" in ended.said:
            self.wrong.append(f"{what}: then {ended.status}: {ended.said[-1500:]}")
            return
        found = in_fork(content, self.work)
        for name in sorted(found.keys() | self.wanted.keys()):
            if found.get(name) != self.wanted.get(name):
                state = "missing" if name not in found else "surplus or other than it should be"
                self.wrong.append(f"{what}: in the end '{name}' is {state}")
        left = [*parts(self.work), *temporary(self.scratch)]
        if left:
            self.wrong.append(f"{what}: in the end {[str(path) for path in left]} are left")

    @property
    def going_on(self) -> list[str]:
        return ["--ckpt_path=last"] if self.name.startswith("fit") else []

    # ---- kills ----

    def kill(self, number: signal.Signals, turn: int) -> None:
        """Two of three moments are those in which the next file is being written."""
        self.empty(old=turn % 4 == 0)
        is_writing = turn % 3 != 0
        moment = self.dice.random() * self.seconds * (0.8 if is_writing else 1.0)
        child = start(self.words, self.work, self.scratch)
        begin = time.monotonic()
        while time.monotonic() - begin < moment:
            time.sleep(0.001)
        while is_writing and not parts(self.work) and is_running(child):
            time.sleep(0.0005)
        time.sleep(self.dice.random() * MOST_WRITING if is_writing else 0)
        what = f"{number.name} after {time.monotonic() - begin:.2f} of {self.seconds:.2f} s"
        self.writing += bool(parts(self.work)) and is_running(child)
        os.kill(child, number)
        ended = wait(child, self.scratch)
        fresh_fork_server()
        if ended.status not in ENDS[number]:
            self.wrong.append(f"{what}: status {ended.status}: {ended.said[-1500:]}")
        self.check_stopped(what, ended, leaves=number == signal.SIGKILL)
        self.settle(what, self.run(*self.going_on))

    # ---- a full disk ----

    def fill(self, turn: int, size: int) -> None:
        self.empty(old=False)
        free = int(self.dice.random() * size)
        filler = self.work.parent / "filler"
        room = os.statvfs(filler.parent)
        filler.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - free)))
        what = f"a disk with {free} of {size} bytes free"
        ended = self.run()
        filler.unlink()
        self.writing += ended.status == 2
        self.check_stopped(what, ended, leaves=False)
        lines = [line for line in ended.said.splitlines() if "No space left" in line]
        if ended.status != 0 and (ended.status != 2 or len(lines) != 1 or "a file:" in lines[0]):
            self.wrong.append(f"{what}: {ended.status}, {ended.said[-1500:]}")
        self.settle(what, self.run(*self.going_on))


def is_running(number: int) -> bool:
    return Path(f"/proc/{number}/stat").read_text().split(")")[-1].split()[0] != "Z"


@contextmanager
def small_disk(tries: Tries) -> Iterator[int]:
    """The folder of a command on a disk that has little more room than it needs."""
    sizes = [path.stat().st_size for path in tries.whole.rglob("*") if path.is_file()]
    size = sum(-(-each // 4096) * 4096 for each in sizes)
    disk = tries.work.parent / "disk"
    disk.mkdir()
    options = f"size={2 * size + MORE_BYTES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(disk)], check=True)
    tries.work = disk / "work"
    tries.work.mkdir()
    os.symlink(tries.work.parent.parent / "inputs", disk / "inputs")
    yield size


def main(name: str, root: Path, how: str, count: int, seed: int) -> dict[str, Any]:
    tries = Tries(name, root, seed)
    if how == "ENOSPC":
        with small_disk(tries) as size:
            for turn in range(count):
                tries.fill(turn, size)
    else:
        for name_of_signal in how.split(","):
            for turn in range(count):
                tries.kill(signal.Signals[name_of_signal], turn)
    told = {"command": name, "how": how, "seconds": round(tries.seconds, 2), "tries": count}
    return told | {
        "statuses": {str(status): n for status, n in sorted(tries.statuses.items())},
        "while writing": tries.writing,
        "wrong": tries.wrong,
    }


if __name__ == "__main__":
    name, folder, how, count, seed = sys.argv[1:]
    print(json.dumps(main(name, Path(folder).resolve(), how, int(count), int(seed))))
