"""A function that is run in a process of its own, with a limit on memory, time, open files and what
it may write, and that gives back tensors."""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files.tensors import load_tensors, save_tensors
from ..generator.conditions.base import Say

if TYPE_CHECKING:
    from torch import Tensor

Read = Callable[..., Mapping[str, "Tensor"]]


@dataclass(frozen=True)
class Limits:
    """What decoding may take.

    Args:
        seconds: from its beginning on.
        memory: bytes, beside what a process has at its beginning.
    """

    seconds: float = 60.0
    memory: int = 2 * 10**9


def run_apart(
    read: Read,
    arguments: tuple[Any, ...],
    limits: Limits,
    out: Path | None = None,
    say: Say = print,
) -> dict[str, Any]:
    """Call a function of a module in a process of its own, with `say` as its last argument, and
    get the tensors that it returns.

    Raises:
        ValueError: it could not, or not within the limits.
    """
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "values.safetensors" if out is None else out
        message = _answer(read, arguments, limits, kept, say)
        if message:
            raise ValueError(message)
        return dict(load_tensors(kept)[0])


def _answer(read: Read, arguments: tuple[Any, ...], limits: Limits, out: Path, say: Say) -> str:
    """Run the process; what went wrong, or nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([read.__module__, "kinetoscope.data.video"])
    (mine, its) = context.Pipe(duplex=False)
    given = (read, arguments, str(out), limits, its)
    child = context.Process(target=_work, args=given, daemon=True)
    child.start()
    its.close()
    try:
        if not mine.poll(limits.seconds):
            return "it took too long to read"
        (message, told) = mine.recv()
    except EOFError:
        return "it could not be read within the limits of this server"
    finally:
        child.kill()
        child.join()
        child.close()
        mine.close()
    for line in told:
        say(line)
    return str(message)


def _work(
    read: Read, arguments: tuple[Any, ...], out: str, limits: Limits, answer: Connection
) -> None:
    """Run in a process of its own: answer with what went wrong, or with nothing, and with what
    was said."""
    _limit(limits)
    told: list[str] = []
    try:
        tensors = read(*arguments, told.append)
        save_tensors(out, {name: value.contiguous() for name, value in tensors.items()})
        answer.send(("", told))
    except MemoryError:
        answer.send(("it needs more memory than this server gives it", []))
    except Exception as error:
        answer.send((" ".join(str(error).split())[:300] or "it cannot be read", []))


def _limit(limits: Limits) -> None:
    """What this process may use from now on."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + limits.memory
    seconds = int(limits.seconds) + 1
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
