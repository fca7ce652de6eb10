"""Files of tokens that training keeps: nothing in one is believed before it is checked.

Legend: C clips, T H W latent grid, Q codebooks, S text length, E text width, F frames, A actions,
K codes of the sound of a latent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...files.errors import UnreadableFile
from ...files.tensors import load_tensors
from ...tokenizer.checks import check_table

WHOLE = (torch.int16, torch.int32)
# of each tensor its types, and its number of dimensions
KINDS: dict[str, tuple[tuple[torch.dtype, ...], tuple[int, ...]]] = {
    "codes": (WHOLE, (4, 5)),
    "objects": ((torch.bool,), (4,)),
    "text": ((torch.float16,), (3,)),
    "text_length": ((torch.int64,), (1,)),
    "recorded": ((torch.float32, torch.float64, torch.float16), (3,)),
    "sound": (WHOLE, (3,)),
    "heard": ((torch.bool,), (1,)),
}
ALWAYS = ("codes", "objects", "text", "text_length")


@dataclass(frozen=True)
class Wanted:
    """What the models of a run ask of its tokens: sizes of the tables of codes and of sound codes
    (None where no sound is learned), and the width of caption states."""

    codebook_size: int
    text_dim: int
    sound_size: int | None = None


def read_tokens(file: Path, clips: int, wanted: Wanted) -> dict[str, Tensor]:
    """The tokens of `clips` clips.

    Raises:
        UnreadableFile: naming the file and what is wrong in it.
    """
    tensors = load_tensors(file)[0]
    try:
        _check_kinds(tensors, clips, wanted)
        _check_values(tensors, wanted)
    except ValueError as error:
        raise UnreadableFile(
            f"'{file}' holds no tokens of these clips: {error}; remove it, and it is made anew"
        ) from error
    return tensors


def joined(files: list[Path], parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tokens of all parts, one after another; captions of all are padded to the longest.

    Raises:
        UnreadableFile: a part that does not go with the first one.
    """
    longest = max(part["text"].shape[1] for part in parts)
    for file, part in zip(files, parts):
        part["text"] = torch.nn.functional.pad(
            part["text"], (0, 0, 0, longest - part["text"].shape[1])
        )
        if _layout(part) != _layout(parts[0]):
            raise UnreadableFile(
                f"'{file}' holds other tokens than '{files[0]}'; remove it, and it is made anew"
            )
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _layout(part: Mapping[str, Tensor]) -> dict[str, tuple[torch.dtype, torch.Size]]:
    return {name: (tensor.dtype, tensor.shape[1:]) for name, tensor in sorted(part.items())}


def _check_kinds(tensors: Mapping[str, Tensor], clips: int, wanted: Wanted) -> None:
    """ValueError for a tensor that is missing, surplus, or of another type or shape."""
    sounding = () if wanted.sound_size is None else ("sound", "heard")
    for name in (*ALWAYS, *sounding):
        if name not in tensors:
            raise ValueError(f"{name} is missing")
    for name, tensor in tensors.items():
        if name not in (*ALWAYS, *sounding, "recorded"):
            raise ValueError(f"{name} is none of a run like this")
        types, dimensions = KINDS[name]
        if tensor.dtype not in types or tensor.dim() not in dimensions:
            raise ValueError(f"{name} is {tensor.dtype} of shape {list(tensor.shape)}")
        if len(tensor) != clips or 0 in tensor.shape[1:]:
            raise ValueError(f"{name} has shape {list(tensor.shape)}, and {clips} clips are wanted")
    codes = tensors["codes"]
    text = tensors["text"]
    if tensors["objects"].shape != codes.shape[:4]:  # a cell may have several codes
        raise ValueError("objects and codes have not the same shape")
    if text.shape[2] != wanted.text_dim:
        raise ValueError(f"text is {text.shape[2]} wide, and the encoder {wanted.text_dim}")
    if "sound" in tensors and tensors["sound"].shape[1] != codes.shape[1]:
        raise ValueError("sound and codes have not the same number of latent frames")


def _check_values(tensors: Mapping[str, Tensor], wanted: Wanted) -> None:
    """ValueError for a code outside its table, or what is no number."""
    check_table(tensors["codes"], wanted.codebook_size)
    if wanted.sound_size is not None:
        check_table(tensors["sound"], wanted.sound_size)
    length = tensors["text_length"]
    longest = tensors["text"].shape[1]
    if length.min() < 0 or length.max() > longest:
        raise ValueError(f"text_length must be from 0 to {longest}; got {length.tolist()[:9]}")
    for name in ("text", "recorded"):
        if name in tensors and not tensors[name].isfinite().all():
            raise ValueError(f"{name} holds something that is no number")
