"""Configs of models, checked field by field before anything is made of them.

A config is a frozen dataclass. Its annotations give the types, its `LIMITS` the ranges of numbers
(of each number in a tuple), and its `__post_init__` how fields depend on each other.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

Config = TypeVar("Config")
LONGEST = 1024  # entries of a list
WIDE = (-(2.0**31), 2.0**31)  # of numbers without limits


def read_fields(kind: type[Config], values: Any, place: str = "") -> Config:
    """A config of class `kind` from JSON.

    Args:
        place: what stands before the names of fields in errors, such as "encoder.".

    Raises:
        ValueError: in one line, the field and what was expected.
    """
    if not isinstance(values, Mapping):
        where = place.rstrip(".") or "the config"
        raise ValueError(f"{where} must be an object with named fields; got {shown(values)}")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(kind)
    limits: Mapping[str, tuple[float, float]] = getattr(kind, "LIMITS", {})
    for name in values:
        if name not in fields:
            near = difflib.get_close_matches(str(name), fields, 1)
            hint = f"; did you mean '{place}{near[0]}'?" if near else ""
            raise ValueError(f"{shown(f'{place}{name}')} is not a field of this config{hint}")
    for name, field in fields.items():
        required = field.default is field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise ValueError(f"{place}{name} is missing")
    checked = {
        name: _check(hints[name], value, f"{place}{name}", limits.get(name, WIDE))
        for name, value in values.items()
    }
    try:
        return kind(**checked)
    except ValueError as error:
        raise ValueError(f"{place[:-1]}: {error}" if place else str(error)) from error


def _check(kind: Any, value: Any, name: str, limits: tuple[float, float]) -> Any:
    if dataclasses.is_dataclass(kind):
        return read_fields(kind, value, f"{name}.")  # type: ignore[arg-type]
    if kind in CHECKS:
        return CHECKS[kind](value, name, limits)
    if typing.get_origin(kind) is tuple:
        parts = typing.get_args(kind)
        if isinstance(value, Mapping):  # names and what belongs to them, as pairs
            value = list(value.items())
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise ValueError(f"{name} must be a list; got {shown(value)}")
        if len(value) > LONGEST:
            raise ValueError(f"{name} must have at most {LONGEST} entries; got {len(value)}")
        if parts[-1] is Ellipsis:
            parts = parts[:1] * len(value)
        if len(value) != len(parts):
            raise ValueError(f"{name} must have {len(parts)} entries; got {len(value)}")
        pairs = enumerate(zip(parts, value))
        return tuple(_check(part, entry, f"{name}[{i}]", limits) for i, (part, entry) in pairs)
    if typing.get_origin(kind) is dict:
        if not isinstance(value, Mapping):
            raise ValueError(f"{name} must be an object with named fields; got {shown(value)}")
        return dict(value)
    raise TypeError(f"{name} has a type that configs cannot have: {kind}")


def whole(value: Any, name: str, limits: tuple[float, float]) -> int:
    """The value, or a ValueError unless it is a whole number within the limits."""
    low, high = limits
    found = plain(value)
    if not isinstance(found, int) or not low <= found <= high:
        raise ValueError(
            f"{name} must be a whole number from {low:.0f} to {high:.0f}; got {shown(value)}"
        )
    return found


def number(value: Any, name: str, limits: tuple[float, float]) -> float:
    """The value, or a ValueError unless it is a number within the limits."""
    low, high = limits
    found = plain(value)
    if found is None or not low <= found <= high:  # nor NaN
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}; got {shown(value)}")
    return found


def integer(value: Any, name: str) -> int:
    """The value as Python's, or a ValueError unless it is a whole number: of Python, numpy or
    PyTorch."""
    found = plain(value)
    if not isinstance(found, int):
        raise ValueError(f"{name} must be a whole number; got {shown(value)}")
    return found


def real(value: Any, name: str) -> float:
    """The value as Python's, or a ValueError unless it is a number: of Python, numpy or
    PyTorch."""
    found = plain(value)
    if found is None:
        raise ValueError(f"{name} must be a number; got {shown(value)}")
    return found


def plain(value: Any) -> int | float | None:
    """A number of Python, numpy or PyTorch (a tensor without axes) as one of Python's, or None."""
    if hasattr(value, "shape"):
        value = value.item() if tuple(value.shape) == () else None
    right = isinstance(value, int | float) and not isinstance(value, bool)
    return value if right else None


def text(value: Any, name: str, limits: tuple[float, float]) -> str:
    """The value, or a ValueError unless it is text."""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text; got {shown(value)}")
    return value


def truth(value: Any, name: str, limits: tuple[float, float]) -> bool:
    """The value, or a ValueError unless it is true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false; got {shown(value)}")
    return value


CHECKS: dict[Any, Callable[[Any, str, tuple[float, float]], Any]] = {
    int: whole,
    float: number,
    str: text,
    bool: truth,
}


def shown(value: Any) -> str:
    """A value as an error shows it: in one line, and not too long."""
    try:
        line = " ".join(repr(value).split())
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"
    return line if len(line) <= 60 else f"{line[:57]}..."
