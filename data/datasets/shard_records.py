"""What is written about shards, checked before anything relies on it."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...files.config_fields import shown, text, whole
from ...files.errors import UnreadableFile

MOST = 2.0**62
MEMBERS = ("codes.npy", "json", "text.npy", "actions.npy", "sound.npy")
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def check_manifest(manifest: Any, path: Path) -> list[dict[str, Any]]:
    """The shards that a manifest names, each with its name, size in bytes and sha256.

    Raises:
        UnreadableFile: naming the manifest, the field and what was expected.
    """
    try:
        for part in ("tokenizer", "text", "sound"):
            if manifest.get(part) is not None:
                check_model(manifest[part], part)
        shards = manifest.get("shards")
        if not isinstance(shards, list):
            raise ValueError(f"shards must be a list; got {shown(shards)}")
        for number, shard in enumerate(shards):
            _check_shard(shard, f"shards[{number}]")
    except ValueError as error:
        raise UnreadableFile(f"'{path}': {error}") from error
    return shards


def check_model(model: Any, name: str) -> None:
    """ValueError unless a model is named by its id and its name."""
    for part in ("id", "name"):
        text(_entry(model, part, name), f"{name}.{part}", (0, 0))


def _check_shard(shard: Any, where: str) -> None:
    name = text(_entry(shard, "name", where), f"{where}.name", (0, 0))
    if Path(name).name != name or name in ("", ".", ".."):
        raise ValueError(f"{where}.name must be the name of a file; got {shown(name)}")
    whole(_entry(shard, "bytes", where), f"{where}.bytes", (0, MOST))


def _entry(values: Any, name: str, where: str = "") -> Any:
    if not isinstance(values, Mapping):
        raise ValueError(
            f"{where or 'it'} must be an object with named fields; got {shown(values)}"
        )
    if name not in values:
        raise ValueError(f"{f'{where}.' if where else ''}{name} is missing")
    return values[name]


def check_samples(record: Any, path: Path, size: int) -> list[dict[str, Any]]:
    """The samples of a shard's record: source, shape, frames and lengths of text of each, and
    where its members lie in the shard of `size` bytes.

    Raises:
        UnreadableFile: naming the record, the field and what was expected.
    """
    try:
        samples = _entry(record, "samples")
        if not isinstance(samples, list):
            raise ValueError(f"samples must be a list; got {shown(samples)}")
        for number, sample in enumerate(samples):
            _check_sample(sample, f"samples[{number}]", size)
    except ValueError as error:
        raise UnreadableFile(f"'{path}': {error}") from error
    return samples


def _check_sample(sample: Any, where: str, size: int) -> None:
    text(_entry(sample, "source", where), f"{where}.source", (0, 0))
    shape = _numbers(_entry(sample, "shape", where), f"{where}.shape", 1)
    if len(shape) not in (3, 4):
        raise ValueError(f"{where}.shape must have 3 or 4 entries; got {len(shape)}")
    whole(_entry(sample, "frames", where), f"{where}.frames", (1, MOST))
    _numbers(_entry(sample, "text_lengths", where), f"{where}.text_lengths", 1)
    places = _entry(sample, "places", where)
    for name in ("codes.npy", "json"):
        _entry(places, name, f"{where}.places")
    for name in MEMBERS:
        place = _numbers(places.get(name, [0, 0]), f"{where}.places.{name}", 0)
        if len(place) != 2 or sum(place) > size:
            raise ValueError(
                f"{where}.places.{name} must be an offset and a length within {size} bytes; got "
                f"{shown(place)}"
            )


def _numbers(values: Any, name: str, least: int) -> list[int]:
    if not isinstance(values, list | tuple):
        raise ValueError(f"{name} must be a list; got {shown(values)}")
    return [whole(value, f"{name}[{i}]", (least, MOST)) for i, value in enumerate(values)]


def read_array(content: bytes, shape: tuple[int, ...], kinds: str) -> NDArray[Any]:
    """An array in numpy's format whose header is believed only as far as its bytes go.

    Args:
        shape: that it must have; 0 for any length of an axis.
        kinds: of its numbers, as numpy names them.

    Raises:
        ValueError: something else.
    """
    stream = io.BytesIO(content)
    read_header = HEADERS.get(np.lib.format.read_magic(stream))
    if read_header is None:
        raise ValueError("it is of a version of numpy's format that is not read")
    try:
        found, fortran, dtype = read_header(stream)
    except TokenError:  # numpy reads a header as Python would
        raise ValueError("its header cannot be read") from None
    fits = len(found) == len(shape) and all(want in (0, has) for has, want in zip(found, shape))
    if not fits or fortran or dtype.kind not in kinds:
        raise ValueError(f"it is {dtype} of shape {list(found)} in place of {list(shape)}")
    if len(content) - stream.tell() != math.prod(found) * dtype.itemsize:
        raise ValueError(f"it has {len(content)} bytes, which is not what {list(found)} takes")
    return np.frombuffer(content, dtype, offset=stream.tell()).reshape(found).copy()
