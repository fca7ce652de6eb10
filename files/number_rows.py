"""Rows of numbers beside a video, such as the actions of its frames: a file of CSV or of numpy."""

from __future__ import annotations

import warnings
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import torch
from torch import Tensor

KINDS = "biuf"  # of numbers, as numpy names them


def read_number_rows(path: Path) -> Tensor:
    """float32 [F, A]: a row of A numbers for each of F frames, or one number a frame.

    The header of a numpy file is believed only as far as the file goes, and pickles in one are not
    opened.

    Raises:
        ValueError: naming the file: it holds something else, or what is no finite number.
    """
    try:
        rows = _rows_of_numpy(path) if path.suffix == ".npy" else _rows_of_text(path)
    except (OSError, EOFError, OverflowError, TokenError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise ValueError(f"'{path}' holds no rows of numbers: {reason}") from error
    numbers = torch.from_numpy(rows)
    if not numbers.isfinite().all():
        raise ValueError(f"'{path}' holds something that is no finite number")
    return numbers


def _rows_of_numpy(path: Path) -> Any:
    # mapped, so that a length that the file does not have is an error before memory is taken
    found = np.lib.format.open_memmap(path, mode="r")
    if found.dtype.kind not in KINDS:
        raise ValueError("it is no array of real numbers")
    return _in_rows(found)


def _rows_of_text(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an empty file, which is refused below
        return _in_rows(np.loadtxt(path, delimiter=",", ndmin=1, encoding="utf-8-sig"))


def _in_rows(found: Any) -> Any:
    if found.ndim not in (1, 2) or not found.size:
        raise ValueError(f"its shape is {list(found.shape)}, and [frames, numbers] is wanted")
    with np.errstate(over="ignore"):  # what float32 cannot hold is no finite number
        return np.array(found, np.float32, order="C").reshape(len(found), -1)
