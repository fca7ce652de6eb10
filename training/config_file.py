"""Files of settings (YAML): whether one can be read, told without a word of what it holds.

Somebody may give a file of passwords, or of noise, in place of one of settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

OPTIONS = ("--config", "-c")
DEEPEST = 100  # levels; what reads the file later calls itself for each
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_named_configs(words: Sequence[str]) -> None:
    """ValueError if a file that the words of a command line give as settings holds none; one that
    is not there is left to the parser."""
    for place, word in enumerate(words):
        name, _, value = word.partition("=")
        if name not in OPTIONS:
            continue
        value = value or next(iter(words[place + 1 :]), "")
        if Path(value).is_file():
            check_config(Path(value))


def check_config(path: Path) -> None:
    """ValueError, with the place of the mistake, unless a file is YAML with settings by name."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"'{path}' cannot be read as YAML: it is no text in UTF-8") from None
    depth = 0
    first = ""
    anchors: set[str] = set()
    try:
        for event in yaml.parse(text, Loader=LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.NodeEvent):
                first = first or type(event).__name__
                _check_anchor(event, anchors)
            if depth > DEEPEST:
                raise ValueError(
                    f"'{path}' cannot be read as YAML: it is nested more than {DEEPEST} levels deep"
                )
    except yaml.YAMLError as error:
        raise ValueError(f"'{path}' cannot be read as YAML{_place(error)}") from None
    if first and first != "MappingStartEvent":
        raise ValueError(f"'{path}' is no file of settings: a line of one is 'name: value'")


def _check_anchor(event: yaml.NodeEvent, anchors: set[str]) -> None:
    """Remember the name of a value; YAMLError if one is asked for that is not there."""
    if isinstance(event, yaml.AliasEvent) and event.anchor not in anchors:
        raise yaml.MarkedYAMLError(problem="undefined alias", problem_mark=event.start_mark)
    if event.anchor is not None:
        anchors.add(event.anchor)


def _place(error: yaml.YAMLError) -> str:
    """Where a mistake is and what it is, in the words of the parser, which quote nothing."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or ""
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{where}: {problem}" if problem else where
