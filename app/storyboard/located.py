"""Values of a storyboard with the place where each stands, so that an error can name it.

A storyboard comes as YAML, where a place is a line, or as JSON from a page, where it is a shot and
a key.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from ...training.config_file import check_config

MOST_VALUES = 20_000
DEEPEST = 12  # a storyboard needs five
MOST_BYTES = 4 << 20

Value: TypeAlias = "bool | int | float | str | list[Located] | dict[str, Located] | None"


@dataclass(frozen=True)
class Located:
    """A value and where it stands, in words such as "story.yaml, line 7"."""

    value: Value
    where: str

    def fail(self, message: str) -> NoReturn:
        """ValueError, in one line, that begins with the place."""
        raise ValueError(f"{self.where}: {message}")

    @contextlib.contextmanager
    def blamed(self) -> Iterator[None]:
        """Mistakes that are found in this block, such as a file that cannot be read, are said with
        the place."""
        try:
            yield
        except ValueError as error:
            self.fail(str(error))

    @property
    def kind(self) -> str:
        """What sort of value it is, in words."""
        if isinstance(self.value, dict):
            return "a table of keys"
        if isinstance(self.value, list):
            return "a list"
        return "nothing" if self.value is None else repr(self.value)

    # ---- reading ----

    def keys(self, what: str, known: Collection[str]) -> dict[str, Located]:
        """A table of keys, all of which are known."""
        if not isinstance(self.value, dict):
            self.fail(f"{what} must be a table of keys; got {self.kind}")
        for key, value in self.value.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                hint = f"; did you mean '{near[0]}'?" if near else f"; there is {', '.join(known)}"
                value.fail(f"{what} has no key '{key}'{hint}")
        return self.value

    def items(self, what: str) -> list[Located]:
        """The values of a list, which must not be empty."""
        if not isinstance(self.value, list) or not self.value:
            self.fail(f"{what} must be a list with at least one entry; got {self.kind}")
        return self.value

    def text(self, what: str) -> str:
        """A text that is not empty; a number is taken as it is written."""
        is_text = isinstance(self.value, str | int | float) and not isinstance(self.value, bool)
        text = str(self.value).strip() if is_text else ""
        if not text:
            self.fail(f"{what} must be a text; got {self.kind}")
        return text

    def number(self, what: str, low: float, high: float) -> float:
        """A number in a range."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(f"{what} must be a number; got {self.kind}")
        if not low <= value <= high:
            self.fail(f"{what} must be {low:g} to {high:g}; got {value:g}")
        return float(value)

    def whole(self, what: str, low: int, high: int) -> int:
        """A whole number in a range."""
        number = self.number(what, low, high)
        if number % 1:
            self.fail(f"{what} must be a whole number; got {number:g}")
        return int(number)

    def choice(self, what: str, choices: Sequence[str]) -> str:
        """One of several words."""
        value = self.value
        if isinstance(value, bool):  # YAML reads a bare on and off as yes and no
            value = "on" if value else "off"
        if not isinstance(value, str) or value not in choices:
            self.fail(f"{what} must be {' or '.join(choices)}; got {self.kind}")
        return value

    def numbers(self, what: str, count: int, low: float, high: float) -> tuple[float, ...]:
        """A list of so many numbers."""
        items = self.value if isinstance(self.value, list) else []
        if len(items) != count:
            self.fail(f"{what} must be a list of {count} numbers; got {self.kind}")
        return tuple(item.number(what, low, high) for item in items)


def from_yaml(path: Path) -> Located:
    """What a YAML file holds.

    Raises:
        ValueError: with the line, for what is no YAML, a key that stands twice, or too much of it.
        OSError: the file cannot be read.
    """
    import yaml

    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"'{path}' has more than {MOST_BYTES >> 20} MiB; it is no storyboard")
    check_config(path)
    loader = yaml.SafeLoader(path.read_text(encoding="utf-8-sig"))
    try:
        node = loader.get_single_node()
        if node is None:
            raise ValueError(f"'{path}' is empty; write a list of shots under 'shots:'")
        return _Nodes(loader, path.name).located(node, 0)
    except yaml.MarkedYAMLError as error:  # such as a second document
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise ValueError(f"'{path}' cannot be read as a storyboard{line}") from None
    finally:
        loader.dispose()


class _Nodes:
    """Turns the nodes of a YAML file into values."""

    def __init__(self, loader: Any, name: str) -> None:
        self.loader = loader
        self.name = name
        self.count = 0

    def located(self, node: Any, depth: int) -> Located:
        import yaml

        where = f"{self.name}, line {node.start_mark.line + 1}"
        self.count += 1
        if self.count > MOST_VALUES or depth > DEEPEST:
            raise ValueError(f"{where}: this is too much, or too deep, for a storyboard")
        if isinstance(node, yaml.MappingNode):
            return Located(self._table(node, depth), where)
        if isinstance(node, yaml.SequenceNode):
            return Located([self.located(item, depth + 1) for item in node.value], where)
        value = self._scalar(node, where)
        if value is not None and not isinstance(value, bool | int | float | str):
            value = str(node.value)  # such as a date
        return Located(value, where)

    def _scalar(self, node: Any, where: str) -> Any:
        """What a word of YAML means. A message never repeats the word: it may be a secret."""
        import yaml

        try:
            return self.loader.construct_object(node)
        except yaml.YAMLError:
            raise ValueError(f"{where}: a storyboard has no values with such a tag") from None
        except ValueError:  # such as the 99th of a month
            raise ValueError(f"{where}: this is no date, time or number; quote text") from None

    def _table(self, node: Any, depth: int) -> dict[str, Located]:
        import yaml

        table: dict[str, Located] = {}
        for key, value in node.value:
            line = f"{self.name}, line {key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                raise ValueError(f"{line}: a key must be a word, not a list or a table")
            name = str(key.value)
            if name in table:
                raise ValueError(f"{line}: the key '{name}' stands here for the second time")
            found = self.located(value, depth + 1)
            # a value that begins in the next line is looked for at its key
            table[name] = Located(found.value, line)
        return table


def from_json(value: Any, where: str = "the storyboard", depth: int = 0) -> Located:
    """What a page sends; places are called by the names of the keys and the numbers of the
    shots."""
    if depth > DEEPEST:
        raise ValueError(f"{where}: this is too deep for a storyboard")
    if isinstance(value, Mapping):
        return Located(
            {
                str(key): from_json(each, _place(where, key), depth + 1)
                for key, each in value.items()
            },
            where,
        )
    if isinstance(value, list | tuple):
        one = "shot" if where == "shots" else where
        return Located(
            [from_json(each, f"{one} {n}", depth + 1) for n, each in enumerate(value, 1)], where
        )
    if value is not None and not isinstance(value, bool | int | float | str):
        raise ValueError(
            f"{where}: it must be text, a number or a list; got {type(value).__name__}"
        )
    return Located(value, where)


def _place(where: str, key: object) -> str:
    return str(key) if where == "the storyboard" else f"{where}, {key}"
