"""The one way in which videos of a model's making are written: marked in their pixels, with what
there is to say in the file's own metadata, and signed.

    signing = Signing(Disclosure(), print)
    with signing.writer("ball.mp4", 12, generation) as writer:
        for chunk in chunks:  # uint8 [3, f, Y, X]
            writer.write(chunk)

Legend: f Y X frames and pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from ...data.video import VideoWriter
from ...files.output_path import is_pictures
from .credentials import SIDE_CAR, CredentialsError, sign
from .generation import Generation
from .identity import Identity, certified_identity, own_identity
from .manifest import manifest
from .options import Disclosure
from .watermark import Mark, Owner

UNSIGNED = 1  # exit status of a command whose videos are there, but not all of them signed
NO_MARK = "none"
OPEN_MARK = "made by Kinetoscope"  # what the credentials say of the mark in the pixels


class Signing:
    """What the videos of a run have in common: who signs them and what is said in them.

    Args:
        disclosure: what the user asked for.
        say: gets a line where something cannot be as usual.

    Raises:
        ValueError: a certificate, key or kept identity that cannot be used.
    """

    def __init__(self, disclosure: Disclosure, say: Callable[[str], object]) -> None:
        self.disclosure = disclosure
        self.say = say
        self.identity: Identity | None = None
        self.owner = None if disclosure.mark_owner is None else _owner(*disclosure.mark_owner)
        self.status = 0  # for the command to end with
        if disclosure.sign_with is not None:
            self.identity = certified_identity(*disclosure.sign_with)
        elif not disclosure.no_credentials:
            self.identity = own_identity(say)

    def writer(
        self,
        path: str | Path,
        fps: float,
        generation: Generation,
        upscale: int = 1,
        crf: int | None = None,
        sound_rate: int | None = None,
        frames: int | None = None,
    ) -> GeneratedVideoWriter:
        """For one video, see `GeneratedVideoWriter`."""
        settings = upscale, crf, True, sound_rate, frames
        return GeneratedVideoWriter(path, fps, generation, self, *settings)

    def new_mark(self) -> Mark | None:
        """A mark for one video; None if it shall have none."""
        return None if self.disclosure.no_watermark else Mark(self.owner)

    def sign(self, path: Path, generation: Generation, is_marked: bool) -> Path | None:
        """Sign a finished file, such as one that was put together out of pictures of a
        `GeneratedVideoWriter` and sound. Where it cannot be signed it stays as it is, `say` gets a
        line, and `status` is that of a failure.

        Args:
            is_marked: its pixels carry the mark.

        Returns:
            Where the credentials are; None if there are none.
        """
        return self.sign_files([(path, None)], path, generation, is_marked)

    def sign_files(
        self,
        files: Sequence[tuple[Path, Path | None]],
        path: Path,
        generation: Generation,
        is_marked: bool,
    ) -> Path | None:
        """The same for the files that `path` stands for, each with the place where it will be
        published, or None if it is there already."""
        if self.identity is None:
            return None
        mark = OPEN_MARK if is_marked else NO_MARK
        with_prompt = not self.disclosure.no_prompt
        definition = manifest(generation, path.name, with_prompt, mark)
        credentials = None
        try:
            for file, place in files:
                credentials = sign(file, definition, generation.ingredients, self.identity, place)
        except (CredentialsError, OSError) as error:
            self.status = UNSIGNED
            self.say(f"{path} is written without content credentials: {error}")
            return None
        return credentials


class GeneratedVideoWriter:
    """A context manager that takes the chunks of one video; when its block has ended well the file
    is there, and signed if that can be done. It is signed before it is there under its name, so
    that no kill leaves it without credentials. A signing that fails leaves the file, unsigned.

    Args:
        path, fps, crf: as `VideoWriter`; numbered pictures are signed one by one.
        generation: how the video came about.
        signing: who signs, what is said, and whether the pixels are marked.
        upscale: enlarge each pixel to a square of this many pixels. The mark comes after it.
        signs: sign the file at the end; otherwise whoever goes on with it must (`Signing.sign`).
        sound_rate, frames: as `VideoWriter`.

    Attributes:
        frames: written so far.
        credentials: where they are: the file itself, its side-car, or None.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float,
        generation: Generation,
        signing: Signing,
        upscale: int = 1,
        crf: int | None = None,
        signs: bool = True,
        sound_rate: int | None = None,
        frames: int | None = None,
    ) -> None:
        self.generation = generation
        self.signing = signing
        self.upscale = upscale
        self.credentials: Path | None = None
        self.mark = signing.new_mark()
        tags = generation.tags(with_prompt=not signing.disclosure.no_prompt)
        finish = self._sign if signs else (lambda _: None)
        self._writer = VideoWriter(path, fps, tags, 1, crf, sound_rate, finish, frames)
        self.path = self._writer.path

    @property
    def frames(self) -> int:
        return self._writer.frames

    @property
    def note(self) -> str:
        """What a line about the video should add."""
        place = self.credentials
        is_beside = place is not None and place.suffix == SIDE_CAR
        return f", its content credentials in {place}" if is_beside else ""

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def write(self, chunk_3fYX: Tensor, drawn: bool | Tensor = True) -> None:
        """Append frames, uint8 [3, f, Y, X].

        Args:
            drawn: whether a model drew them: only what it drew is marked. Where that differs within
                a picture, a mask bool [Y, X] or [f, Y, X], true where it drew.
        """
        chunk = _enlarged(chunk_3fYX, self.upscale)
        if self.mark is not None and (isinstance(drawn, Tensor) or drawn):
            marked = self.mark(chunk)
            if isinstance(drawn, Tensor):
                marked = torch.where(_enlarged(drawn, self.upscale), marked, chunk)
            chunk = marked
        self._writer.write(chunk)

    @property
    def has_sound(self) -> bool:
        return self._writer.sound_rate is not None

    def write_sound(self, samples_L: Tensor) -> None:
        """Append samples of the frames that were written last; see `VideoWriter.write_sound`."""
        self._writer.write_sound(samples_L)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.__exit__(kind, error, trace)

    def _sign(self, beside: Path) -> None:
        """What was written, before it is published."""
        files: list[tuple[Path, Path | None]] = [(beside, self.path)]
        if is_pictures(self.path):
            names = [self.path.name % number for number in range(self.frames)]
            files = [(beside / name, self.path.with_name(name)) for name in names]
        is_marked = self.mark is not None
        self.credentials = self.signing.sign_files(files, self.path, self.generation, is_marked)


def read_owner_key(name: str) -> bytes:
    """The private key of a mark; ValueError if there is none in the file."""
    try:
        key = Path(name).read_bytes().strip()
    except OSError as error:
        raise ValueError(
            f"the key of the mark cannot be read from '{name}': {error.strerror}"
        ) from None
    return key


def _owner(key_file: str, number: str) -> Owner:
    if not number.isdecimal():
        raise ValueError(f"--mark-owner: the number must be 0 to 65535; got {number}")
    return Owner(read_owner_key(key_file), int(number))


def _enlarged(pixels: Tensor, scale: int) -> Tensor:
    """Every pixel of [..., Y, X] as a square."""
    if scale == 1:
        return pixels
    return pixels.repeat_interleave(scale, dim=-2).repeat_interleave(scale, dim=-1)
