"""What a page asks to be made, checked: it is also what a record of the gallery keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from dataclasses import field as item
from pathlib import Path
from typing import Any

from ...generator.sampling.params import SamplingParams
from ..fields import Field, read_values
from ..heard import is_rate
from ..runs.jobs import LARGEST_SEED
from .gallery import Gallery
from .models import FPS, FRAMES, Models, sampling_controls

MOST_FRAMES = 20_000
MOST_VIDEOS = 8
LARGEST_SCALE = 128
LARGEST_WEIGHT = 1000
LONGEST_NAME = 200  # characters of what a file is called
VERBS = ("again", "go on", "change")


@dataclass(frozen=True)
class Origin:
    """The video that another one comes from: made again, or with its first frames as the past."""

    video: str
    verb: str
    frame: int = 0  # of the old video that the past ends with; 0 where nothing is taken over


@dataclass(frozen=True)
class Settings:
    """What to make.

    conditions: text by name, or {"file": its name in the gallery, "name": its owner's name};
    frames: of each video; size: height in pixels, None for the model's own; seed: of the first
    video, the next ones have the next numbers, None for a random one; count: videos; sampling:
    fields of `SamplingParams`, counted in frames; origin: where it comes from; scale: pixels of the
    file per pixel of the model, None for as many as can be watched; sound: draw it, if the model
    can.
    """

    conditions: Mapping[str, Any]
    model: str
    adapter: str | None = None
    frames: int = FRAMES
    fps: float = FPS
    size: int | None = None
    seed: int | None = None
    count: int = 1
    sampling: Mapping[str, Any] = item(default_factory=dict)
    origin: Origin | None = None
    scale: int | None = None
    sound: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def prompt(self) -> str:
        return str(self.conditions["prompt"])

    def names(self) -> dict[str, str]:
        """What the owners of given files call them, by the names of the conditions."""
        return {
            name: str(value["name"])
            for name, value in self.conditions.items()
            if isinstance(value, Mapping)
        }

    def texts(self, fields: list[Field], gallery: Gallery) -> dict[str, str]:
        """The conditions as `parse_values` takes them; ValueError names the field."""
        return read_values(fields, {n: _raw(n, v, gallery) for n, v in self.conditions.items()})


def _kept(value: Any) -> Any:
    """What a record keeps of a value: of a file its name here and its owner's."""
    if not isinstance(value, Mapping):
        return value
    return {"file": value.get("file"), "name": str(value.get("name", "the file"))[:LONGEST_NAME]}


def _raw(name: str, value: Any, gallery: Gallery) -> Any:
    if not isinstance(value, Mapping):
        return None if isinstance(value, Path) else value
    try:
        return gallery.given(value.get("file"))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def read_settings(raw: Any, models: Models, gallery: Gallery) -> Settings:
    """What a request asks for; everything that can be known without loading a model is checked.

    Raises:
        ValueError: in one line that begins with the name of what is wrong.
    """
    if not isinstance(raw, Mapping):
        raise ValueError("the request must be a JSON object")
    known = Settings.__dataclass_fields__
    for name in raw:
        if name not in known:
            raise ValueError(f"{name}: unknown; a request has {', '.join(known)}")
    adapter = raw.get("adapter") or None
    named = raw.get("model") or next(iter(models.models))
    models.check(_word("model", named), adapter and _word("adapter", adapter))
    model = named if raw.get("model") else models.first(adapter)
    conditions = raw.get("conditions")
    if not isinstance(conditions, Mapping):
        raise ValueError('conditions: it must be an object such as {"prompt": "a red ball"}')
    given = {name: _kept(value) for name, value in conditions.items() if value not in (None, "")}
    sampling = raw.get("sampling") or {}
    if not isinstance(sampling, Mapping):
        raise ValueError('sampling: it must be an object such as {"guidance": 2.0}')
    settings = Settings(
        conditions=given,
        model=model,
        adapter=adapter,
        frames=_number("frames", raw.get("frames", FRAMES), 1, MOST_FRAMES),
        fps=_number("fps", raw.get("fps", FPS), 1, 120, whole=False),
        size=_optional("size", raw.get("size"), 8, 4096),
        seed=_optional("seed", raw.get("seed"), 0, LARGEST_SEED - 1),
        count=_number("count", raw.get("count", 1), 1, MOST_VIDEOS),
        sampling={name: value for name, value in sampling.items() if value is not None},
        origin=_origin(raw.get("origin"), gallery),
        scale=_optional("scale", raw.get("scale"), 1, LARGEST_SCALE),
        sound=raw.get("sound") is not False,
    )
    _check_sound(settings, models)
    fields = models.fields(model)
    _check_sampling(settings, fields)
    settings.texts(fields, gallery)
    if settings.origin and settings.origin.frame and "init" in given:
        raise ValueError("init: the video already goes on from another one; leave this out")
    return settings


def _check_sampling(settings: Settings, fields: list[Field]) -> None:
    """Names, kinds and ranges."""
    known = {control["name"]: control for control in sampling_controls()}
    for name, value in settings.sampling.items():
        if name == "weights":  # the page has no control for them, but gives back those of a video
            _check_weights(value, fields)
            continue
        if name not in known:
            raise ValueError(f"sampling: there is no '{name}'; there is {', '.join(known)}")
        control = known[name]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if control["kind"] == "choice" and not isinstance(value, str):
            raise ValueError(f"{name}: it must be one of {', '.join(control['choices'])}")
        if control["kind"] == "number" and not (
            number and abs(value) < LARGEST_SEED and not (control["whole"] and value % 1)
        ):
            kind = "a whole number" if control["whole"] else "a number"
            raise ValueError(f"{name}: it must be {kind}; got {value!r}")
    SamplingParams(**settings.sampling)  # ValueError names the setting


def _check_sound(settings: Settings, models: Models) -> None:
    """Frames are as long as those that the model draws sound for."""
    wanted = models.sound_fps(settings.model) if settings.sound else None
    if wanted is not None and not is_rate(settings.fps, wanted):
        raise ValueError(
            f"fps: this model draws sound for {wanted:g} frames a second; ask for that many, or "
            f"for no sound; got {settings.fps:g}"
        )


def _check_weights(weights: Any, fields: list[Field]) -> None:
    names = [field.name for field in fields]
    if not isinstance(weights, Mapping) or not set(weights) <= set(names):
        raise ValueError(f"weights: it must be an object of numbers by {', '.join(names)}")
    for name, value in weights.items():
        _number(f"weights.{name}", value, 0, LARGEST_WEIGHT, whole=False)


def _origin(raw: Any, gallery: Gallery) -> Origin | None:
    if raw is None:
        return None
    if not isinstance(raw, Mapping) or raw.get("verb") not in VERBS:
        raise ValueError(f"origin: it must have a verb: {', '.join(VERBS)}")
    record = gallery.record(_word("origin", raw.get("video")))
    frame = 0
    if raw["verb"] != "again":
        frame = _number("origin.frame", raw.get("frame"), 1, int(record["frames"]))
    return Origin(record["id"], raw["verb"], frame)


def _word(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name}: it must be a name; got {value!r}")
    return value


def _optional(name: str, value: Any, low: int, high: int) -> int | None:
    return None if value is None else _number(name, value, low, high)


def _number(name: str, value: Any, low: int, high: int, whole: bool = True) -> Any:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    if not fits or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"{name}: it must be {kind} from {low} to {high}; got {value!r}")
    return int(value) if whole else float(value)
