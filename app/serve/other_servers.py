"""What clients of other servers of `/v1/videos` send, in the words of this one.

Names are those of vLLM-Omni (https://docs.vllm.ai/projects/vllm-omni/en/stable/serving/videos_api/)
and of SGLang (https://github.com/sgl-project/sglang/blob/main/docs/diffusion/api/openai_api.md).
What has no meaning for codes that are drawn one after another is refused with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from .errors import ApiError, wrong_field

ALIASES = {
    "num_frames": "frames",
    "guidance_scale": "guidance",
    "negative_prompt": "negative",
    "generate_sound": "sound",
}
# a picture or clip to go on from
REFERENCES = ("input_reference", "image_reference", "video_reference", "reference_url", "video_url")
INSIDE = ("extra_body", "video_params")  # objects whose fields count as those of the request
NO_STEPS = "codes are drawn one after another, without steps of diffusion; leave it out"
REASONS = {
    "num_inference_steps": NO_STEPS,
    "flow_shift": NO_STEPS,
    "boundary_ratio": NO_STEPS,
    "guidance_scale_2": "there is one scale of the sentence: guidance; see weights for the others",
    "true_cfg_scale": "there is one scale of the sentence: guidance; see weights for the others",
    "lora": "the adapter is that of the server, which is started with --adapter",
    "extra_params": "write what is in it as fields of the request",
}


def other_fields() -> dict[str, Any]:
    """Fields of a request that only other servers know, for its schema."""
    return {
        "width": (int | None, Field(default=None, description="with height: another way of size")),
        "height": (int | None, Field(default=None, description="with width: another way of size")),
        "n": (int | None, Field(default=None, description="videos: 1; send a request for each")),
        "num_outputs_per_prompt": (int | None, Field(default=None, description="the same as n")),
        "generate_sound": (
            bool | None,
            Field(default=None, description="the same as sound, of a model that draws some"),
        ),
        "user": (str | None, Field(default=None, description="taken, and not kept")),
    }


def unfolded(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A request whose fields are not in objects inside it.

    Raises:
        ApiError: 400, if one of them is no object.
    """
    fields = dict(raw)
    for name in INSIDE:
        if name not in fields:
            continue
        inside = from_json(fields.pop(name))
        if not isinstance(inside, Mapping):
            raise wrong_field(name, f"{name} must be an object of fields, or left out")
        for each, value in inside.items():
            fields.setdefault(each, value)
    return fields


def from_json(given: Any) -> Any:
    """An object that a form holds as text; anything else stays as it is."""
    if isinstance(given, str) and given.lstrip().startswith("{"):
        try:
            return json.loads(given)
        except (ValueError, RecursionError):
            return given
    return given


def in_our_words(given: dict[str, Any], has_sound: bool) -> None:
    """Rename what has a name of another server, in place.

    Args:
        given: the fields of a request, of the types of its schema.
        has_sound: whether the model draws sound.

    Raises:
        ApiError: 400, naming the field.
    """
    if not has_sound and given.pop("generate_sound", False):
        raise wrong_field("generate_sound", "this model draws no sound; leave generate_sound out")
    for alias, name in ALIASES.items():
        if alias in given and name in given:
            raise wrong_field(alias, f"give {name} or {alias}, not both")
        if alias in given:
            given[name] = given.pop(alias)
    for name in ("n", "num_outputs_per_prompt"):
        if (count := given.pop(name, 1)) != 1:
            message = f"{name} must be 1; send a request for each video; got {count}"
            raise wrong_field(name, message)
    given.pop("user", None)
    width = given.pop("width", None)
    height = given.pop("height", None)
    if width is None and height is None:
        return
    if width is None or height is None:
        missing = "width" if width is None else "height"
        raise wrong_field(missing, "give width and height, or neither")
    if given.setdefault("size", f"{width}x{height}") != f"{width}x{height}":
        raise wrong_field("size", "give size, or width and height, not both")


def unknown_field(name: str) -> ApiError:
    """The refusal of a field that no request has."""
    reason = REASONS.get(name)
    if reason is not None:
        message = f"there is no field '{name}': {reason}"
    else:
        message = f"there is no field '{name[:100]}'; see /docs for those that there are"
    return ApiError(400, message, name[:100], "unknown_field")
