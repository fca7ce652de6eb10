"""The storyboard that a page sends, and the one that the gallery keeps.

It is what `kinetoscope compose` reads, with files as the gallery names them, and with the hashes
of what was drawn for each shot beside it:

    {"story": {"shots": [{"say": "a red ball", "for": "3 s"}]}, "pieces": ["9f86d0…"]}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....files.atomic import write_whole
from ....files.json_file import read_object, to_json
from ....generator.conditions import CONDITIONS
from ...decode_apart import check_media
from ...storyboard.located import Located, from_json
from ...storyboard.read import Reader
from ...storyboard.schema import Storyboard
from ..gallery import FOLDER_SHOTS, STORYBOARD, Gallery
from ..models import Models

PIECE = re.compile(r"[0-9a-f]{32}")
FIRST = {"story": {"shots": [{"say": "a red ball rolls to the left", "for": "2 s"}]}, "pieces": []}


def kept_story(gallery: Gallery) -> dict[str, Any]:
    """The storyboard of a gallery; a short one if it has none yet."""
    path = gallery.folder / STORYBOARD
    return read_object(path) if path.is_file() else dict(FIRST)


def keep_story(gallery: Gallery, raw: Any) -> None:
    """Keep what a page sends, even with mistakes in it: somebody is still at it."""
    if not isinstance(raw, Mapping) or not isinstance(raw.get("story"), Mapping):
        raise ValueError('the request must be an object such as {"story": {"shots": []}}')
    pieces = raw.get("pieces")
    found = pieces if isinstance(pieces, list) else []
    kept = [each if isinstance(each, str) and PIECE.fullmatch(each) else None for each in found]
    story = {"story": dict(raw["story"]), "pieces": kept}
    write_whole(gallery.folder / STORYBOARD, to_json(story, indent=1))


def read_story(raw: Any, models: Models, gallery: Gallery) -> Storyboard:
    """The storyboard, checked; ValueError names the shot and the key."""

    def find(given: Located, what: str) -> Path:
        value = given.value
        if what == "adapter":
            models.check(next(iter(models.models)), given.text(what))
            return Path(models.adapters[given.text(what)])
        if not isinstance(value, dict) or "file" not in value:
            given.fail(f"{what} takes a file that is given to the page")
        try:
            path = gallery.given(value["file"].value)
            if what not in CONDITIONS or CONDITIONS[what].kind != "file":
                check_media(path)  # most of it is read in this process
            return path
        except ValueError as error:
            given.fail(str(error))

    def wanted(model: str | None, folder: str | None) -> str:
        return model or models.first(None if folder is None else raw["adapter"])

    located = from_json(raw)
    if isinstance(raw, Mapping) and isinstance(raw.get("model"), str):
        models.check(raw["model"], None)
    return Reader(find, models.fields, models.sound_fps, wanted).storyboard(located)


def poster_path(gallery: Gallery, piece: str) -> Path:
    """Where one picture of a piece is; ValueError for a name that is none."""
    if not PIECE.fullmatch(piece):
        raise ValueError("there is no such piece")
    return gallery.folder / FOLDER_SHOTS / f"{piece}.jpg"
