"""How the files that a storyboard names are read.

A person's own files are read in this process, as any viewer does. Files that others send are read
in one that may die: whoever takes them gives functions that do so (`decode_apart`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...data.video.sound import read_sound
from ..fields import parse_values
from .drawing import Parse
from .given import ReadPictures, read_pictures
from .sound import ReadSound, has_sound


@dataclass(frozen=True)
class Reading:
    """Functions that read files.

    Args:
        values: conditions, as `parse_values`.
        sound: as `read_sound`.
        has_sound: whether a clip that is shown can be heard.
        pictures: what is shown, as `read_pictures`.
    """

    values: Parse = parse_values
    sound: ReadSound = read_sound
    has_sound: Callable[[Path], bool] = has_sound
    pictures: ReadPictures = read_pictures
