"""Files that clients send: stored under names of ours, and decoded in a process that may die.

A file is looked at only if it begins like a picture, a video or a sound that we know, so that no
playlist or script reaches the decoder.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ....files.atomic import write_whole
from ....files.tensors import load_tensors
from ....generator.conditions import Canvas
from ....generator.conditions.init import Init
from ...decode_apart import KNOWN, decode_apart, file_ending
from ...fields import Field
from ...limited_process import Limits
from ..errors import ApiError, wrong_field
from ..other_servers import REFERENCES, from_json, unfolded
from ..request import condition_of

VALUES = "values.safetensors"
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
            raise wrong_field(condition, f"{condition}: the file must be one of {KNOWN}")
        name = f"{len(self.files)}{ending}"
        write_whole(self.path / name, content)
        self.files[condition] = name

    def decode(self, canvas: Canvas, limits: Limits) -> None:
        """Turn the files into tensors beside them.

        Raises:
            ApiError: 400, if they cannot be read, or not within these limits.
        """
        texts = {name: str(self.path / file) for name, file in self.files.items()}
        try:
            decode_apart(texts, canvas, limits, self.path / VALUES, lambda line: None)
        except ValueError as error:
            message = str(error)
            raise wrong_field(message.partition(":")[0], message) from None

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def load_values(folder: Path) -> dict[str, Any]:
    """The tensors of a folder that was decoded."""
    return dict(load_tensors(folder / VALUES)[0])


def take_files(
    raw: Mapping[str, Any], files: Mapping[str, bytes], fields: Sequence[Field]
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The fields of a request without its files, and the files by the names of the conditions.

    Args:
        raw: its fields; those that are files are data: URLs.
        files: of a form.
        fields: of the model's conditions.

    Raises:
        ApiError: 400.
    """
    rest = unfolded(raw)
    contents: dict[str, bytes] = {}

    def take(name: str, content: bytes) -> None:
        if condition_of(name) in contents:
            raise wrong_field(name, f"{name}: it is given twice; send one file for it")
        contents[condition_of(name)] = content

    for name, content in files.items():
        take(name, content)
    for field in fields:
        for name in (field.name, *(REFERENCES if field.name == Init.name else ())):
            given = rest.pop(name, None) if field.is_file else None
            if given is not None:
                take(name, from_data_url(name, given))
    takes = {field.name for field in fields if field.is_file}
    for name in contents:
        if name not in takes:
            known = ", ".join(sorted(takes))
            raise wrong_field(name[:100], f"there is no file '{name[:100]}'; files are {known}")
    return rest, contents


def from_data_url(name: str, given: Any) -> bytes:
    """The content of a field: a data: URL, or OpenAI's {"image_url": one}.

    Raises:
        ApiError: 400. Nothing is fetched from other addresses.
    """
    given = from_json(given)
    if isinstance(given, Mapping):
        given = given.get("image_url", given.get("video_url"))
    start = DATA_URL.match(given[:200]) if isinstance(given, str) else None
    if start is None:
        message = f"{name}: send a file of a form, or a URL such as data:image/png;base64,…"
        raise wrong_field(name, f"{message}; nothing is fetched from elsewhere")
    try:
        return base64.b64decode(given[start.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise ApiError(400, f"{name}: the data: URL is no base64", name, "invalid_value") from None
