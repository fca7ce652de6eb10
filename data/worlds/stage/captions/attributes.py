"""What a caption says of a clip: some of what the clip shows, chosen by a seed.

Every object that is seen is named, with enough of its attributes to tell it from the others. What
is said of motions, camera, weather and the rest varies from nothing to everything; the plain case
(stands, still camera, day, clear, shaded) is said less often than others, so that what is not said
mostly is the plain case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from ..colours import COLOURS
from ..scene import (
    CAMERAS,
    DIRECTIONS,
    GROUNDS,
    MATERIALS,
    MOTIONS,
    PLACES,
    SHAPES,
    SIZES,
    SPEEDS,
    STYLES,
    TIMES,
    WEATHERS,
)
from .facts import COLLIDE, EMERGE, ORBIT, STAND, UNKNOWN, Deed, Facts, Hit, Thing

T = TypeVar("T")
LOOKS = ("size", "material", "colour", "shape")
MOST_THINGS = 4


class Dice:
    """Chances that follow from a seed and the name of what they decide, in any order."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def chance(self, name: str) -> float:
        """A number from 0 to below 1."""
        digest = hashlib.blake2b(f"{self.seed} {name}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64

    def pick(self, name: str, options: Sequence[T]) -> T:
        return options[int(self.chance(name) * len(options))]

    def order(self, name: str, items: Sequence[T]) -> list[T]:
        """The items in some order."""
        ranks = [self.chance(f"{name} {index}") for index in range(len(items))]
        return [item for _, item in sorted(zip(ranks, items), key=lambda pair: pair[0])]


@dataclass(frozen=True)
class Attributes:
    """What a sentence says. Indices into the tables of `scene`, UNKNOWN where nothing is said.

    things: in the order in which they are named; slots in deeds and hits are places in `things`.
    alike: the things are named together, as "two balls".
    """

    things: tuple[Thing, ...]
    hits: tuple[Hit, ...] = ()
    camera: int = UNKNOWN
    camera_speed: int = UNKNOWN
    camera_target: int = UNKNOWN
    time: int = UNKNOWN
    weather: int = UNKNOWN
    ground: int = UNKNOWN
    style: int = UNKNOWN
    place: int = UNKNOWN
    alike: bool = False

    def vector(self) -> Tensor:
        """int64 [len(VECTOR_SIZES)]: number of things less one; of each of four things colour,
        shape, material, size, then motion, direction and speed of both its motions; camera, its
        speed, time, weather, ground, style, place, whether two things touch. -1: not said."""
        flat = [len(self.things) - 1]
        for index in range(MOST_THINGS):
            if index >= len(self.things):
                flat += [UNKNOWN] * 10
                continue
            thing = self.things[index]
            flat += [thing.colour, thing.shape, thing.material, thing.size]
            for phase in range(2):
                deed = thing.deeds[phase] if phase < len(thing.deeds) else Deed(UNKNOWN, UNKNOWN)
                flat += [deed.motion, deed.direction, deed.speed]
        touches = any(hit.whom >= 0 for hit in self.hits)
        flat += [self.camera, self.camera_speed, self.time, self.weather, self.ground]
        flat += [self.style, self.place, int(touches)]
        return torch.tensor(flat)


_DEED_SIZES = (len(MOTIONS), len(DIRECTIONS), len(SPEEDS))
_THING_SIZES = (len(COLOURS), len(SHAPES), len(MATERIALS), len(SIZES), *_DEED_SIZES * 2)
VECTOR_SIZES = (
    MOST_THINGS,
    *_THING_SIZES * MOST_THINGS,
    len(CAMERAS),
    len(SPEEDS),
    len(TIMES),
    len(WEATHERS),
    len(GROUNDS),
    len(STYLES),
    len(PLACES),
    2,
)
"""Number of values of each entry of `Attributes.vector`."""


def choose(facts: Facts, dice: Dice) -> Attributes:
    """What to say of what is there."""
    detail = dice.chance("detail")
    ranked = dice.order("things", facts.things)
    if dice.chance("left to right") < 0.5:
        ranked = sorted(facts.things, key=lambda thing: thing.place)
    order = _movers_first(ranked, facts.hits)
    place = {thing.slot: index for index, thing in enumerate(order)}
    looks = [_looks(index, order, dice, detail) for index in range(len(order))]
    deeds = [_deeds(thing, index, place, dice, detail) for index, thing in enumerate(order)]
    things = tuple(
        replace(thing, **{name: UNKNOWN for name in LOOKS if name not in said}, deeds=acts)
        for thing, said, acts in zip(order, looks, deeds)
    )
    alike = _alike(order, things, dice)
    if alike:
        things = _alike_looks(order, things)
    hits = () if alike else _said_hits(facts.hits, things, place, dice)
    says = _scene_words(facts, dice, detail)
    target = place.get(facts.camera_target, UNKNOWN)
    if says["camera"] == CAMERAS.index("follow"):
        if alike or target == UNKNOWN:
            says["camera"] = UNKNOWN
            says["camera_speed"] = UNKNOWN
    else:
        target = UNKNOWN
    return Attributes(things, hits, **says, camera_target=target, alike=alike)


def _movers_first(order: Sequence[Thing], hits: Sequence[Hit]) -> list[Thing]:
    """Who hits, circles or comes out from behind another is named before it."""
    order = list(order)
    pairs = [(thing.slot, deed.target) for thing in order for deed in thing.deeds]
    pairs += [(hit.who, hit.whom) for hit in hits]
    slots = [thing.slot for thing in order]
    for who, whom in pairs:
        if whom in slots and slots.index(who) > slots.index(whom):
            order.insert(slots.index(whom), order.pop(slots.index(who)))
            slots = [thing.slot for thing in order]
    return order


def _looks(index: int, order: Sequence[Thing], dice: Dice, detail: float) -> set[str]:
    """Which attributes of a thing to name, enough to tell it from the others."""
    thing = order[index]
    shares = {
        "colour": 0.93,
        "shape": 0.95,
        "material": (0.45 if thing.material == MATERIALS.index("matte") else 0.75) * detail + 0.15,
        "size": 0.25 * detail if thing.size == SIZES.index("medium") else 0.8 * detail,
    }
    known = [name for name in shares if getattr(thing, name) != UNKNOWN]
    said = {name for name in known if dice.chance(f"say {name} {index}") < shares[name]}
    others = [other for other in order if other is not thing]
    for name in ("shape", "colour", "material", "size"):
        vague = not said & {"shape", "colour"}
        if not vague and not any(_fits(other, thing, said) for other in others):
            break
        if name in known:
            said.add(name)
    return said


def _fits(other: Thing, thing: Thing, said: set[str]) -> bool:
    return all(getattr(other, name) in (getattr(thing, name), UNKNOWN) for name in said)


def _deeds(
    thing: Thing, index: int, place: dict[int, int], dice: Dice, detail: float
) -> tuple[Deed, ...]:
    """The motions to name, all or none, with targets as places in the sentence."""
    stands = len(thing.deeds) == 1 and thing.deeds[0].motion == STAND
    share = 0.2 + 0.5 * detail if stands else 0.94
    if dice.chance(f"say deeds {index}") >= share:
        return ()
    said = []
    for number, deed in enumerate(thing.deeds):
        target = place.get(deed.target, UNKNOWN)
        if deed.motion in (ORBIT, COLLIDE, EMERGE) and target == UNKNOWN:
            return ()
        chance = dice.chance(f"say side {index} {number}")
        side = chance < (0.25 if deed.motion not in (COLLIDE, EMERGE) else 0.6)
        travels = MOTIONS[deed.motion] in ("roll", "slide")
        direction = deed.direction if side or (travels and chance < 0.92) else 0
        paced = deed.speed != UNKNOWN and SPEEDS[deed.speed] != "normal"
        paced = paced and dice.chance(f"say speed {index} {number}") < 0.7
        said.append(Deed(deed.motion, direction, deed.speed if paced else UNKNOWN, target))
    return tuple(said)


def _said_hits(
    hits: Sequence[Hit], things: Sequence[Thing], place: dict[int, int], dice: Dice
) -> tuple[Hit, ...]:
    """The impacts to name, as places in the sentence. One that is a motion's end goes without
    saying."""
    said = []
    for number, hit in enumerate(hits):
        who = place[hit.who]
        whom = place.get(hit.whom, UNKNOWN)
        deeds = things[who].deeds
        if hit.phase >= max(1, len(deeds)):
            continue
        deed = deeds[hit.phase] if deeds else None
        if deed is not None and deed.motion == COLLIDE and deed.target == whom:
            said.append(Hit(who, whom, hit.phase, hit.pushes))
            continue
        share = 0.75 if whom >= 0 else 0.35
        if dice.chance(f"say hit {number}") < share:
            said.append(Hit(who, whom, hit.phase, hit.pushes))
    return tuple(said)


def _alike(order: Sequence[Thing], things: Sequence[Thing], dice: Dice) -> bool:
    """Whether all things can be, and are, named together."""
    first = things[0] if things else None
    if first is None or len(things) < 2:
        return False
    same_shape = len({thing.shape for thing in order}) == 1
    same_deeds = len({thing.deeds for thing in things}) == 1 and len(first.deeds) < 2
    alone = all(deed.target == UNKNOWN for deed in first.deeds)
    return same_shape and same_deeds and alone and dice.chance("say alike") < 0.4


def _alike_looks(order: Sequence[Thing], things: Sequence[Thing]) -> tuple[Thing, ...]:
    """Only what all of them have in common is said."""
    common = {
        name: getattr(order[0], name)
        for name in LOOKS
        if len({getattr(thing, name) for thing in order}) == 1
        and (name == "shape" or any(getattr(thing, name) != UNKNOWN for thing in things))
    }
    return tuple(
        replace(thing, **{name: common.get(name, UNKNOWN) for name in LOOKS}) for thing in things
    )


def _scene_words(facts: Facts, dice: Dice, detail: float) -> dict[str, int]:
    """Words of the scene; a plain one is said less often."""
    plain = {
        "camera": CAMERAS.index("still"),
        "time": TIMES.index("day"),
        "weather": WEATHERS.index("clear"),
        "style": STYLES.index("shaded"),
    }
    brief = dice.chance("say little") < 0.2
    says = {}
    for name in ("camera", "time", "weather", "style", "ground", "place"):
        value = getattr(facts, name)
        share = 0.9
        if value == plain.get(name):
            share = 0.35 * detail
        if name == "ground":
            share = 0.3 + 0.6 * detail
        if name == "place":
            share = 0.15 + 0.45 * detail
        share = share - 0.25 if brief else share
        says[name] = value if dice.chance(f"say {name}") < share else UNKNOWN
    if PLACES[facts.place] == "room" and facts.weather == plain["weather"]:
        says["weather"] = UNKNOWN  # there is none
    moves = says["camera"] > 0
    paced = moves and facts.camera_speed != UNKNOWN and SPEEDS[facts.camera_speed] != "normal"
    paced = paced and dice.chance("say camera speed") < 0.6
    says["camera_speed"] = facts.camera_speed if paced else UNKNOWN
    return says
