"""What a request asks for: read, checked, and kept with the video.

Names are those of OpenAI's clients (`prompt`, `model`, `seconds`, `size`, `input_reference`), our
own (`frames`, `fps`, `seed`, the settings of sampling), those of the model's conditions, and some
of other servers. The settings of sampling come from `SamplingParams`, the conditions from their
classes.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import docstring_parser
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from ...files.output_path import FASTEST, SLOWEST
from ...generator.conditions.init import Init
from ...generator.sampling.params import SamplingParams
from ..fields import read_values
from ..heard import is_rate
from .errors import ApiError, wrong_field
from .other_servers import ALIASES, REFERENCES, in_our_words, other_fields, unknown_field
from .served_model import ServedModel

FRAMES = 33
RATE = 12.0
LONGEST = 10**6  # seconds
LONGEST_PROMPT = 2000
REFERENCE = "input_reference"  # OpenAI's name of the picture or clip that a video goes on from
SAMPLING = tuple(each.name for each in fields(SamplingParams))


@dataclass(frozen=True)
class VideoRequest:
    """A video to draw.

    Args:
        scale: pixels of the video per pixel of the model.
        sound: draw the sound too.
        sampling: settings that differ from the usual ones, with frames as frames.
        texts: conditions beside the prompt, as text.
        uploads: conditions that came as files: the name of each file in the video's folder.
    """

    prompt: str
    frames: int
    fps: float
    seed: int
    scale: int
    sampling: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    uploads: Mapping[str, str] = field(default_factory=dict)
    sound: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> VideoRequest:
        return cls(**stored)


def request_schema(model: ServedModel) -> type[BaseModel]:
    """The fields that a request may have, for the page that documents the interface and for the
    check of their types."""
    known: dict[str, Any] = {
        "prompt": (str, Field(description="what the video shows")),
        "model": (str | None, _optional(f"the model that this server draws with: {model.name}")),
        "frames": (int | None, _optional(f"frames of the video; {FRAMES} by default")),
        "seconds": (float | None, _optional("length of the video, in place of frames")),
        "fps": (float | None, _optional(f"frames per second; {RATE:g} by default")),
        "size": (str | None, _optional(f"width x height in pixels: {', '.join(model.sizes())}")),
        "seed": (int | None, _optional("another number gives another video")),
        "priority": (int | None, _optional("videos of a higher one are drawn first; 0 is usual")),
        REFERENCE: (
            str | dict[str, str] | None,
            _optional("a picture or clip to go on from: a file of a form, or a data: URL"),
        ),
    }
    if model.sound_fps is not None:
        words = "whether it has sound, which it has unless this is false"
        known["sound"] = (bool | None, _optional(words))
    docs = docstring_parser.parse(SamplingParams.__doc__ or "")
    helps = {each.arg_name: " ".join((each.description or "").split()) for each in docs.params}
    types: dict[str, Any] = {"accelerate": str, "weights": dict[str, float]}
    whole = ("top_k", "guidance_frames", "window")
    for name in SAMPLING:
        kind = types.get(name, int if name in whole else float)
        known[name] = (kind | None, _optional(helps[name]))
    for each in model.fields:
        kind = str | dict[str, str] if each.is_file else str | int | float | list[float]
        known.setdefault(each.name, (kind | None, _optional(each.help)))
    for name, ours in ALIASES.items():
        if ours in known:
            known[name] = (known[ours][0], _optional(f"another name of {ours}"))
    known = other_fields() | known
    return create_model("CreateVideo", __config__=ConfigDict(extra="forbid"), **known)


def read_request(
    raw: Mapping[str, Any], files: Mapping[str, str], model: ServedModel, schema: type[BaseModel]
) -> tuple[VideoRequest, int]:
    """A checked request and its priority.

    Args:
        raw: the fields of JSON or of a form, without those of files.
        files: conditions that came as files, and the name of each file.

    Raises:
        ApiError: 400, naming the field.
    """
    given = _typed(raw, schema)
    in_our_words(given, model.sound_fps is not None)
    if given.pop("model", None) not in (None, model.name):
        message = f"this server draws with '{model.name}' only"
        raise ApiError(404, message, "model", "model_not_found")
    fps = given.pop("fps", model.sound_fps or RATE)
    if not SLOWEST <= fps <= FASTEST:
        raise wrong_field("fps", f"fps must be from {SLOWEST:g} to {FASTEST:g}; got {fps:g}")
    sound = _sound(given.pop("sound", None), fps, model)
    frames = _frames(given, fps)
    scale = _scale(given.pop("size", None), model)
    seed = given.pop("seed", None)
    if seed is not None and not 0 <= seed < 2**63:
        raise wrong_field("seed", f"seed must be from 0 to 2 ** 63 - 1; got {seed}")
    sampling = {name: given.pop(name) for name in SAMPLING if name in given}
    _check_sampling(sampling, model)
    priority = given.pop("priority", 0)
    prompt = given.get("prompt", "")
    if len(prompt) > LONGEST_PROMPT:
        message = f"prompt must have at most {LONGEST_PROMPT} letters; got {len(prompt)}"
        raise wrong_field("prompt", message)
    texts = _texts(given, files, model)
    request = VideoRequest(
        texts.pop("prompt"),
        frames,
        fps,
        secrets.randbelow(2**31) if seed is None else seed,
        scale,
        sampling,
        texts,
        dict(files),
        sound,
    )
    return request, priority


def _optional(text: str) -> Any:
    return Field(default=None, description=text)


def _typed(raw: Mapping[str, Any], schema: type[BaseModel]) -> dict[str, Any]:
    """What is given, in the types of the schema."""
    try:
        read = schema.model_validate(dict(raw))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            raise unknown_field(name) from None
        raise wrong_field(name, f"{name}: {first['msg']}") from None
    return {name: value for name, value in read.model_dump().items() if value is not None}


def _sound(wanted: bool | None, fps: float, model: ServedModel) -> bool:
    """Whether sound is drawn; it is for frames of one length."""
    if model.sound_fps is None or wanted is False:
        return False
    if not is_rate(fps, model.sound_fps):
        message = (
            f"fps must be {model.sound_fps:g}, for which this model draws sound; send that, or "
            f'"sound": false; got {fps:g}'
        )
        raise wrong_field("fps", message)
    return True


def _frames(given: dict[str, Any], fps: float) -> int:
    frames = given.pop("frames", None)
    seconds = given.pop("seconds", None)
    if frames is not None and seconds is not None:
        raise wrong_field("seconds", "give frames or seconds, not both")
    if seconds is not None:
        if not 0 < seconds <= LONGEST:
            message = f"seconds must be above 0 and at most {LONGEST}; got {seconds:g}"
            raise wrong_field("seconds", message)
        return max(1, round(seconds * fps))
    if frames is not None and frames < 1:
        raise wrong_field("frames", f"frames must be at least 1; got {frames}")
    return FRAMES if frames is None else int(frames)


def _scale(size: str | None, model: ServedModel) -> int:
    if size is None:
        return model.usual_scale
    if size not in model.sizes():
        sizes = ", ".join(model.sizes())
        raise wrong_field("size", f"size must be one of {sizes}; got '{size[:40]}'")
    return model.sizes().index(size) + 1


def _check_sampling(sampling: Mapping[str, Any], model: ServedModel) -> None:
    try:
        params = SamplingParams(**sampling)
    except ValueError as error:  # it begins with the name of the field
        raise wrong_field(str(error).split()[0], str(error)) from None
    if params.window is not None and params.window > model.longest_window:
        message = f"window must be 1 to {model.longest_window} frames; got {params.window}"
        raise wrong_field("window", message)
    takes = [each.name for each in model.fields]
    for name in params.weights:
        if name not in takes:
            message = f"weights: this model takes no '{name[:40]}'; it takes {', '.join(takes)}"
            raise wrong_field("weights", message)


def _texts(given: dict[str, Any], files: Mapping[str, str], model: ServedModel) -> dict[str, str]:
    """Conditions that are given as text, checked; the prompt is one of them."""
    here = [each for each in model.fields if not each.is_file]
    for each in model.fields:
        if each.is_file and each.name in given:
            message = f"{each.name}: send it as a file of a form, or as a data: URL"
            raise wrong_field(each.name, message)
        if each.required and each.is_file and each.name not in files:
            raise wrong_field(each.name, f"{each.name}: it must be given: {each.help}")
    try:
        return read_values(here, {name: given.get(name) for name in [e.name for e in here]})
    except ValueError as error:
        raise wrong_field(str(error).partition(":")[0], str(error)) from None


def condition_of(name: str) -> str:
    """The condition that a file of this name is for."""
    return Init.name if name in REFERENCES else name
