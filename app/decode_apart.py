"""Files that others send, decoded in a process that may die (`limited_process`). What it reads
becomes tensors, which is all that anybody else opens.

    ending = file_ending(content)  # ".png"; None for what is no picture, video or sound
    values = decode_apart({"init": "uploads/0.png"}, Canvas(64, 64, 12, 33, 4), Limits())
    for picture in pictures_apart("uploads/0.mp4", 24, 12.0, Limits()): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..generator.conditions import CONDITIONS, Canvas
from ..generator.conditions.base import Say
from .fields import FILES, parse_values
from .limited_process import Limits, run_apart, stream_apart

if TYPE_CHECKING:
    from torch import Tensor

STARTS = (  # what the name of a file of this kind ends in, offset and first bytes
    (".png", 0, b"\x89PNG\r\n\x1a\n"),
    (".jpg", 0, b"\xff\xd8\xff"),
    (".gif", 0, b"GIF8"),
    (".tif", 0, b"II*\0"),
    (".tif", 0, b"MM\0*"),
    (".avif", 4, b"ftypavi"),
    (".webp", 8, b"WEBP"),
    (".mp4", 4, b"ftyp"),
    (".mov", 4, b"moov"),
    (".mov", 4, b"mdat"),
    (".mov", 4, b"wide"),
    (".webm", 0, b"\x1a\x45\xdf\xa3"),
    (".avi", 8, b"AVI "),
    (".mpg", 0, b"\0\0\1\xba"),
    (".flv", 0, b"FLV\1"),
    (".wmv", 0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    (".wav", 8, b"WAVE"),
    (".flac", 0, b"fLaC"),
    (".ogg", 0, b"OggS"),
    (".mp3", 0, b"ID3"),
    (".mp3", 0, b"\xff\xfb"),
    (".mp3", 0, b"\xff\xf3"),
)
KNOWN = ", ".join(dict.fromkeys(ending for ending, _, _ in STARTS))
HEAD = 16  # bytes that `file_ending` looks at
THE_FILE = "the file"
SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
HEARD = 1.0  # seconds of a sound that a first look reads


def file_ending(content: bytes) -> str | None:
    """What the name of a file of this content should end in, such as ".png"; None for a file that
    is no picture, video or sound that is known here."""
    for ending, at, start in STARTS:
        if content[at : at + len(start)] == start:
            return ending
    return None


def check_media(path: Path) -> None:
    """ValueError for a file that does not begin like a picture, video or sound, such as a playlist,
    which no decoder should see."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if file_ending(head) is None:
        raise ValueError(f"{THE_FILE} must be one of {KNOWN}")


def decode_apart(
    texts: Mapping[str, str],
    canvas: Canvas,
    limits: Limits,
    out: Path | None = None,
    say: Say = print,
    names: Mapping[str, str] = {},
) -> dict[str, Any]:
    """The same as `parse_values`; what is a file is read in the other process.

    Args:
        texts, canvas, say: as for `parse_values`.
        out: a file that the values of files are kept in; none by default.
        names: what to call a file in an error and to `say`; "the file" by default.

    Raises:
        ValueError: in one line that begins with the name of the field, if a file cannot be read, or
            not within the limits.
    """
    files = {name: text for name, text in texts.items() if CONDITIONS[name].kind in FILES}
    plain = {name: text for name, text in texts.items() if name not in files}
    values = parse_values(plain, canvas, say)
    if not files:
        return values
    shown = {name: THE_FILE for name in files} | dict(names)
    try:
        for name, path in files.items():
            if CONDITIONS[name].kind != "file":
                _check_named(name, Path(path), shown[name])
        return values | run_apart(_parsed, (files, canvas, shown), limits, out, say)
    except ValueError as error:
        message = str(error)
        if message.partition(":")[0] not in files:  # it died, and did not say of which
            message = f"{next(iter(files))}: {message}"
        raise ValueError(message) from None


def _check_named(name: str, path: Path, shown: str) -> None:
    try:
        check_media(path)
    except (OSError, ValueError) as error:
        called = shown if shown == THE_FILE else f"'{shown}'"
        raise ValueError(f"{name}: {str(error).replace(THE_FILE, called)}") from None


def look_apart(path: Path, limits: Limits) -> None:
    """Decode the beginning of a picture, video or sound, to know that it is one.

    Raises:
        ValueError: it cannot be read, or not within the limits.
    """
    check_media(path)
    run_apart(_begun, (str(path),), limits)


def sound_apart(
    path: str | Path, rate: int, seconds: float, stereo: bool = False, limits: Limits = Limits()
) -> Tensor:
    """The same as `read_sound`.

    Raises:
        ValueError: it cannot be read, or not within the limits.
    """
    check_media(Path(path))
    samples: Tensor = run_apart(_heard, (str(path), rate, seconds, stereo), limits)["samples"]
    return samples


def pictures_apart(
    path: str | Path, count: int, fps: float, limits: Limits = Limits()
) -> Iterator[Tensor]:
    """The same as `read_pictures`, a few pictures at a time.

    Raises:
        ValueError: it cannot be read, or not within the limits.
    """
    check_media(Path(path))
    for tensors in stream_apart(_seen, (str(path), count, fps), limits):
        yield from tensors["pictures"].unbind(1)


def has_sound_apart(path: str | Path, limits: Limits = Limits()) -> bool:
    """The same as `has_sound`.

    Raises:
        ValueError: it cannot be read, or not within the limits.
    """
    check_media(Path(path))
    return bool(run_apart(_has_sound, (str(path),), limits)["is_heard"])


# ---- what the other process does ----


def _parsed(
    texts: Mapping[str, str], canvas: Canvas, names: Mapping[str, str], say: Say
) -> Mapping[str, Tensor]:
    return parse_values(texts, canvas, say, names)


def _begun(path: str, say: Say) -> Mapping[str, Tensor]:
    from ..data.video import read_clip
    from ..data.video.sound import read_sound

    looks: list[Callable[[], object]] = [
        lambda: read_clip(path, frames=1),
        lambda: read_sound(path, seconds=HEARD),
    ]
    with open(path, "rb") as file:
        head = file.read(HEAD)
    if file_ending(head) in SOUNDS:
        looks.reverse()
    errors = []
    for look in looks:  # the second one for a sound in a file of videos, or the other way round
        try:
            look()
            return {}
        except (OSError, ValueError) as error:
            errors.append(_nameless(error, path))
    raise ValueError(errors[0])


def _heard(path: str, rate: int, seconds: float, stereo: bool, say: Say) -> Mapping[str, Tensor]:
    from ..data.video.sound import read_sound

    try:
        return {"samples": read_sound(path, rate, seconds, stereo)}
    except (OSError, ValueError) as error:
        raise ValueError(_nameless(error, path)) from error


def _seen(path: str, count: int, fps: float) -> Iterator[Mapping[str, Tensor]]:
    from .storyboard.given import picture_chunks

    try:
        for chunk in picture_chunks(Path(path), count, fps):
            yield {"pictures": chunk}
    except (OSError, ValueError) as error:
        raise ValueError(_nameless(error, path)) from error


def _has_sound(path: str, say: Say) -> Mapping[str, Tensor]:
    import torch

    from .storyboard.sound import has_sound

    try:
        return {"is_heard": torch.tensor(has_sound(Path(path)))}
    except (OSError, ValueError) as error:
        raise ValueError(_nameless(error, path)) from error


def _nameless(error: Exception, path: str) -> str:
    """What went wrong, without the place of the file on this machine."""
    return str(error).replace(f"'{path}'", THE_FILE).replace(path, THE_FILE)
