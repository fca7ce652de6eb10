"""Files of tensors (safetensors), written as a whole and read with errors that name the file.

Pickles are refused by name and never opened: loading one runs whatever code it carries.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .atomic import whole_path
from .errors import UnreadableFile

PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")


def save_tensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a safetensors file as a whole, from any device. OSError, naming it, if the disk
    refuses."""
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with whole_path(path) as beside:
        save_file(stored, beside, dict(metadata) if metadata else None)


def load_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, mapped into memory, and its metadata.

    Raises:
        UnreadableFile: it is missing, a pickle, or not a safetensors file.
    """
    path = check_tensors(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise unreadable(path, error) from error


def tensor_shapes(path: str | os.PathLike[str]) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype ("F16", "I8", …) of each tensor, from the header alone; errors are those of
    `load_tensors`."""
    path = check_tensors(path)
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {name: (tuple(s.get_shape()), s.get_dtype()) for name, s in slices.items()}
    except (SafetensorError, OSError) as error:
        raise unreadable(path, error) from error


def check_tensors(path: str | os.PathLike[str]) -> Path:
    """The path; UnreadableFile if there is no file, or one that is a pickle by its name."""
    path = Path(path)
    if path.suffix.lower() in PICKLES:
        raise UnreadableFile(
            f"'{path}' is a pickle, which can run code when loaded; give a safetensors file instead"
        )
    if not path.exists():
        raise UnreadableFile(f"'{path}' does not exist")
    if not path.is_file():
        raise UnreadableFile(f"'{path}' is no ordinary file")
    return path


def unreadable(path: str | os.PathLike[str], error: Exception) -> UnreadableFile:
    """What safetensors says of a file, as one line."""
    reason = " ".join(str(error).split())
    return UnreadableFile(f"'{path}' is not a readable safetensors file: {reason}")
