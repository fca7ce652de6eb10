"""Numbers that callers give, one for all videos or one for each: of Python, numpy or PyTorch."""

from __future__ import annotations

from typing import Any

from ..files.config_fields import integer, shown


def several(value: Any) -> bool:
    """Whether these are several numbers. A tensor or array without axes is one."""
    shape = getattr(value, "shape", None)
    return hasattr(value, "__len__") if shape is None else len(shape) > 0


def numbers(value: Any, name: str, videos: int, step: int = 0) -> list[int]:
    """One whole number for each video.

    Args:
        value: one number for the first video, which each further one has `step` more than the one
            before; or one for each.

    Raises:
        ValueError: something that is no whole number, or another count.
    """
    if not several(value):
        first = integer(value, name)
        return [first + step * video for video in range(videos)]
    if isinstance(value, str):
        raise ValueError(f"{name} must be a whole number; got {shown(value)}")
    given = value.tolist() if hasattr(value, "tolist") else list(value)
    if len(given) != videos:
        raise ValueError(
            f"{name} must be one number or one per prompt ({videos}); got {len(given)}"
        )
    return [integer(number, name) for number in given]
