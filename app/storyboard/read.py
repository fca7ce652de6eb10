"""A storyboard from a file or from a page: everything that can be known before a model loads is
checked, and a mistake is named with its line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from ...files.output_path import FASTEST
from ...generator.conditions.init import Init
from ...generator.conditions.text import Text
from ...generator.sampling.params import SamplingParams
from ..fields import Field, condition_fields, read_values
from ..heard import folder_sound_fps
from ..runs.jobs import LARGEST_SEED
from ..wanted_model import wanted_model
from .located import Located, from_yaml
from .schema import (
    NARRATION,
    Beat,
    Inset,
    Join,
    Length,
    Line,
    Pointer,
    Shot,
    Sound,
    Storyboard,
)
from .times import read_join, read_length, read_seconds

Find = Callable[[Located, str], Path]  # the file that a value names, or its error
Fields = Callable[[str], Sequence[Field]]  # what a model takes, by its name

TABLE = (
    "shots", "model", "adapter", "model_size", "model_fps", "seed", "sampling", "fps", "size",
    "captions", "subtitles", "font", "slides", "narration", "music",
)  # fmt: skip
SHOT = (
    "say", "for", "camera", "picture", "seed", "join", "then", "show", "page", "sound",
    "narration", "title", "caption", "point", "highlight", "inset", "chapter",
)  # fmt: skip
DRAWN_ONLY = ("for", "camera", "picture", "seed", "then")  # make no sense without a sentence
PICTURE = "picture"  # what a storyboard calls the condition `init`
MOST_SHOTS = 1000
LARGEST_SIDE = 4096
LOUDEST = 10.0
LONGEST_TEXT = 2000  # characters


def read_file(path: str | Path) -> Storyboard:
    """The storyboard of a YAML file; files that it names lie relative to it.

    Raises:
        ValueError: in one line with the file's name and the line number.
        OSError: the file cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"the storyboard '{path}' does not exist")

    def find(given: Located, what: str) -> Path:
        place = path.parent / Path(given.text(what)).expanduser()
        if not place.exists():
            given.fail(f"{what}: '{place}' does not exist; files are looked for beside '{path}'")
        return place

    return Reader(find, fields_of, rate_of).storyboard(from_yaml(path))


def fields_of(model: str) -> Sequence[Field]:
    """What a model takes, from its config alone."""
    from ...files.model_folder import find_folder, load_config
    from ...generator.model.config import DecoderConfig

    return condition_fields(load_config(find_folder(model, "generator"), DecoderConfig.from_dict))


def rate_of(model: str) -> float | None:
    """Frames per second that a model draws sound for; None if it draws none."""
    from ...files.model_folder import find_folder

    return folder_sound_fps(find_folder(model, "generator"))


class Reader:
    """Turns values into a storyboard.

    Args:
        find: the file that a value names.
        fields: of a model; asked once, if anything is drawn.
        rate: of a model, as `rate_of`: what `model_fps` is where it is not given.
        wanted: the model that draws, by the model and the adapter that are named, if any are.
    """

    def __init__(
        self,
        find: Find,
        fields: Fields,
        rate: Callable[[str], float | None] = lambda model: None,
        wanted: Callable[[str | None, str | None], str] = wanted_model,
    ) -> None:
        self.find = find
        self.fields = fields
        self.rate = rate
        self.wanted = wanted

    def storyboard(self, root: Located) -> Storyboard:
        """ValueError names the place of what is wrong."""
        table = root.keys("the storyboard", TABLE)
        if "shots" not in table:
            root.fail("there are no shots; write a list of them under 'shots:'")
        given = table["shots"].items("shots")
        if len(given) > MOST_SHOTS:
            table["shots"].fail(f"there may be {MOST_SHOTS} shots; got {len(given)}")
        fields: Sequence[Field] = ()
        settings = self._settings(table)
        model = self._model(table, settings.get("adapter"))
        if any(_draws(shot) for shot in given):
            fields = self._fields(table.get("model", root), model)
            settings.setdefault("model_fps", self.rate(model) or Storyboard.model_fps)
        story = Storyboard(
            tuple(self._shot(shot, fields) for shot in given),
            model=model,
            sampling=_sampling(table.get("sampling")),
            where=root,
            **settings,
        )
        _check_order(story)
        return story

    def _model(self, table: dict[str, Located], adapter: str | None) -> str:
        named = table["model"].text("model") if "model" in table else None
        try:
            return self.wanted(named, adapter)
        except ValueError as error:
            table["adapter"].fail(str(error))

    def _fields(self, place: Located, model: str) -> Sequence[Field]:
        try:
            return self.fields(model)
        except ValueError as error:
            place.fail(str(error))

    def _settings(self, table: dict[str, Located]) -> dict[str, Any]:
        """What holds for the whole video."""
        settings: dict[str, Any] = {}
        if "adapter" in table:
            settings["adapter"] = str(self.find(table["adapter"], "adapter"))
        if "model_size" in table:
            settings["model_size"] = table["model_size"].whole("model_size", 8, LARGEST_SIDE)
        if "seed" in table:
            settings["seed"] = table["seed"].whole("seed", 0, LARGEST_SEED - 1)
        for name in ("fps", "model_fps"):
            if name in table:
                settings[name] = table[name].number(name, 1, FASTEST)
        if "size" in table:
            settings["size"] = _size(table["size"])
        if "captions" in table:
            settings["captions"] = table["captions"].choice("captions", ("burned", "track", "both"))
        for name in ("subtitles", "font", "slides"):
            if name in table:
                settings[name] = self.find(table[name], name)
        for name in ("narration", "music"):
            if name in table:
                settings[name] = self._sound(table[name], name)
        return settings

    def _shot(self, given: Located, fields: Sequence[Field]) -> Shot:
        conditions = [f.name for f in fields if f.name not in (Text.name, Init.name, *SHOT)]
        keys = given.keys("a shot", (*SHOT, *conditions))
        kinds = [name for name in ("say", "show", "page") if name in keys]
        if len(kinds) != 1:
            given.fail(
                "a shot has one of say (a sentence), show (a picture or clip) and page (of the "
                f"slides); got {' and '.join(kinds) or 'none'}"
            )
        if kinds != ["say"]:
            for name in (*DRAWN_ONLY[1:], *conditions):
                if name in keys:
                    keys[name].fail(f"'{name}' is for shots that are drawn; this one shows pixels")
        narration = self._sound(keys["narration"], NARRATION) if "narration" in keys else None
        shot = Shot(
            given,
            narration=narration,
            length=_shot_length(given, keys, narration),
            join=read_join(keys["join"]) if "join" in keys else Join(),
            title=_line(keys["title"], "title") if "title" in keys else None,
            captions=_several(keys.get("caption"), lambda each: _line(each, "caption")),
            pointers=_pointers(keys),
            insets=_several(keys.get("inset"), _inset),
            chapter=_words(keys["chapter"], "chapter") if "chapter" in keys else None,
        )
        if kinds == ["say"]:
            return self._drawn(shot, keys, fields)
        if "page" in keys:
            if "sound" in keys:
                keys["sound"].fail("a page has no sound; leave this out")
            return dataclasses.replace(shot, page=keys["page"].whole("page", 1, 10_000))
        show = self.find(keys["show"], "show")
        return dataclasses.replace(shot, show=show, hears=_hears(keys))

    def _drawn(self, shot: Shot, keys: dict[str, Located], fields: Sequence[Field]) -> Shot:
        """A shot with what its sentence and conditions say."""
        keys["say"].text("say")
        raw: dict[str, Any] = {}
        for field in fields:
            key = {Text.name: "say", Init.name: PICTURE}.get(field.name, field.name)
            if key not in keys:
                continue
            if field.is_file:
                raw[field.name] = self.find(keys[key], key)
            else:
                raw[field.name] = _plain(keys[key])
            try:  # each by itself, so that its own line is named
                read_values(
                    [dataclasses.replace(field, required=False)], {field.name: raw[field.name]}
                )
            except ValueError as error:
                keys[key].fail(str(error).replace(f"{field.name}:", f"{key}:", 1))
        is_condition = "sound" in [field.name for field in fields]
        texts = read_values(fields, raw)
        if shot.join.kind == "continue" and Init.name in texts:
            keys[PICTURE].fail("a shot that continues has its beginning already; leave this out")
        return dataclasses.replace(
            shot,
            say=_limited(keys["say"], texts.pop(Text.name), "say"),
            camera=_words(keys["camera"], "camera") if "camera" in keys else None,
            conditions=texts,
            seed=keys["seed"].whole("seed", 0, LARGEST_SEED - 1) if "seed" in keys else None,
            then=_several(keys.get("then"), _beat),
            hears=is_condition or _hears(keys),
        )

    def _sound(self, given: Located, what: str) -> Sound:
        if not isinstance(given.value, dict):
            return Sound(self.find(given, what))
        keys = given.keys(what, ("file", "volume", "at"))
        if "file" not in keys:
            given.fail(f"{what} needs a file")
        volume = keys["volume"].number("volume", 0, LOUDEST) if "volume" in keys else None
        at = read_seconds(keys["at"], "at") if "at" in keys else 0.0
        return Sound(self.find(keys["file"], what), volume, at)


def _draws(shot: Located) -> bool:
    return isinstance(shot.value, dict) and ("say" in shot.value or "inset" in shot.value)


def _shot_length(given: Located, keys: dict[str, Located], voice: Sound | None) -> Length | None:
    """How long a shot is; None for as long as its narration."""
    if "for" not in keys or keys["for"].value == NARRATION:
        if voice is None:
            place = keys.get("for", given)
            place.fail("a shot needs a length, such as 'for: 3 s', or a narration")
        return None
    return read_length(keys["for"], "for")


def _size(given: Located) -> tuple[int, int]:
    height, width = (item for item in given.numbers("size", 2, 16, LARGEST_SIDE))
    if height % 2 or width % 2:
        given.fail(f"size must be two even numbers, height and width; got {height:g}, {width:g}")
    return int(height), int(width)


def _sampling(given: Located | None) -> dict[str, Any]:
    """Settings of `SamplingParams`, counted in frames."""
    if given is None:
        return {}
    names = [each.name for each in dataclasses.fields(SamplingParams)]
    keys = given.keys("sampling", names)
    values = {name: _plain(value) for name, value in keys.items()}
    for name, value in values.items():
        try:
            SamplingParams(**{name: value})
        except (ValueError, TypeError) as error:
            keys[name].fail(str(error))
    return values


def _plain(given: Located) -> Any:
    """The value without places."""
    if isinstance(given.value, list):
        return [_plain(each) for each in given.value]
    if isinstance(given.value, dict):
        return {name: _plain(each) for name, each in given.value.items()}
    return given.value


def _words(given: Located, what: str) -> str:
    return _limited(given, given.text(what), what)


def _limited(given: Located, text: str, what: str) -> str:
    if len(text) > LONGEST_TEXT:
        given.fail(f"{what} may have {LONGEST_TEXT} characters; got {len(text)}")
    return text


def _several(given: Located | None, read: Callable[[Located], Any]) -> tuple[Any, ...]:
    """One entry, or a list of them."""
    if given is None:
        return ()
    return tuple(read(each) for each in (given.items("it") if _is_list(given) else [given]))


def _is_list(given: Located) -> bool:
    return isinstance(given.value, list)


def _needed(given: Located, keys: dict[str, Located], what: str, name: str) -> Located:
    if name not in keys:
        given.fail(f"{what} needs '{name}'")
    return keys[name]


def _line(given: Located, what: str) -> Line:
    if not isinstance(given.value, dict):
        return Line(_words(given, what))
    keys = given.keys(what, ("text", "at", "for"))
    text = _words(_needed(given, keys, what, "text"), what)
    return Line(text, *_span(keys))


def _span(keys: dict[str, Located]) -> tuple[float, float | None]:
    """When something appears, and for how long."""
    at = read_seconds(keys["at"], "at") if "at" in keys else 0.0
    lasts = read_seconds(keys["for"], "for", above_zero=True) if "for" in keys else None
    return at, lasts


def _beat(given: Located) -> Beat:
    keys = given.keys("then", ("say", "for"))
    say = _words(_needed(given, keys, "then", "say"), "say")
    return Beat(say, read_length(_needed(given, keys, "then", "for"), "for"))


def _pointers(keys: dict[str, Located]) -> tuple[Pointer, ...]:
    def one(kind: Literal["point", "highlight"], place: str, count: int) -> Any:
        def read(given: Located) -> Pointer:
            inside = given.keys(kind, (place, "at", "for"))
            numbers = _needed(given, inside, kind, place).numbers(place, count, 0, 1)
            return Pointer(kind, numbers, *_span(inside))

        return read

    points = _several(keys.get("point"), one("point", "to", 2))
    return points + _several(keys.get("highlight"), one("highlight", "box", 4))


def _inset(given: Located) -> Inset:
    keys = given.keys("inset", ("say", "box", "at", "for", "seed", "sound"))
    say = _words(_needed(given, keys, "inset", "say"), "say")
    left, top, width, height = _needed(given, keys, "inset", "box").numbers("box", 4, 0, 1)
    if not (width and height and left + width <= 1 and top + height <= 1):
        keys["box"].fail("box is left, top, width and height, which must end inside the picture")
    seed = keys["seed"].whole("seed", 0, LARGEST_SEED - 1) if "seed" in keys else None
    return Inset(say, (left, top, width, height), *_span(keys), seed, given, _hears(keys))


def _hears(keys: dict[str, Located]) -> bool:
    return "sound" not in keys or keys["sound"].choice("sound", ("on", "off")) == "on"


def _check_order(story: Storyboard) -> None:
    """What only the shots together can show."""
    before: Shot | None = None
    for shot in story.shots:
        if before is None and shot.join.kind in ("continue", "crossfade"):
            shot.at("join").fail(f"the first shot cannot {shot.join.kind}; there is none before it")
        if shot.join.kind == "continue" and (shot.say is None or (before and before.say is None)):
            shot.at("join").fail("only a drawn shot can continue, and only one that was drawn")
        if shot.page is not None and story.slides is None:
            shot.at("page").fail("there are no slides; name a PDF under 'slides:'")
        before = shot
