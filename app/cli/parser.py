"""From a typed function and its docstring to the arguments of a command line."""

from __future__ import annotations

import argparse
import inspect
import re
import textwrap
from collections.abc import Callable, Collection, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn, get_type_hints

from ...generator.conditions import CONDITIONS
from ...generator.conditions.text import Text
from ...generator.sampling.params import SamplingParams
from .options import Conditions, Settings

PROMPT = Text.name

# Short names of options, and what stands for the value of an option in help.
SHORT = {"out": ("-o",), "model": ("-m",)}
METAVARS = {
    "dtype": "DTYPE",
    "quantize": "KIND",
    "prompts": "FILE",
    "json": "FILE",
    "grid_out": "FILE",
    "real_clips": "FOLDER",
    "real_sources": "PATTERNS",
    "adapter": "FOLDER",
    "policy": "CLASS",
    "webhook": "URL",
    "require_licence": "NAMES",
    "trust": "FILE",
    "mark_key": "FILE",
}
# options with several values, and what stands for them
SEVERAL = {"sign_with": ("CHAIN", "KEY"), "mark_owner": ("KEY", "N")}
FILES = ("picture", "clip", "sound", "file")  # kinds of conditions
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
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    return {parameter.name: _value(parameter, values) for parameter in parameters}


def _value(parameter: inspect.Parameter, values: Any) -> Any:
    """What the options of a parameter come to."""
    if is_dataclass(parameter.annotation):
        options = [each.name for each in fields(parameter.annotation)]
        make: Any = parameter.annotation
        try:
            return make(**{option: values[option] for option in options})
        except ValueError as error:  # it begins with the name of the field
            field, _, rest = str(error).partition(" ")
            raise UsageError(f"--{field.replace('_', '-')} {rest}") from error
    if parameter.annotation is Settings:
        chosen = {each.name: values[each.name] for each in fields(SamplingParams)}
        return Settings({name: value for name, value in chosen.items() if value is not None})
    if parameter.annotation is Conditions:
        given = {option: values[option] for option in CONDITIONS if option != PROMPT}
        return Conditions({option: text for option, text in given.items() if text is not None})
    return values[parameter.name]


def build_parser(name: str, function: Callable[..., Any]) -> Any:
    """A parser with an argument for each parameter of the function, explained by its docstring.

    What can be given without its name in Python needs no name on the command line either. A
    parameter whose type is a dataclass becomes an option for each of its fields, explained by the
    docstring of the dataclass; one of type `Conditions` an option for each condition, and one of
    type `Settings` an option for each setting of sampling.
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
    helps = _helps(function)
    for parameter in parameters:
        if is_dataclass(parameter.annotation):
            _add_fields(parser, parameter.annotation)
        elif parameter.annotation is Settings:
            _add_fields(parser, SamplingParams, of_the_model=True)
        elif parameter.annotation is Conditions:
            _add_conditions(parser)
        else:
            text = helps.get(parameter.name, "")
            _add_argument(parser, parameter, text, parameter.name in unnamed)
    return parser


def _add_fields(parser: Any, kind: Any, of_the_model: bool = False) -> None:
    """An option for each field of a dataclass, without a default if the model has its own."""
    types = get_type_hints(kind)
    helps = _helps(kind)
    usual = kind()
    for each in fields(kind):
        default, text = getattr(usual, each.name), helps[each.name]
        if of_the_model:
            text += f" (default: the model's own, or {default})" if default else ""
            default = None
        field = inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=types[each.name]
        )
        _add_argument(parser, field, text, positional=False)


def _add_conditions(parser: Any) -> None:
    """An option for each condition that a model may take."""
    for condition in CONDITIONS.values():
        if condition.name != PROMPT:
            option = "--" + condition.name.replace("_", "-")
            metavar = "FILE" if condition.kind in FILES else condition.kind.upper()
            parser.add_argument(option, help=condition.help, metavar=metavar, default=None)


def _helps(explained: Any) -> dict[str, str]:
    """What a docstring says of each parameter."""
    import docstring_parser

    docs = docstring_parser.parse(inspect.getdoc(explained) or "")
    texts = {param.arg_name: " ".join((param.description or "").split()) for param in docs.params}
    return {name: text.replace("%", "%%") for name, text in texts.items()}  # as argparse wants it


def _add_argument(parser: Any, parameter: inspect.Parameter, text: str, positional: bool) -> None:
    name = parameter.name
    kind = parameter.annotation
    default = parameter.default
    required = default is inspect.Parameter.empty
    options = {} if required else {"default": default}
    if not required and default not in (None, False, {}):
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
        numbers = {"int": "N", "float": "X", "Mapping": "{NAME: X}"}
        found = [letter for word, letter in numbers.items() if re.search(rf"\b{word}\b", str(kind))]
        metavar: Any = found[-1] if found else METAVARS.get(name, name.upper())
        if name in SEVERAL:
            kind, metavar = str, SEVERAL[name]
            options["nargs"] = len(metavar)
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
