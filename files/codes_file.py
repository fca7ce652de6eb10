"""Files of codes: written slice by slice, opened by their header, checked as a whole when read.

A file is a safetensors file. Tensor `indices` (int32) holds the codes of the picture; `sound`, if
there is one, those of its sound. Metadata say what the codes are of, and have a checksum over
themselves and all codes. Files of the format before (1) have neither sound nor a checksum.

Legend: B batch, T H W latent grid, Q codebooks of a cell, K codes of sound of a latent.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .atomic import whole_file
from .config_fields import number, shown, whole
from .errors import UnreadableFile
from .json_file import SURROGATES
from .tensors import check_tensors, unreadable

FORMAT = "kinetoscope-codes"
FORMAT_VERSION = 2
LARGEST_COUNT = 2**31 - 1  # of frames, and of pixels along a side
LARGEST_FPS = 1e6
LARGEST_RATE = 1 << 20  # samples per second
LARGEST_CELL = 256  # frames, and pixels along a side, of one code
AT_ONCE = 1 << 20  # bytes that are read at once for the checksum
SOUND = "sound"  # name of the tensor, and beginning of the keys of its metadata


def check_counts(num_frames: int, height: int, width: int, fps: float) -> None:
    """ValueError unless these can be the frames, the pixels and the rate of a video."""
    for name, count in (("num_frames", num_frames), ("height", height), ("width", width)):
        whole(count, name, (1, LARGEST_COUNT))
    number(fps, "fps", (0, LARGEST_FPS))


def about_sound(samples: int, rate: int, tokenizer: str) -> dict[str, str]:
    """What a file tells of its sound; see `SoundCodes`."""
    return {"samples": str(samples), "rate": str(rate), "tokenizer": tokenizer}


def check_grid(shape: tuple[int, ...], num_frames: int, height: int, width: int) -> None:
    """ValueError unless a video of this size can have a grid of codes of this shape, whatever one
    code covers."""
    sizes = range(1, LARGEST_CELL + 1)
    for codes, pixels in zip(shape[2:4], (height, width)):
        if not any(-(-pixels // p) == codes for p in sizes):
            raise ValueError(
                f"{shape[2]} x {shape[3]} codes cannot be of {height} x {width} pixels"
            )
    T = shape[1]
    if not any(-(-(num_frames - 1) // k) == T - 1 for k in sizes):
        raise ValueError(f"{T} latent frames cannot be of {num_frames} frames")


@dataclass(frozen=True)
class CodesFile:
    """What a file of codes says about itself; `read` fetches the codes, all of them or a few latent
    frames.

    shape: that of the indices, `[B, T, H, W]` or `[B, T, H, W, Q]`; version: that of the package
        that wrote the file; sound_shape: that of the codes of the sound, `[B, T, K]` or
        `[B, T, K, Q]`, or nothing;
    notes: what else the writer had to say. The rest is as in `VideoCodes` and `SoundCodes`.
    """

    path: Path
    shape: tuple[int, ...]
    num_frames: int
    height: int
    width: int
    fps: float
    tokenizer: str
    model: str = ""
    version: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    sound_shape: tuple[int, ...] = ()
    sound: Mapping[str, str] = field(default_factory=dict)
    _checked: list[bool] = field(default_factory=list, repr=False, compare=False)

    @property
    def rates(self) -> int:
        """How many codebooks there are per cell: 1, or Q."""
        return self.shape[4] if len(self.shape) == 5 else 1

    @property
    def writer(self) -> str:
        """What wrote the codes, such as "tokenizer 0123456789ab (physics-64)"."""
        return f"tokenizer {self.tokenizer or 'unknown'}" + (
            f" ({self.model})" if self.model else ""
        )

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> CodesFile:
        """Read the header. UnreadableFile if the file is no file of codes, one of a later format,
        or one whose sizes do not fit each other."""
        path = Path(path)
        shapes, metadata = _read_header(path)
        metadata.pop("checksum", None)
        sound = {key: metadata.pop(key) for key in list(metadata) if key.startswith(f"{SOUND}_")}
        try:
            file = cls(
                path=path,
                shape=shapes["indices"],
                num_frames=int(metadata.pop("num_frames")),
                height=int(metadata.pop("height")),
                width=int(metadata.pop("width")),
                fps=float(metadata.pop("fps")),
                tokenizer=metadata.pop("tokenizer"),
                model=metadata.pop("model", ""),
                version=metadata.pop("version", ""),
                notes=metadata,
                sound_shape=shapes.get(SOUND, ()),
                sound={key.removeprefix(f"{SOUND}_"): value for key, value in sound.items()},
            )
            file._check()
            return file
        except (KeyError, ValueError) as error:
            raise UnreadableFile(
                f"'{path}' has a damaged header ({error}); encode the video again"
            ) from error

    def _check(self) -> None:
        check_counts(self.num_frames, self.height, self.width, self.fps)
        if len(self.shape) not in (4, 5) or 0 in self.shape:
            raise ValueError(f"codes of shape {list(self.shape)}")
        check_grid(self.shape, self.num_frames, self.height, self.width)
        if self.sound_shape and (len(self.sound_shape) not in (3, 4) or 0 in self.sound_shape):
            raise ValueError(f"codes of sound of shape {list(self.sound_shape)}")
        if self.sound_shape:
            if self.sound_shape[0] != self.shape[0]:
                raise ValueError(f"{self.shape[0]} videos with {self.sound_shape[0]} sounds")
            if "tokenizer" not in self.sound:
                raise ValueError("'tokenizer' of the sound is missing")
            whole(int(self.sound["samples"]), "samples of sound", (1, LARGEST_COUNT))
            whole(int(self.sound["rate"]), "samples a second", (1, LARGEST_RATE))

    def read(self, begin: int = 0, end: int | None = None) -> Tensor:
        """The codes of latent frames `begin` to `end`, int64 `[B, t, H, W]`. UnreadableFile if the
        checksum does not fit the file, or a code is below 0."""
        self._check_whole()
        # Opened anew for each slice: pages of a mapped file stay in memory until it is closed.
        with safe_open(self.path, framework="pt") as file:
            return self._codes(file.get_slice("indices")[:, begin:end])

    def read_sound(self, begin: int = 0, end: int | None = None) -> Tensor | None:
        """The codes of the sound of latent frames `begin` to `end`, int64 `[B, t, K]` or
        `[B, t, K, Q]`, if there are any; errors are those of `read`."""
        self._check_whole()
        if not self.sound_shape:
            return None
        with safe_open(self.path, framework="pt") as file:
            return self._codes(file.get_slice(SOUND)[:, begin:end])

    def _codes(self, stored: Tensor) -> Tensor:
        if stored.numel() and int(stored.min()) < 0:
            raise UnreadableFile(f"'{self.path}' is damaged: it has the code {int(stored.min())}")
        return stored.long()

    def _check_whole(self) -> None:
        """Read the file once, piece by piece. UnreadableFile if the checksum does not fit."""
        _, metadata = _read_header(self.path)
        wanted = metadata.pop("checksum", None)
        if self._checked or wanted is None:  # of the format before; later ones must have one
            return
        digest = _begin(metadata, self.shape, self.sound_shape)
        with open(self.path, "rb") as file:
            (header,) = struct.unpack("<Q", file.read(8))
            file.seek(8 + header)
            while piece := file.read(AT_ONCE):
                digest.update(piece)
        if digest.hexdigest() != wanted:
            raise UnreadableFile(
                f"'{self.path}' is damaged: its checksum does not fit what it holds; encode the "
                "video again"
            )
        self._checked.append(True)


class CodesWriter:
    """A context manager that writes codes slice by slice at bounded memory, those of the pictures
    before those of the sound; `finish` gives the file its name.

    How many slices there are is known last but stands first in a safetensors file: room is left for
    the header.

    Args:
        path: the file to write; its folder must exist. An existing file is replaced.
        height, width, fps, tokenizer, model: as in `VideoCodes`.
        notes: free key-value pairs stored in the file.

    Raises:
        ValueError: the folder does not exist, or slices do not fit together.
        OSError: the disk is full or refuses to be written; nothing is left behind then.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        height: int,
        width: int,
        fps: float = 0.0,
        tokenizer: str = "",
        model: str = "",
        notes: Mapping[str, str] | None = None,
    ) -> None:
        self.path = Path(path)
        if SURROGATES.search(str(path)):
            raise ValueError(
                f"'{path}' cannot be the name of a file of codes: it is no UTF-8; give another"
            )
        check_counts(1, height, width, fps)
        self.metadata = {
            **(notes or {}),
            "format": f"{FORMAT}-{FORMAT_VERSION}",
            "version": version("kinetoscope"),
            "height": str(height),
            "width": str(width),
            "fps": repr(float(fps)),
            "tokenizer": tokenizer,
            "model": model,
        }
        self.shape: tuple[int, ...] = ()
        self.sound_shape: tuple[int, ...] = ()
        self._whole = whole_file(self.path)
        self._file: IO[bytes] | None = None
        self._room = 0

    def __enter__(self) -> Self:
        self._file = self._whole.__enter__()
        return self

    def write(self, indices: Tensor) -> None:
        """Append the codes of the next latent frames, `[1, t, H, W]`; several videos at once
        must come in one slice."""
        B, T, *cell = indices.shape
        assert self._file is not None
        if not self.shape:
            self.shape = (B, 0, *cell)
            longest = self._header(1 << 60, self._told(1 << 60, {}), (1 << 60,) * 4)
            self._room = -(-(len(longest) + ROOM_FOR_SOUND) // 8) * 8
            self._file.write(bytes(8 + self._room))
        else:
            _check_continues(indices, self.shape)
        if self.sound_shape:
            raise ValueError("codes of pictures come before those of the sound")
        self._file.write(_bytes(indices))
        self.shape = (B, self.shape[1] + T, *cell)

    def write_sound(self, indices: Tensor) -> None:
        """Append codes of the sound, `[1, t, K]` or `[1, t, K, Q]`, after all those of the
        pictures; those of several videos must come in one slice."""
        if self._file is None or not self.shape:
            raise ValueError("codes of sound come after those of the pictures")
        B, T, *cell = indices.shape
        if self.sound_shape:
            _check_continues(indices, self.sound_shape)
            T += self.sound_shape[1]
        self._file.write(_bytes(indices))
        self.sound_shape = (B, T, *cell)

    def finish(self, num_frames: int, about: Mapping[str, str] | None = None) -> None:
        """Publish the file, of a video of `num_frames` frames.

        Args:
            about: what is told of the sound, if there is any; see `about_sound`.
        """
        if self._file is None or not self.shape:
            raise ValueError(f"there are no codes to write to {self.path}")
        height = int(self.metadata["height"])
        width = int(self.metadata["width"])
        check_counts(num_frames, height, width, 0)
        check_grid(self.shape, num_frames, height, width)
        if bool(about) != bool(self.sound_shape):
            raise ValueError("codes of sound come with what they are of, and nothing without them")
        told = self._told(num_frames, about or {})
        told["checksum"] = self._checksum(told, self.sound_shape)
        header = self._header(self.shape[1], told, self.sound_shape)
        if len(header) > self._room:
            raise ValueError(f"too much is told of the sound in {self.path}")
        self._file.seek(0)
        self._file.write(struct.pack("<Q", self._room) + header.ljust(self._room))
        self._file = None
        self._whole.__exit__(None, None, None)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:  # not finished: nothing takes the name
            reason = error or ValueError("not finished")
            self._whole.__exit__(type(reason), reason, trace)

    def _told(self, num_frames: int, about: Mapping[str, str]) -> dict[str, str]:
        told = {**self.metadata, "num_frames": str(num_frames)}
        return told | {f"{SOUND}_{key}": value for key, value in about.items()}

    def _checksum(self, told: Mapping[str, str], sound: tuple[int, ...]) -> str:
        assert self._file is not None
        digest = _begin(told, self.shape, sound)
        self._file.seek(8 + self._room)
        while piece := self._file.read(AT_ONCE):
            digest.update(piece)
        return digest.hexdigest()

    def _header(self, latents: int, told: Mapping[str, str], sound: tuple[int, ...]) -> bytes:
        """The header of a safetensors file; it may be followed by blanks."""
        B, _, *cell = self.shape
        shape = (B, latents, *cell)
        end = 4 * math.prod(shape)
        header: dict[str, Any] = {"__metadata__": {"checksum": "0" * 64, **told}}
        header["indices"] = {"dtype": "I32", "shape": shape, "data_offsets": [0, end]}
        if sound:
            offsets = [end, end + 4 * math.prod(sound)]
            header[SOUND] = {"dtype": "I32", "shape": sound, "data_offsets": offsets}
        return json.dumps(header).encode()


ROOM_FOR_SOUND = 1024  # bytes of what is told of it


def _check_continues(indices: Tensor, shape: tuple[int, ...]) -> None:
    """ValueError unless codes go on where those of this shape ended."""
    B, _, *cell = indices.shape
    if B != 1 or (B, *cell) != (shape[0], *shape[2:]):
        raise ValueError(
            f"slices must continue one video; got shape {[*indices.shape]} after {[*shape]}"
        )


def _bytes(codes: Tensor) -> bytes:
    return codes.to("cpu", torch.int32).contiguous().numpy().tobytes()


def _begin(metadata: Mapping[str, str], shape: tuple[int, ...], sound: tuple[int, ...]) -> Any:
    """The beginning of a checksum, before all codes as they lie in the file."""
    told = {key: value for key, value in metadata.items() if key not in ("checksum", "format")}
    start = json.dumps([sorted(told.items()), list(shape), list(sound)])
    return hashlib.sha256(start.encode())


def _read_header(path: Path) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Shapes of the tensors, and the metadata without its format."""
    check_tensors(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
            kinds = {part.get_dtype() for part in slices.values()}
    except (SafetensorError, OSError) as error:
        raise unreadable(path, error) from error
    name, _, number = metadata.pop("format", "").rpartition("-")
    if name != FORMAT or not number.isdecimal():
        raise UnreadableFile(
            f"'{path}' holds no codes of this format ({FORMAT}); encode the video again"
        )
    if int(number) > FORMAT_VERSION:
        raise UnreadableFile(
            f"'{path}' is in format {number}, of kinetoscope {metadata.get('version')}; this is "
            f"kinetoscope {version('kinetoscope')}, which reads format {FORMAT_VERSION}: update it"
        )
    problem = _odd(int(number), shapes, kinds, metadata)
    if problem:
        raise UnreadableFile(f"'{path}' has a damaged header ({problem}); encode the video again")
    return shapes, metadata


def _odd(
    number: int, shapes: Mapping[str, Any], kinds: set[str], metadata: Mapping[str, str]
) -> str:
    """What a header of this format cannot have, or nothing."""
    if "indices" not in shapes or shapes.keys() - {"indices", SOUND}:
        return f"its tensors are {shown(sorted(shapes))}"
    if kinds != {"I32"}:
        return f"its codes are stored as {', '.join(sorted(kinds))}"
    if number == 1 and ("checksum" in metadata or SOUND in shapes):
        return "it has what format 1 has not"
    if number > 1 and len(metadata.get("checksum", "")) != 64:
        return "it has no checksum"
    return ""
