"""What the options of several commands have in common."""

from __future__ import annotations

from typing import Any, Literal

from ...files.output_path import FASTEST, SLOWEST
from ...generator.conditions import CONDITIONS
from ...generator.sampling.params import SamplingParams

Precision = Literal["float32", "bfloat16"]
COUNTS = ("window", "guidance_frames")
MeasuredPrecision = Literal["float32", "bfloat16", "auto"]


def at_least_one(numbers: dict[str, int | float | None]) -> None:
    """ValueError, naming the option, unless counts are 1 or more and `fps` is one that a video can
    have."""
    for name, value in numbers.items():
        if name == "fps" and value is not None and not SLOWEST <= value <= FASTEST:
            raise ValueError(f"--fps must be from {SLOWEST:g} to {FASTEST:g}; got {value:g}")
        if name != "fps" and value is not None and value < 1:
            raise ValueError(f"--{name} must be at least 1; got {value}")


def pictures() -> frozenset[str]:
    """Endings of the names of videos and images."""
    from ...data.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES

    return VIDEO_SUFFIXES | IMAGE_SUFFIXES


class Settings(dict[str, Any]):
    """What is given of the settings of `SamplingParams`, windows and guided frames counted in
    frames; the model's own hold for the others.

    A parameter of this type becomes an option for each of them.
    """

    def check(self) -> Settings:
        """Itself; ValueError, naming the option, for a value out of range."""
        try:
            SamplingParams(**self)
        except ValueError as error:  # it begins with the name of the field
            field, _, rest = str(error).partition(" ")
            raise ValueError(f"--{field.replace('_', '-')} {rest}") from error
        at_least_one({name.replace("_", "-"): self.get(name) for name in COUNTS})
        return self


class Conditions(dict[str, str]):
    """What is given of the conditions of a model, as text by their names.

    A parameter of this type becomes an option for each class in `generator.conditions`, but for
    the prompt, which every command takes in its own way.
    """

    def check(self) -> Conditions:
        """Itself; ValueError for text that can never become a value. No model is needed for it."""
        for name, text in self.items():
            CONDITIONS[name].check(text)
        return self
