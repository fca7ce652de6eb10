"""What a page, an HTTP interface and a storyboard ask of a model's conditions.

Everything is derived from the condition classes: a new condition is a field of the page, a key of
a storyboard and a part of a request without a line here.

    fields = condition_fields(generator)
    texts = read_values(fields, {"prompt": "a red ball", "init": Path("uploads/first.png")})
    values = parse_values(texts, Canvas(64, 64, 12, 33, 4))
    generator.session(**values)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files.image_files import IMAGE_SUFFIXES
from ..generator.conditions import CONDITIONS, EVERY_MODEL, Canvas
from ..generator.conditions.base import Condition, Kind, Say
from ..generator.conditions.text import Text

if TYPE_CHECKING:
    from ..generator.model.config import DecoderConfig
    from ..generator.pipeline import VideoGenerator

FILES = ("picture", "clip", "sound", "file")
SOUNDS = (".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav")


@dataclass(frozen=True)
class Field:
    """One thing that a person may give.

    Attributes:
        name: of the condition; the key of a request.
        label: what a page calls it.
        help: what it does, in a line or two.
        kind: decides how it is asked for; `is_file` says whether it is a file.
        required: whether no video can be made without it.
        choices: the only words that it may be; () if it is free.
        limits: the lowest and the highest number; None if it has none.
        endings: of the names of files that make sense; () for any, and for other kinds.
        guidance: its guidance weight unless a request names another.
    """

    name: str
    label: str
    help: str
    kind: Kind
    required: bool = False
    choices: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None
    endings: tuple[str, ...] = ()
    guidance: float = 1.0

    @property
    def is_file(self) -> bool:
        return self.kind in FILES

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return {**asdict(self), "is_file": self.is_file}


def condition_fields(model: VideoGenerator | DecoderConfig) -> list[Field]:
    """A field for each condition that a model takes, the prompt first.

    Args:
        model: or the config of its decoder alone, which is read without loading the model.
    """
    from ..generator.model.config import DecoderConfig

    config = model if isinstance(model, DecoderConfig) else model.decoder.config
    sizes = dict(config.conditions)
    return [_field(name, sizes.get(name)) for name in dict.fromkeys((*EVERY_MODEL, *sizes))]


def label_of(condition: Condition) -> str:
    """What a page calls a condition."""
    return condition.label or condition.name.replace("_", " ").capitalize()


def _field(name: str, size: int | None) -> Field:
    condition = CONDITIONS[name]
    return Field(
        name,
        label_of(condition),
        condition.help,
        condition.kind,
        name == Text.name,
        condition.choices,
        None if size is None else condition.limits(size),
        _endings(condition.kind),
        condition.guidance,
    )


def _endings(kind: Kind) -> tuple[str, ...]:
    if kind == "sound":
        return SOUNDS
    if kind not in ("picture", "clip"):
        return ()
    from ..data.video import VIDEO_SUFFIXES

    return tuple(sorted(IMAGE_SUFFIXES | (VIDEO_SUFFIXES if kind == "clip" else set())))


def read_values(fields: Sequence[Field], raw: Mapping[str, Any]) -> dict[str, str]:
    """What a request gives, as checked text by the names of the conditions.

    Nothing is opened here but what a condition's own `check` looks at. What is None or empty is
    not given.

    Args:
        raw: text, a number or a list of numbers; for a field of a file the `Path` of a file that
            the caller has put there or trusts: text is never taken for a path.

    Raises:
        ValueError: in one line that begins with the name of the field.
    """
    known = {field.name: field for field in fields}
    for name in raw:
        if name not in known:
            raise ValueError(f"{name}: this model takes no '{name}'; it takes {', '.join(known)}")
    texts = {}
    for name, field in known.items():
        given = raw.get(name)
        empty = given is None or (isinstance(given, str) and not given.strip())
        if not empty:
            texts[name] = _text(field, given)
        elif field.required:
            raise ValueError(f"{name}: it must be given: {field.help}")
    return texts


def parse_values(
    texts: Mapping[str, str], canvas: Canvas, say: Say = print, names: Mapping[str, str] = {}
) -> dict[str, Any]:
    """The values that a session takes, from the text of `read_values`; files are read here.

    Args:
        canvas: the videos that they are for.
        say: is told in a line what a person should know, such as what was left out.
        names: what to call a file in an error and to `say`, by the field's name, in place of its
            path.

    Raises:
        ValueError: in one line that begins with the name of the field.
    """
    values = {}
    for name, text in texts.items():
        shown = names.get(name, text)

        def tell(line: str, path: str = text, shown: str = shown) -> None:
            say(line.replace(path, shown))

        try:
            values[name] = CONDITIONS[name].parse(text, canvas, tell)
        except (OSError, ValueError) as error:
            raise ValueError(_named(name, str(error).replace(text, shown))) from error
    return values


def _text(field: Field, given: Any) -> str:
    """One value as text that its condition takes."""
    if field.is_file != isinstance(given, Path):
        wanted = "a file" if field.is_file else "text and no file"
        raise ValueError(f"{field.name}: it takes {wanted}; got {type(given).__name__}")
    text = _joined(field, given)
    if field.choices and text not in field.choices:
        raise ValueError(
            f"{field.name}: it must be one of {', '.join(field.choices)}; got '{text}'"
        )
    if field.kind == "number" and field.limits is not None:
        _check_numbers(field, text)
    try:
        CONDITIONS[field.name].check(text)
    except ValueError as error:
        raise ValueError(_named(field.name, str(error))) from error
    return text


def _joined(field: Field, given: Any) -> str:
    """A number, or several, as a command line has them."""
    several = given if isinstance(given, list | tuple) else [given]
    numbers = all(isinstance(n, int | float) and not isinstance(n, bool) for n in several)
    if field.kind == "number" and several and numbers:
        return ",".join(str(int(n) if n % 1 == 0 else n) for n in several)
    if not isinstance(given, str | Path):
        wanted = "a number or a list of numbers" if field.kind == "number" else "text"
        raise ValueError(f"{field.name}: it must be {wanted}; got {type(given).__name__}")
    return str(given).strip()


def _check_numbers(field: Field, text: str) -> None:
    low, high = field.limits or (0, 0)
    for word in text.split(","):
        try:
            fits = low <= float(word) <= high
        except ValueError:
            return  # the condition says what is wrong with it
        if not fits:
            raise ValueError(f"{field.name}: it must be {low:g} to {high:g}; got {word.strip()}")


def _named(name: str, message: str) -> str:
    """One line that begins with the name of the field, once."""
    line = " ".join(message.split())
    return line if line.startswith(f"{name}:") else f"{name}: {line}"
