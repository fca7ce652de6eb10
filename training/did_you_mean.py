"""Finds the key of a config that a mistyped one was probably meant to be."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Collection, Iterable
from typing import Any

UNKNOWN = re.compile(
    r"(?:does not accept option '|unrecognized arguments: --)([\w.]+)"
    r"|Option '([\w.]+)' is not accepted"
)


def name_nearest(message: str, known: Collection[str]) -> str:
    """The message of a parser; one about an unknown key gets the nearest of the `known` keys.

    A known key is such as "model.lr". The parser does not know the keys of classes that the config
    chooses; for those, the parameters of all our classes count.
    """
    found = UNKNOWN.search(message)
    if not found:
        return message
    key = found[1] or found[2]
    before, name, options = _first_unknown(key, known) if found[1] else ("", key, _parameters())
    initials = "".join(word[:1] for word in name.split("_"))  # of learning_rate: lr
    near = difflib.get_close_matches(name, sorted(options - {name}), 1)
    nearest = near or sorted({initials} & options)
    return f"'{key}' is not a setting" + (
        f"; did you mean '{before}{nearest[0]}'?" if nearest else ""
    )


def _first_unknown(key: str, known: Collection[str]) -> tuple[str, str, set[str]]:
    """What comes before the first unknown part of a key, that part, and what could stand there."""
    before = ""
    name = key
    options = set[str]()
    for name in key.split("."):
        options = {
            other.removeprefix(before).split(".")[0] for other in known if other.startswith(before)
        }
        if name not in options:
            break
        before += f"{name}."
    return before, name, options


def _parameters() -> set[str]:
    """Parameters of all our classes that are loaded."""
    names: set[str] = set()
    for module in [
        module for name, module in sys.modules.items() if name.startswith("kinetoscope.")
    ]:
        for value in list(vars(module).values()):
            if inspect.isclass(value) and value.__module__.startswith("kinetoscope."):
                names |= set(_signature(value))
    return names - {"self", "args", "kwargs"}


def _signature(value: Any) -> Iterable[str]:
    try:
        return inspect.signature(value).parameters
    except (TypeError, ValueError):
        return ()
