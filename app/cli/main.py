"""The `kinetoscope` command, built from typed functions and their docstrings.

Options, types and help come from the functions in `commands` (and `evaluate`). Every mistake of a
user ends in one line on standard error with the way out, and exit status 2.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, NoReturn

from ...training.progress import INTERRUPTED, complain, one_line

# name -> where the function is, and what it does. Only the function that is asked for gets
# imported.
COMMANDS = {
    "sample": (".commands", "Turn sentences into videos."),
    "reconstruct": (
        ".commands",
        "Show what a tokenizer keeps of videos, side by side, and measure it.",
    ),
    "encode": (".commands", "Turn videos into files of codes."),
    "decode": (".commands", "Turn files of codes back into videos."),
    "prepare": (".commands", "Turn a folder of videos into shards of codes to train on."),
    "describe": (
        "...generator.training.cost",
        "Print what training a generator costs, computed from its config.",
    ),
    "evaluate": ("...evaluation.prompts", "Measure a model and print the tables."),
    "demo": (".commands", "Turn the sentences of the demo into videos and one grid of them all."),
}
# Parameters that need no option name, and short names of options.
POSITIONAL = {"prompt", "video", "codes", "folder", "shards", "config"}
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
SHORT = {"out": ("-o",), "model": ("-m",)}
USAGE = 2


class UsageError(ValueError):
    """The command line cannot be understood."""


class WideHelp(argparse.RawDescriptionHelpFormatter):
    """Leaves the explanations more room than argparse does."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=100)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not words or words[0] in ("-h", "--help"):
            print(overview())
            return 0 if words else USAGE
        if words[0] == "--version":
            print(f"kinetoscope {version('kinetoscope')}")
            return 0
        name = words[0]
        if name not in COMMANDS:
            raise UsageError(f"unknown command '{name}'; the commands are {', '.join(COMMANDS)}")
        function = load(name)
        status = function(**parse(name, function, words[1:]))
        return status if isinstance(status, int) else 0
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has gone
        return USAGE
    except (OSError, ValueError) as error:
        return _fail(one_line(error), USAGE)


def load(name: str) -> Callable[..., Any]:
    """The function behind a command."""
    module = importlib.import_module(COMMANDS[name][0], __package__)
    return getattr(module, name)


def parse(name: str, function: Callable[..., Any], words: Sequence[str]) -> dict[str, Any]:
    """The arguments that a command line gives to a function."""
    values = build_parser(name, function).parse_args(list(words))
    return {key: values[key] for key in inspect.signature(function).parameters}


def build_parser(name: str, function: Callable[..., Any]) -> Any:
    """A parser with an argument for each parameter of the function, explained by its docstring."""
    import docstring_parser
    import jsonargparse

    class Parser(jsonargparse.ArgumentParser):
        def error(self, message: str, ex: Exception | None = None) -> NoReturn:
            raise UsageError(f"{_readable(message)} (see kinetoscope {name} --help)")

    docs = docstring_parser.parse(inspect.getdoc(function) or "")
    parser = Parser(
        prog=f"kinetoscope {name}",
        description="\n\n".join(textwrap.fill(text, 100) for text in _paragraphs(docs)),
        formatter_class=WideHelp,
    )
    helps = {param.arg_name: " ".join((param.description or "").split()) for param in docs.params}
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        positional = parameter.name in POSITIONAL or (name, parameter.name) == ("evaluate", "model")
        _add_argument(parser, parameter, helps.get(parameter.name, ""), positional)
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
        metavar = METAVARS.get(name, number or name.upper())
        parser.add_argument(
            *flags, type=kind, help=text, metavar=metavar, required=required, **options
        )


def _paragraphs(docs: Any) -> list[str]:
    texts = [docs.short_description or "", *(docs.long_description or "").split("\n\n")]
    return [" ".join(text.split()) for text in texts if text.strip()]


def _readable(message: str) -> str:
    """A parser's complaint in the words of the command line."""
    message = " ".join(message.split())
    if missing := re.fullmatch(r"the following arguments are required: (.*)", message):
        names = [
            name.upper() if name in POSITIONAL else f"--{name}" for name in missing[1].split(", ")
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


def overview() -> str:
    """The help of the command without a subcommand."""
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: kinetoscope COMMAND …",
            "",
            "Words, images and video to video, by predicting discrete spacetime tokens one after "
            "another.",
            "",
            *rows,
            "",
            "`kinetoscope COMMAND --help` explains a command; `kinetoscope --version` prints the "
            "version.",
            'Try: kinetoscope sample "a red ball rolls to the left" --out ball.mp4',
        ]
    )


def _fail(message: str, status: int) -> int:
    complain(message)
    return status


if __name__ == "__main__":
    sys.exit(main())
