"""Files that others send, decoded in a process that may die.

The process has a limit on memory, time, open files and what it may write. What it reads becomes
tensors, which is all that anybody else opens.

    ending = file_ending(content)  # ".png"; None for what is no picture, video or sound
    values = decode_apart({"init": "uploads/0.png"}, Canvas(64, 64, 12, 33, 4), Limits())
"""

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
from ..generator.conditions import Canvas
from ..generator.conditions.base import Say
from .fields import parse_values

if TYPE_CHECKING:
    from torch import Tensor

STARTS = {  # what the name of a file of this kind ends in: offset and first bytes
    ".png": (0, b"\x89PNG\r\n\x1a\n"),
    ".jpg": (0, b"\xff\xd8\xff"),
    ".gif": (0, b"GIF8"),
    ".avif": (4, b"ftypavi"),
    ".mp4": (4, b"ftyp"),
    ".webm": (0, b"\x1a\x45\xdf\xa3"),
    ".webp": (8, b"WEBP"),
    ".wav": (8, b"WAVE"),
    ".flac": (0, b"fLaC"),
    ".ogg": (0, b"OggS"),
    ".mp3": (0, b"ID3"),
}
MOST_START = 16  # bytes that `file_ending` looks at
SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
THE_FILE = "the file"
HEARD = 1.0  # seconds of a sound that a first look reads

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


def file_ending(content: bytes) -> str | None:
    """What the name of a file of this content should end in, such as ".png"; None for a file that
    is no picture, video or sound that is known here."""
    for ending, (at, start) in STARTS.items():
        if content[at : at + len(start)] == start:
            return ending
    return None


def decode_apart(
    texts: Mapping[str, str],
    canvas: Canvas,
    limits: Limits,
    out: Path | None = None,
    say: Say = print,
    names: Mapping[str, str] = {},
) -> dict[str, Any]:
    """What `parse_values` gives for conditions that are files.

    Args:
        texts: the paths of the files, by the names of the conditions.
        canvas, say: as for `parse_values`.
        out: a file that the values are kept in; none by default.
        names: what to call a file in an error and to `say`; "the file" by default.

    Raises:
        ValueError: in one line that begins with the name of the field, if a file cannot be read, or
            not within the limits.
    """
    if not texts:
        return {}
    shown = {name: THE_FILE for name in texts} | dict(names)
    try:
        return run_apart(_parsed, (dict(texts), canvas, shown), limits, out, say)
    except ValueError as error:
        message = str(error)
        if message.partition(":")[0] not in texts:  # it died, and did not say of which
            message = f"{next(iter(texts))}: {message}"
        raise ValueError(message) from None


def look_apart(path: Path, limits: Limits) -> None:
    """Decode the beginning of a picture, video or sound, to know that it is one.

    Raises:
        ValueError: it cannot be read, or not within the limits.
    """
    run_apart(_begun, (str(path),), limits)


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
    context.set_forkserver_preload([__name__, "kinetoscope.data.video"])
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


# ---- what the process does ----


def _parsed(
    texts: Mapping[str, str], canvas: Canvas, names: Mapping[str, str], say: Say
) -> Mapping[str, Tensor]:
    return parse_values(texts, canvas, say, names)


def _begun(path: str, say: Say) -> Mapping[str, Tensor]:
    from ..data.video import read_clip
    from ..data.video.sound import read_sound

    try:
        if path.endswith(SOUNDS):
            read_sound(path, seconds=HEARD)
        else:
            read_clip(path, frames=1)
    except (OSError, ValueError) as error:
        raise ValueError(str(error).replace(path, THE_FILE)) from error
    return {}
