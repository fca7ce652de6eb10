"""The files of the page's storyboard are uploads: all of them are read in a process with limits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ....generator.conditions import Canvas
from ....generator.conditions.base import Say
from ...decode_apart import decode_apart, has_sound_apart, pictures_apart, sound_apart
from ...limited_process import Limits
from ...storyboard.reading import Reading


def reading_apart(limits: Limits) -> Reading:
    """How a storyboard's files are read, within limits."""

    def values(texts: Mapping[str, str], canvas: Canvas, say: Say) -> dict[str, Any]:
        return decode_apart(texts, canvas, limits, say=say)

    return Reading(
        values,
        partial(sound_apart, limits=limits),
        partial(has_sound_apart, limits=limits),
        partial(pictures_apart, limits=limits),
    )
