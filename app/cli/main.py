"""The `kinetoscope` command: a file of this folder, or of a room in it, for each of its commands.

A command is a typed function in a file of its name; its options, types and help come from its
signature and docstring (`parser`). What a command needs is imported when it runs, so that help,
the version and mistakes in the arguments are answered without torch. Every mistake of a user ends
in one line on standard error with the way out, and exit status 2.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from ...training.here import check_here, print_any_name
from ...training.progress import INTERRUPTED, complain, one_line, terminate_as_interrupt
from .parser import UsageError, parse

COMMANDS = (
    "sample",
    "reconstruct",
    "encode",
    "decode",
    "prepare",
    "describe",
    "data",
    "evaluate",
    "demo",
    "serve",
    "inspect",
    "identity",
    "ledger",
    "studio",
    "compose",
)
# Second words that make another command of a first one: files in a folder of its name.
SECOND_WORDS = {"evaluate": ("videos", "tokenizer", "generator", "compare")}
# Commands whose files lie together in a folder of another name.
ROOMS = {"inspect": "provenance", "identity": "provenance", "ledger": "provenance"}
USAGE = 2
# Objects made before the first search for garbage. Imports make half a million, none of them
# garbage, and Python's own 700 make it search for a tenth of the time to the first picture.
OBJECTS = 50_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    if arguments is None:  # this is the program, not a call
        gc.set_threshold(OBJECTS)
    words = list(sys.argv[1:] if arguments is None else arguments)
    print_any_name()
    try:
        check_here()
        if not words or words[0] in ("-h", "--help"):
            print(overview())
            return 0 if words else USAGE
        if words[0] == "--version":
            print(f"kinetoscope {version('kinetoscope')}")
            return 0
        name = words[0]
        if name not in COMMANDS:
            raise UsageError(f"unknown command '{name}'; the commands are {', '.join(COMMANDS)}")
        name, rest = split_command(words)
        with terminate_as_interrupt():
            function = load(name)
            status = function(**parse(name, function, rest))
        return status if isinstance(status, int) else 0
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has gone
        return USAGE
    except (OSError, ValueError) as error:
        return _fail(one_line(error), USAGE)


def split_command(words: Sequence[str]) -> tuple[str, list[str]]:
    """The name of a command, which may have two words, and what is left for it."""
    count = 2 if words[1:2] and words[1] in SECOND_WORDS.get(words[0], ()) else 1
    return " ".join(words[:count]), list(words[count:])


def load(name: str) -> Callable[..., Any]:
    """The function of a command."""
    place = name.replace(" ", ".")
    place = f"{ROOMS[name]}.{place}" if name in ROOMS else place
    return getattr(importlib.import_module(f".{place}", __package__), place.split(".")[-1])


def overview() -> str:
    """The help of the command without a subcommand."""
    width = max(map(len, COMMANDS))
    summaries = [(inspect.getdoc(load(name)) or "").split("\n")[0] for name in COMMANDS]
    rows = [f"  {name:<{width}}  {summary}" for name, summary in zip(COMMANDS, summaries)]
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
