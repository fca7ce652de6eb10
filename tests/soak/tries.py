"""Commands in processes that are forked from one that has imported everything: each try costs the
command alone, not the start of Python and torch.

The process that forks must never run a second thread, so whatever computes is done in a fork.
"""

import contextlib
import hashlib
import importlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NamedTuple

SECONDS = 300  # after which a command hangs
FORK_SERVER: Any = forkserver._forkserver


class Ended(NamedTuple):
    """How a command ended (a status below 0 is a signal), and what it said on standard error."""

    status: int
    said: str


def run_command(words: list[str]) -> int:
    """The command line, or the training of a model where the first word is `fit-…`."""
    sys.argv = ["kinetoscope", *words]
    if not words[0].startswith("fit-"):
        from kinetoscope.app.cli.main import main

        return main(words)
    from kinetoscope.generator.training.module import GeneratorModule
    from kinetoscope.tokenizer.training.module import TokenizerModule
    from kinetoscope.training.cli import run

    module = GeneratorModule if words[0] == "fit-generator" else TokenizerModule
    run(module, ["fit", *words[1:]])
    return 0


def start(words: list[str], folder: Path, scratch: Path, told: int = -1) -> int:
    """Fork a process that runs a command in `folder`; its number. What it says goes to files in
    `scratch`; `told` is a pipe that takes the names of the modules that it has imported."""
    assert len(os.listdir("/proc/self/task")) == 1
    number = os.fork()
    if number:
        return number
    status = 70
    try:
        os.chdir(folder)
        os.environ["TMPDIR"] = tempfile.tempdir = str(scratch / "tmp")
        for stream, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(scratch / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 (until the process ends)
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        FORK_SERVER.ensure_running = lambda: None  # that of the parent, which may be asked, too
        status = run_command(words)
    except SystemExit as left:
        status = int(left.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if told >= 0:
            os.write(told, json.dumps(sorted(sys.modules)).encode())
        os._exit(status)


def wait(number: int, scratch: Path) -> Ended:
    """Until the process has ended."""
    end = time.monotonic() + SECONDS
    while True:
        ended, status = os.waitpid(number, os.WNOHANG)
        if ended:
            said = (scratch / "err").read_text(errors="replace")
            return Ended(os.waitstatus_to_exitcode(status), said)
        if time.monotonic() > end:
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)
            raise TimeoutError(f"hangs; it said: {(scratch / 'err').read_text()[-500:]}")
        time.sleep(0.001)


def import_all(words: list[str], folder: Path, scratch: Path) -> Ended:
    """Run a command once, then import what it has imported, so that later ones need not."""
    import torch

    torch.set_num_threads(1)
    FORK_SERVER.set_forkserver_preload(["kinetoscope.data.video.workers"])
    FORK_SERVER.ensure_running()
    listen, tell = os.pipe()
    number = start(words, folder, scratch, tell)
    os.close(tell)
    with open(listen) as file:
        names = json.loads(file.read() or "[]")
    ended = wait(number, scratch)
    for name in names:
        with contextlib.suppress(Exception):  # what lies below a name that is no module
            importlib.import_module(name)
    return ended


def fresh_fork_server() -> None:
    """After a kill: a fork server dies with a client that vanishes in the middle of a request.
    Outside these tests every command has one of its own."""
    FORK_SERVER._stop()
    FORK_SERVER.ensure_running()


def in_fork(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function gives when it is called in a process of its own, as JSON carries it."""
    listen, tell = os.pipe()
    number = os.fork()
    if number == 0:
        os.close(listen)
        status = 1
        try:
            with open(tell, "w") as file:
                json.dump(function(*arguments), file)
            status = 0
        finally:
            os._exit(status)
    os.close(tell)
    with open(listen) as file:
        answer = file.read()
    _, status = os.waitpid(number, 0)
    assert status == 0, f"{function.__name__} of {arguments} failed"
    return json.loads(answer)


# ---- what lies in a folder ----


def parts(folder: Path) -> list[Path]:
    """Files and folders that are being written, or were left so."""
    found = []
    for root, folders, files in os.walk(folder):
        found += [Path(root, name) for name in (*folders, *files) if name.endswith(".part")]
    return found


def temporary(scratch: Path) -> list[Path]:
    """What lies where commands keep what is temporary, but for what torch keeps there for later."""
    return [path for path in (scratch / "tmp").iterdir() if "torchinductor" not in path.name]


def content(folder: Path) -> dict[str, str]:
    """The files that a command is asked for, each by a hash of what it means: of a video its
    frames, since every signature is another one, of a checkpoint its weights, of the rest its
    bytes. Logs and locks are left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        is_log = "lightning_logs" in name or path.name in ("lock", ".lock", "config.yaml")
        if path.is_file() and not is_log and not path.name.startswith("stopped-step="):
            found[name] = meaning(path)
    return found


def meaning(path: Path) -> str:
    if path.suffix == ".mp4":
        from kinetoscope.data.video import read_clip

        return hashlib.sha256(read_clip(path).video.numpy().tobytes()).hexdigest()
    if path.suffix == ".ckpt":
        import torch

        weights = torch.load(path, weights_only=True)["state_dict"]
        named = [(name, tensor.tolist()) for name, tensor in sorted(weights.items())]
        return hashlib.sha256(repr(named).encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def broken_checkpoints(folder: Path) -> list[str]:
    from kinetoscope.training.checkpoints import damage

    return [f"{path}: {damage(path)}" for path in folder.rglob("*.ckpt") if damage(path)]


def begins(short: Path, whole: Path) -> bool:
    """Whether a video is the beginning of another one, but for what compression changes."""
    from kinetoscope.data.video import read_clip

    some = read_clip(short).video.float()
    more = read_clip(whole).video.float()
    is_shorter = some.shape[1] <= more.shape[1]
    return is_shorter and float((some - more[:, : some.shape[1]]).abs().mean()) < 8
