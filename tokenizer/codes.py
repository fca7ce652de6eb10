"""What a video becomes: a grid of codes that remembers the size of the video it came from.

Legend: B batch, T H W latent grid, Q codebooks of a cell, F Y X frames and pixels, k frames per
latent.
"""

import json
import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..files.atomic import whole_file
from ..files.errors import UnreadableFile
from ..files.tensors import check_tensors, unreadable

FORMAT = "kinetoscope-codes"
FORMAT_VERSION = 1


def frame_count(latents: int, frames_per_latent: int) -> int:
    """Frames that `latents` latent frames decode to: the first is one image, each later one is k
    frames."""
    if latents < 1:
        raise ValueError(f"latents must be at least 1; got {latents}")
    return 1 + frames_per_latent * (latents - 1)


def latent_count(frames: int, frames_per_latent: int) -> int:
    """Latent frames needed to hold `frames` frames (the last one may be partly padding)."""
    if frames < 1:
        raise ValueError(f"frames must be at least 1; got {frames}")
    return 1 + -(-(frames - 1) // frames_per_latent)


@dataclass(frozen=True)
class VideoCodes:
    """Codes of a batch of videos of one size.

    indices: int64 `[B, T, H, W]`, or `[B, T, H, W, Q]` of a tokenizer with several codebooks,
        coarse to fine;
    num_frames, height, width: size of the video before padding; fps: frames per second, 0 if
        unknown; tokenizer: the id
    of the tokenizer that wrote the codes and the only one that can read them; model: the name under
    which it was loaded, if known, for people to read.
    """

    indices: Tensor
    num_frames: int
    height: int
    width: int
    fps: float = 0.0
    tokenizer: str = ""
    model: str = ""

    def __post_init__(self) -> None:
        if self.indices.dim() not in (4, 5):
            raise ValueError(
                "indices must be [B, T, H, W] or [B, T, H, W, Q]; got shape "
                f"{list(self.indices.shape)}"
            )
        if self.indices.dtype != torch.int64:
            raise ValueError(
                f"indices must be int64; got {self.indices.dtype}; call .long() on them"
            )
        for name in ("num_frames", "height", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.fps < 0:
            raise ValueError(f"fps must be 0 (unknown) or more; got {self.fps}")

    def to(self, device: torch.device | str) -> "VideoCodes":
        return replace(self, indices=self.indices.to(device))

    @property
    def rates(self) -> int:
        """How many codebooks there are per cell: 1, or Q."""
        return self.indices.shape[-1] if self.indices.dim() == 5 else 1

    def prefix(self, rate: int) -> "VideoCodes":
        """The first `rate` codebooks: the same video in fewer bits. ValueError if that many are
        not there."""
        if not 1 <= rate <= self.rates:
            raise ValueError(f"these codes have {self.rates} codebooks per cell; got rate {rate}")
        return (
            self
            if rate == self.rates
            else replace(self, indices=self.indices[..., :rate].contiguous())
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file: indices as int32, the rest as metadata. Written beside its
        place, then renamed."""
        with CodesWriter(
            path, self.height, self.width, self.fps, self.tokenizer, self.model
        ) as writer:
            writer.write(self.indices)
            writer.finish(self.num_frames)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "VideoCodes":
        """Read what `save` wrote. ValueError if the file is anything else."""
        file = CodesFile.open(path)
        size = file.num_frames, file.height, file.width
        return cls(file.read(), *size, fps=file.fps, tokenizer=file.tokenizer, model=file.model)


@dataclass(frozen=True)
class CodesFile:
    """What a file of codes says about itself; `read` fetches the codes, all of them or a few latent
    frames.

    shape: that of the indices, `[B, T, H, W]` or `[B, T, H, W, Q]`; version: that of the package
        that wrote the file;
    notes: what else the writer had to say. The rest is as in `VideoCodes`.
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
    def open(cls, path: str | os.PathLike[str]) -> "CodesFile":
        """Read the header. ValueError if the file is no file of codes, or one of a later format."""
        path = Path(path)
        shape, metadata = _read_header(path)
        try:
            return cls(
                path=path,
                shape=shape,
                num_frames=int(metadata.pop("num_frames")),
                height=int(metadata.pop("height")),
                width=int(metadata.pop("width")),
                fps=float(metadata.pop("fps")),
                tokenizer=metadata.pop("tokenizer"),
                model=metadata.pop("model", ""),
                version=metadata.pop("version", ""),
                notes=metadata,
            )
        except (KeyError, ValueError) as error:
            raise UnreadableFile(
                f"{path} has a damaged header ({error}); encode the video again"
            ) from error

    def read(self, begin: int = 0, end: int | None = None) -> Tensor:
        """The codes of latent frames `begin` to `end`, int64 `[B, t, H, W]`."""
        # Opened anew for each slice: pages of a mapped file stay in memory until it is closed.
        with safe_open(self.path, framework="pt") as file:
            return file.get_slice("indices")[:, begin:end].long()


class CodesWriter:
    """A context manager that writes codes slice by slice at bounded memory; `finish` gives the file
    its name.

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
        if not self.path.parent.is_dir():
            raise ValueError(f"folder {self.path.parent} does not exist; create it first")
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
            self._room = -len(self._header(1 << 60, 1 << 60)) // 8 * -8
            self._file.write(bytes(8 + self._room))
        elif B != 1 or (B, *cell) != (self.shape[0], *self.shape[2:]):
            raise ValueError(
                f"slices must continue one video; got shape {[*indices.shape]} after "
                f"{[*self.shape]}"
            )
        self._file.write(indices.to("cpu", torch.int32).contiguous().numpy().tobytes())
        self.shape = (B, self.shape[1] + T, *cell)

    def finish(self, num_frames: int) -> None:
        """Publish the file, of a video of `num_frames` frames."""
        if self._file is None or not self.shape:
            raise ValueError(f"there are no codes to write to {self.path}")
        self._file.seek(0)
        self._file.write(
            struct.pack("<Q", self._room)
            + self._header(self.shape[1], num_frames).ljust(self._room)
        )
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

    def _header(self, latents: int, num_frames: int) -> bytes:
        """The header of a safetensors file; it may be followed by blanks."""
        B, _, *cell = self.shape
        tensor = {
            "dtype": "I32",
            "shape": [B, latents, *cell],
            "data_offsets": [0, 4 * B * latents * math.prod(cell)],
        }
        metadata = {**self.metadata, "num_frames": str(num_frames)}
        return json.dumps({"__metadata__": metadata, "indices": tensor}).encode()


def _read_header(path: Path) -> tuple[tuple[int, ...], dict[str, str]]:
    """Shape of the indices, and the metadata without its format."""
    check_tensors(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            name, _, number = metadata.pop("format", "").rpartition("-")
            if name != FORMAT or not number.isdecimal():
                raise UnreadableFile(
                    f"{path} holds no codes of this format ({FORMAT}); encode the video again"
                )
            if int(number) > FORMAT_VERSION:
                raise UnreadableFile(
                    f"{path} is in format {number}, of kinetoscope {metadata.get('version')}; this "
                    "is kinetoscope "
                    f"{version('kinetoscope')}, which reads format {FORMAT_VERSION}: update it"
                )
            return tuple(file.get_slice("indices").get_shape()), metadata
    except (SafetensorError, OSError) as error:
        raise unreadable(path, error) from error
