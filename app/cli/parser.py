"""From a typed function and its docstring to the arguments of a command line."""

from __future__ import annotations

import argparse
import inspect
import re
import textwrap
from collections.abc import Callable, Collection, Sequence
from typing import Any, NoReturn

# Short names of options, and what stands for the value of an option in help.
SHORT = {"out": ("-o",), "model": ("-m",)}
METAVARS = {
    "dtype": "DTYPE",
    "quantize": "KIND",
    "prompts": "FILE",
    "init": "FILE",
    "json": "FILE",
    "grid_out": "FILE",
    "real_clips": "FOLDER",
    "real_sources": "PATTERNS",
    "adapter": "FOLDER",
}
NUMBERS = {"int": "a whole number", "float": "a number"}


class UsageError(ValueError):
    """The command line cannot be understood."""


class WideHelp(argparse.RawDescriptionHelpFormatter):
    """Leaves the explanations more room than argparse does."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=100)


def parse(name: str, function: Callable[..., Any], words: Sequence[str]) -> dict[str, Any]:
    """The arguments that a command line gives to a function."""
    values = build_parser(name, function).parse_args(list(words))
    return {key: values[key] for key in inspect.signature(function).parameters}


def build_parser(name: str, function: Callable[..., Any]) -> Any:
    """A parser with an argument for each parameter of the function, explained by its docstring.

    What can be given without its name in Python needs no name on the command line either.
    """
    import docstring_parser
    import jsonargparse

    parameters = inspect.signature(function, eval_str=True).parameters.values()
    unnamed = {each.name for each in parameters if each.kind is not inspect.Parameter.KEYWORD_ONLY}

    class Parser(jsonargparse.ArgumentParser):
        def error(self, message: str, ex: Exception | None = None) -> NoReturn:
            raise UsageError(f"{_readable(message, unnamed)} (see kinetoscope {name} --help)")

    docs = docstring_parser.parse(inspect.getdoc(function) or "")
    parser = Parser(
        prog=f"kinetoscope {name}",
        description="\n\n".join(textwrap.fill(text, 100) for text in _paragraphs(docs)),
        formatter_class=WideHelp,
    )
    helps = {param.arg_name: " ".join((param.description or "").split()) for param in docs.params}
    for parameter in parameters:
        text = helps.get(parameter.name, "")
        _add_argument(parser, parameter, text, parameter.name in unnamed)
    return parser


def _add_argument(parser: Any, parameter: inspect.Parameter, text: str, positional: bool) -> None:
    name = parameter.name
    kind = parameter.annotation
    default = parameter.default
    required = default is inspect.Parameter.empty
    options = {} if required else {"default": default}
    if not required and default is not None and default is not False:
        text += f" (default: {default})"
    if positional:
        several = "list[" in str(kind)
        count = ("+" if required else "*") if several else None if required else "?"
        parser.add_argument(
            name,
            type=str if several else kind,
            nargs=count,
            help=text,
            metavar=name.upper(),
            **options,
        )
        return
    flags = [*SHORT.get(name, ()), "--" + name.replace("_", "-")]
    if kind is bool:
        parser.add_argument(*flags, action="store_true", help=text)
    else:
        number = "N" if "int" in str(kind) else "X" if "float" in str(kind) else None
        metavar = number or METAVARS.get(name, name.upper())
        parser.add_argument(
            *flags, type=kind, help=text, metavar=metavar, required=required, **options
        )


def _paragraphs(docs: Any) -> list[str]:
    texts = [docs.short_description or "", *(docs.long_description or "").split("\n\n")]
    return [" ".join(text.split()) for text in texts if text.strip()]


def _readable(message: str, unnamed: Collection[str]) -> str:
    """A parser's complaint in the words of the command line."""
    message = " ".join(message.split())
    if missing := re.fullmatch(r"the following arguments are required: (.*)", message):
        names = [
            name.upper() if name in unnamed else f"--{name}" for name in missing[1].split(", ")
        ]
        return f"{' and '.join(names)} must be given"
    if not (found := re.match(r'Parser key "(\w+)": (.*)', message)):
        return message
    option = "--" + found[1].replace("_", "-")
    reason = found[2]
    if choice := re.fullmatch(
        r"Expected a typing.Literal\[(.*)\]\. (?:Got|Given) value: (.*)", reason
    ):
        allowed = choice[1].replace("'", "").replace(", ", " or ")
        return f"{option} must be {allowed}; got {choice[2]}"
    wrong = re.search(r"<class '(int|float)'>.*(?:Got|Given) value: (.*)", reason)
    return (
        f"{option} must be {NUMBERS[wrong[1]]}; got {wrong[2]}" if wrong else f"{option}: {reason}"
    )
