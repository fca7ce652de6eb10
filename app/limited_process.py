"""A function that is run in a process of its own, with a limit on memory, time, open files and what
it may write, and that gives back tensors.

    values = run_apart(read, (path,), Limits())           # read(path, say) returns tensors by name
    for tensors in stream_apart(each, (path,), Limits()): ...  # each(path) yields them

What comes back is JSON and safetensors, never a pickle: a process whose decoder was taken over
must not reach this one.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files.tensors import load_tensors, save_tensors
from ..generator.conditions.base import Say

if TYPE_CHECKING:
    from torch import Tensor

Read = Callable[..., Mapping[str, "Tensor"]]
ReadEach = Callable[..., Iterator[Mapping[str, "Tensor"]]]
TENSORS = b"\1"  # what a message begins with that holds tensors; the last one holds a mistake
LAST = b"\0"
MOST_TOLD = 1 << 20  # bytes of what a process says in words
DIED = "it could not be read within the limits of this server"
TOO_LONG = "it took too long to read"


@dataclass(frozen=True)
class Limits:
    """What decoding may take.

    Args:
        seconds: from its beginning on; of a stream, for each of its pieces.
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


def stream_apart(
    read: ReadEach, arguments: tuple[Any, ...], limits: Limits
) -> Iterator[dict[str, Tensor]]:
    """Call a function of a module in a process of its own, and get the tensors that it yields, each
    when it is asked for. The process ends with this iterator.

    Raises:
        ValueError: it could not, or not within the limits.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    child, mine = _started(_work_each, read, (read, arguments, limits))
    try:
        while True:
            if not mine.poll(limits.seconds):
                raise ValueError(TOO_LONG)
            content = mine.recv_bytes(limits.memory)
            if content[:1] != TENSORS:
                break
            yield load(content[1:])
        message = content[1:].decode(errors="replace")
        if message:
            raise ValueError(message)
    except (EOFError, OSError, SafetensorError):
        raise ValueError(DIED) from None
    finally:
        _end(child, mine)


def _started(
    work: Callable[..., None], read: Callable[..., Any], given: tuple[Any, ...]
) -> tuple[BaseProcess, Connection]:
    """A process that does `work` with what is given and with its end of a pipe, and ours."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([read.__module__, "kinetoscope.data.video"])
    (mine, its) = context.Pipe(duplex=False)
    child = context.Process(target=work, args=(*given, its), daemon=True)
    child.start()
    its.close()
    return child, mine


def _end(child: BaseProcess, mine: Connection) -> None:
    child.kill()
    child.join()
    child.close()
    mine.close()


def _answer(read: Read, arguments: tuple[Any, ...], limits: Limits, out: Path, say: Say) -> str:
    """Run the process; what went wrong, or nothing."""
    child, mine = _started(_work, read, (read, arguments, str(out), limits))
    try:
        if not mine.poll(limits.seconds):
            return TOO_LONG
        (message, told) = json.loads(mine.recv_bytes(MOST_TOLD))
    except (EOFError, OSError, ValueError):
        return DIED
    finally:
        _end(child, mine)
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
        message = ""
    except Exception as error:
        message = _mistake(error)
    answer.send_bytes(json.dumps([message, [] if message else told]).encode())


def _work_each(
    read: ReadEach, arguments: tuple[Any, ...], limits: Limits, answer: Connection
) -> None:
    """The same for a stream."""
    from safetensors.torch import save

    _limit(limits, is_stream=True)
    try:
        for tensors in read(*arguments):
            whole = {name: value.contiguous() for name, value in tensors.items()}
            answer.send_bytes(TENSORS + save(whole))
        message = ""
    except Exception as error:
        message = _mistake(error)
    answer.send_bytes(LAST + message.encode())


def _mistake(error: Exception) -> str:
    """What went wrong, in a line."""
    if isinstance(error, MemoryError):
        return "it needs more memory than this server gives it"
    return " ".join(str(error).split())[:300] or "it cannot be read"


def _limit(limits: Limits, is_stream: bool = False) -> None:
    """What this process may use from now on. A stream may be long: who reads it counts its time."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + limits.memory
    seconds = int(limits.seconds) + 1
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    if not is_stream:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
