"""JSON files, written as a whole and read with errors that name the file."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from .atomic import write_whole
from .errors import UnreadableFile

SURROGATES = re.compile("[\ud800-\udfff]")  # bytes that are no UTF-8, as Python shows them
LARGEST_OBJECT = 1 << 24  # bytes; the configs and vocabularies of models are far below


def read_json(path: str | os.PathLike[str]) -> Any:
    """What a JSON file holds.

    Raises:
        UnreadableFile: it is missing, no file, no UTF-8 or not JSON.
    """
    path = Path(path)
    if not path.exists():
        raise UnreadableFile(f"'{path}' does not exist")
    if not path.is_file():
        raise UnreadableFile(f"'{path}' is no ordinary file")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnreadableFile(f"'{path}' cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"'{path}' is not JSON: it is not even text in UTF-8") from error
    except RecursionError as error:
        raise UnreadableFile(f"'{path}' is nested too deep to be read") from error
    except ValueError as error:
        raise UnreadableFile(f"'{path}' is not valid JSON: {error}") from error


def read_object(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A JSON object, such as the config of a model; errors are those of `read_json`."""
    path = Path(path)
    if path.is_file() and path.stat().st_size > LARGEST_OBJECT:
        size = path.stat().st_size >> 20
        raise UnreadableFile(
            f"'{path}' has {size} MiB, and {LARGEST_OBJECT >> 20} is the most that is read"
        )
    value = read_json(path)
    if not isinstance(value, dict):
        raise UnreadableFile(
            f"'{path}' must hold a JSON object, and holds a {type(value).__name__}"
        )
    return value


def to_json(value: Any, indent: int | None = None) -> str:
    """One way to write it: sorted keys, text as it is, a line's end. Names of files that are no
    UTF-8 are written with escapes, which JSON has for them."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, indent=indent) + "\n"
    if SURROGATES.search(text):
        return json.dumps(value, sort_keys=True, indent=indent) + "\n"
    return text


def write_json(path: str | os.PathLike[str], value: Any, indent: int | None = None) -> None:
    """Write a file as a whole; OSError, naming it, if the disk refuses."""
    write_whole(path, to_json(value, indent))
