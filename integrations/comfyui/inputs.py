"""What the sampling node asks for, derived from the settings of sampling and from the condition
classes: a new condition is an input without a line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

import docstring_parser
from comfy_api.latest import io
from kinetoscope.generator import SamplingParams
from kinetoscope.generator.conditions import CONDITIONS, Canvas

from .pictures import to_clip

PROMPT = "prompt"
PICTURES = ("picture", "clip")
MOST = 1 << 20
OWN = -1  # of a number: that of the model
CODES_NAMED = ("weights",)  # a mapping, which has no widget


def setting_inputs() -> list[Any]:
    """An input for each setting of sampling; a number that is left at -1 is the model's own."""
    helps = {
        told.arg_name: told.description
        for told in docstring_parser.parse(SamplingParams.__doc__ or "").params
    }
    types = get_type_hints(SamplingParams)
    return [
        _setting(field.name, types[field.name], field.default, helps.get(field.name))
        for field in fields(SamplingParams)
        if field.name not in CODES_NAMED
    ]


def _setting(name: str, kind: Any, default: Any, tooltip: str | None) -> Any:
    if get_origin(kind) is Literal:
        return io.Combo.Input(name, options=list(get_args(kind)), default=default, tooltip=tooltip)
    if kind is float:
        own = {"default": float(OWN), "min": float(OWN), "max": 100.0, "step": 0.05}
        return io.Float.Input(name, **own, tooltip=f"{tooltip} {OWN}: the model's own.")
    if kind is int:
        own = {"default": OWN, "min": OWN, "max": MOST}
        return io.Int.Input(name, **own, tooltip=f"{tooltip} {OWN}: the model's own.")
    return io.Int.Input(name, optional=True, min=1, max=MOST, tooltip=tooltip)  # int or None


def condition_inputs() -> list[Any]:
    """An input for each condition but the prompt; none has to be given."""
    return [
        _condition(condition.name, condition.kind, condition.choices, condition.help)
        for condition in CONDITIONS.values()
        if condition.name != PROMPT
    ]


def _condition(name: str, kind: str, choices: tuple[str, ...], tooltip: str) -> Any:
    if kind in PICTURES:
        return io.Image.Input(name, optional=True, tooltip=tooltip)
    if kind == "sound":
        return io.Audio.Input(name, optional=True, tooltip=tooltip)
    if choices:
        return io.Combo.Input(name, options=list(choices), optional=True, tooltip=tooltip)
    return io.String.Input(name, optional=True, default="", tooltip=tooltip)


def condition_values(given: Mapping[str, Any], model: Any, frames: int) -> dict[str, Any]:
    """The values that a session takes.

    Raises:
        ValueError: a condition that the model does not take, or a value that it cannot be.
    """
    height, width = model.size
    k = model.decoder.config.frames_per_latent
    canvas = Canvas(height, width, 12.0, frames, k)
    values = {}
    for name, value in given.items():
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        model.check_takes(name)
        if CONDITIONS[name].kind in PICTURES:
            values[name] = to_clip(value, model.size, k)
        else:
            values[name] = CONDITIONS[name].parse(value, canvas)
    return values
