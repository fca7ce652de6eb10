"""What the judge read from a clip, and how much of the truth it is.

Words are indices into the tables of `scene`, as in `captions.facts`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

from ..captions.attributes import Attributes
from ..captions.facts import UNKNOWN, Facts, Thing
from ..colours import BASIC
from ..scene import (
    CAMERAS,
    GROUNDS,
    MATERIALS,
    MOTIONS,
    PLACES,
    SHAPES,
    SIZES,
    STYLES,
    TIMES,
    WEATHERS,
)

COLOUR_NAMES = (*BASIC, "other")
NO_SECOND = len(MOTIONS)  # where there is no second motion
SCENE_WORDS = ("ground", "time", "weather", "style", "place", "camera")
THING_WORDS = ("colour", "shape", "material", "size", "motion")


@dataclass(frozen=True)
class SeenThing:
    """An object: colour into COLOUR_NAMES; second is NO_SECOND if it does one thing only; place:
    from left to right in the frame that shows it first, 0 to 1; share: of frames that show it."""

    colour: int
    shape: int
    material: int
    size: int
    motion: int
    second: int
    direction: int
    speed: int
    place: float
    share: float

    def __str__(self) -> str:
        words = [SIZES[self.size], MATERIALS[self.material], COLOUR_NAMES[self.colour]]
        words += [SHAPES[self.shape], MOTIONS[self.motion]]
        then = [] if self.second == NO_SECOND else ["then", MOTIONS[self.second]]
        return " ".join([*words, *then])


@dataclass(frozen=True)
class Touch:
    """Two things, as places in `Reading.things`, touch at a frame; one is the smaller number."""

    one: int
    two: int
    frame: int


@dataclass(frozen=True)
class Reading:
    """What one clip shows; things from left to right as first seen."""

    things: tuple[SeenThing, ...]
    touches: tuple[Touch, ...]
    ground: int
    time: int
    weather: int
    style: int
    place: int
    camera: int
    camera_speed: int

    def __str__(self) -> str:
        scene = [GROUNDS[self.ground], TIMES[self.time], WEATHERS[self.weather]]
        scene += [STYLES[self.style], PLACES[self.place], f"camera {CAMERAS[self.camera]}"]
        touches = [f"{t.one} touches {t.two} at frame {t.frame}" for t in self.touches]
        return ", ".join([*map(str, self.things), *touches, *scene])


def matched(reading: Reading, truth: Sequence[Thing]) -> list[SeenThing | None]:
    """For each true thing what was seen of it: the assignment with the most words right."""
    seen: list[SeenThing | None] = list(reading.things)
    seen += [None] * max(0, len(truth) - len(seen))
    best: list[SeenThing | None] = []
    most = -1.0
    for order in permutations(seen, len(truth)):
        right = sum(_right_words(thing, mine) for thing, mine in zip(truth, order))
        if right > most:
            most, best = right, list(order)
    return best


def _right_words(thing: Thing, seen: SeenThing | None) -> float:
    if seen is None:
        return 0.0
    votes = [value for value in thing_votes(thing, seen).values() if value is not None]
    return sum(votes) + 0.5


def thing_votes(thing: Thing, seen: SeenThing | None) -> dict[str, bool | None]:
    """Which words of a thing were read; None for what the picture does not show."""
    votes: dict[str, bool | None] = {}
    for name in ("colour", "shape", "material", "size"):
        wanted = getattr(thing, name)
        if wanted == UNKNOWN or (name == "colour" and wanted >= len(BASIC)):
            votes[name] = None
        else:
            votes[name] = seen is not None and getattr(seen, name) == wanted
    votes["motion"] = None
    if thing.deeds:
        second = thing.deeds[1].motion if len(thing.deeds) > 1 else NO_SECOND
        deeds = (thing.deeds[0].motion, second)
        votes["motion"] = seen is not None and (seen.motion, seen.second) == deeds
    return votes


def agreement(reading: Reading, truth: Facts) -> dict[str, list[bool]]:
    """Which words were read as they are: one vote for each object, or one for the clip.

    "touch" is right if the same pairs of things touch as in the truth, "objects" if all words of
    all things but their motions are, "all" if everything is, and nothing more is seen than that.
    """
    pairs = matched(reading, truth.things)
    votes: dict[str, list[bool]] = defaultdict(list)
    for thing, seen in zip(truth.things, pairs):
        for name, value in thing_votes(thing, seen).items():
            if value is not None:
                votes[name].append(value)
    votes["count"].append(len(reading.things) == len(truth.things))
    for name in SCENE_WORDS:
        wanted = getattr(truth, name)
        if wanted != UNKNOWN:
            votes[name].append(getattr(reading, name) == wanted)
    votes["touch"].append(_touching(reading, pairs) == _hitting(truth))
    looks = [votes[name] for name in ("colour", "shape", "material", "size", "count")]
    votes["objects"] = [all(all(values) for values in looks)]
    votes["all"] = [all(all(values) for values in votes.values())]
    return dict(votes)


def obeyed(reading: Reading, said: Attributes) -> dict[str, list[bool]]:
    """Which words of a sentence a clip shows: one vote for each word that is said.

    "count" is right if as many things are seen as are named, "direction" and "speed" are those of
    first motions, "looks" is right if the words of looks of all things and their count are, "all"
    if all words are.
    """
    pairs = matched(reading, said.things)
    votes: dict[str, list[bool]] = defaultdict(list)
    for thing, seen in zip(said.things, pairs):
        for name, value in thing_votes(thing, seen).items():
            if value is not None:
                votes[name].append(value)
        for name, unsaid in (("direction", 0), ("speed", UNKNOWN)):
            wanted = getattr(thing.deeds[0], name) if thing.deeds else unsaid
            if wanted != unsaid:
                votes[name].append(seen is not None and getattr(seen, name) == wanted)
    votes["count"].append(len(reading.things) == len(said.things))
    for name in SCENE_WORDS:
        wanted = getattr(said, name)
        if wanted != UNKNOWN:
            votes[name].append(getattr(reading, name) == wanted)
    looks = [votes[name] for name in ("colour", "shape", "material", "size", "count")]
    votes["looks"] = [all(all(values) for values in looks)]
    votes["all"] = [all(all(values) for values in votes.values())]
    return {name: values for name, values in votes.items() if values}


def _touching(reading: Reading, pairs: Sequence[SeenThing | None]) -> set[frozenset[int]]:
    """Pairs of true things, as places in the truth, that the reading says touch."""
    place = {id(seen): index for index, seen in enumerate(pairs) if seen is not None}
    found = set()
    for touch in reading.touches:
        both = [place.get(id(reading.things[n]), -1 - n) for n in (touch.one, touch.two)]
        found.add(frozenset(both))
    return found


def _hitting(truth: Facts) -> set[frozenset[int]]:
    place = {thing.slot: index for index, thing in enumerate(truth.things)}
    hits = [(hit.who, hit.whom) for hit in truth.hits if hit.whom != UNKNOWN]
    return {frozenset((place[who], place[whom])) for who, whom in hits}


def said(reading: Reading, truth: Facts) -> str:
    """The attributes that were read wrongly, and the reading."""
    votes = agreement(reading, truth)
    wrong = [name for name, values in votes.items() if not all(values) and name != "all"]
    return f"wrong {', '.join(wrong)}; read {reading}"


def score(readings: Sequence[Reading], truths: Sequence[Facts]) -> dict[str, float]:
    """Share of right votes per attribute; ValueError unless there is a truth for each reading."""
    if not readings or len(readings) != len(truths):
        raise ValueError(
            f"one truth per reading is needed, and at least one; got {len(readings)} and "
            f"{len(truths)}"
        )
    votes: dict[str, list[bool]] = defaultdict(list)
    for reading, truth in zip(readings, truths):
        for name, values in agreement(reading, truth).items():
            votes[name] += values
    return {name: sum(values) / len(values) for name, values in votes.items() if values}
