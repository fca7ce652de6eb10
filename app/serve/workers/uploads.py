"""Files that clients send: stored under names of ours, and decoded in a process that may die.

A file is looked at only if it begins like a picture, a video or a sound that we know, so that no
playlist or script reaches the decoder. The process that decodes has a limit on memory, time, open
files and what it may write; what it reads becomes tensors, which is all that anybody else opens.
"""

from __future__ import annotations

import base64
import binascii
import multiprocessing
import os
import re
import resource
import shutil
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ....files.atomic import write_whole
from ....files.tensors import load_tensors, save_tensors
from ....generator.conditions import Canvas
from ...fields import parse_values
from ..errors import ApiError, wrong_field

VALUES = "values.safetensors"
STARTS = {  # what the name of a stored file ends in: offset and first bytes
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
DATA_URL = re.compile(r"data:[\w.+-]*/?[\w.+-]*(;[\w=.+-]*)*;base64,")


class UploadFolder:
    """The files of one video that is asked for.

    Args:
        folder: of the server.
        video_id: of the video; a folder of this name is made.
    """

    def __init__(self, folder: str | os.PathLike[str], video_id: str) -> None:
        self.path = Path(folder) / "uploads" / video_id
        self.files: dict[str, str] = {}

    def add(self, condition: str, content: bytes) -> None:
        """Store a file under a name that the client does not choose.

        Raises:
            ApiError: 400, if it is no picture, video or sound.
        """
        ending = file_ending(content)
        if ending is None:
            known = ", ".join(STARTS)
            raise wrong_field(condition, f"{condition}: the file must be one of {known}")
        name = f"{len(self.files)}{ending}"
        write_whole(self.path / name, content)
        self.files[condition] = name

    def decode(self, canvas: Canvas, seconds: float, memory: int) -> None:
        """Turn the files into tensors beside them.

        Raises:
            ApiError: 400, if they cannot be read, or not within these limits.
        """
        texts = {name: str(self.path / file) for name, file in self.files.items()}
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__, "kinetoscope.data.video"])
        (mine, its) = context.Pipe(duplex=False)
        arguments = (texts, canvas, str(self.path / VALUES), int(seconds) + 1, memory, its)
        child = context.Process(target=decode_files, args=arguments, daemon=True)
        child.start()
        its.close()
        try:
            message = mine.recv() if mine.poll(seconds) else "it took too long to read"
        except EOFError:
            message = "it could not be read within the limits of this server"
        finally:
            child.kill()
            child.join()
            child.close()
            mine.close()
        if message:
            name = next(iter(texts))
            found = message.partition(":")[0]
            name = found if found in texts else name
            raise wrong_field(name, message if found in texts else f"{name}: {message}")

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def file_ending(content: bytes) -> str | None:
    """What the name of a file of this content should end in, such as ".png"; None for a file that
    is not taken."""
    for ending, (at, start) in STARTS.items():
        if content[at : at + len(start)] == start:
            return ending
    return None


def load_values(folder: Path) -> dict[str, Any]:
    """The tensors of a folder that was decoded."""
    return dict(load_tensors(folder / VALUES)[0])


def decode_files(
    texts: Mapping[str, str],
    canvas: Canvas,
    out: str,
    seconds: int,
    memory: int,
    answer: Connection,
) -> None:
    """Run in a process of its own: read files into tensors and answer with what went wrong, or
    with nothing."""
    _limit(seconds, memory)
    names = {name: "the file" for name in texts}
    try:
        values = parse_values(texts, canvas, lambda line: None, names)
        tensors = {name: value.contiguous() for name, value in values.items()}
        save_tensors(out, tensors)
        answer.send("")
    except MemoryError:
        answer.send("it needs more memory than this server gives it")
    except Exception as error:
        answer.send(" ".join(str(error).split())[:300] or "it cannot be read")


def _limit(seconds: int, memory: int) -> None:
    """What this process may use from now on."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + memory
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (memory, memory))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def from_data_url(name: str, given: Any) -> bytes:
    """The content of a field of JSON: a data: URL, or OpenAI's {"image_url": one}.

    Raises:
        ApiError: 400. Nothing is fetched from other addresses.
    """
    if isinstance(given, Mapping):
        given = given.get("image_url")
    start = DATA_URL.match(given[:200]) if isinstance(given, str) else None
    if start is None:
        message = f"{name}: send a file of a form, or a URL such as data:image/png;base64,…"
        raise wrong_field(name, f"{message}; nothing is fetched from elsewhere")
    try:
        return base64.b64decode(given[start.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise ApiError(400, f"{name}: the data: URL is no base64", name, "invalid_value") from None
