"""Clips that nobody simulated: any attributes, for sentences that a text encoder learns from."""

from __future__ import annotations

import random

from ..colours import BASIC, COLOURS
from ..scene import (
    CAMERAS,
    DIRECTIONS,
    GROUNDS,
    MATERIALS,
    PLACES,
    SHAPES,
    SIZES,
    SPEEDS,
    STYLES,
    TIMES,
    WEATHERS,
)
from .attributes import MOST_THINGS
from .facts import (
    COLLIDE,
    EMERGE,
    JUMP,
    ORBIT,
    ROLL,
    SLIDE,
    SPIN,
    STAND,
    STOP,
    UNKNOWN,
    Deed,
    Facts,
    Hit,
    Thing,
)
from .observe import SHOWS_MATERIAL

TRAVELS = (ROLL, SLIDE, COLLIDE, EMERGE)


def random_facts(seed: int, named_colours: float = 0.4) -> Facts:
    """What a made-up clip shows; `named_colours` is the share of objects in further colours."""
    rng = random.Random(seed)
    count = rng.choice((1, 1, 2, 2, 3, MOST_THINGS))
    style = rng.randrange(len(STYLES))
    basic = rng.sample(range(len(BASIC)), count)
    further = rng.sample(range(len(BASIC), len(COLOURS)), count)
    colours = [b if rng.random() >= named_colours else f for b, f in zip(basic, further)]
    things = [_thing(rng, slot, count, style, colours[slot]) for slot in range(count)]
    hits = []
    for thing in things:
        for phase, deed in enumerate(thing.deeds):
            if deed.motion == COLLIDE:
                hits.append(Hit(thing.slot, deed.target, phase, rng.random() < 0.5))
            elif deed.motion in (ROLL, SLIDE) and count > 1 and rng.random() < 0.2:
                other = rng.choice([slot for slot in range(count) if slot != thing.slot])
                hits.append(Hit(thing.slot, other, phase, rng.random() < 0.5))
    place = rng.randrange(len(PLACES))
    room = PLACES[place] == "room"
    camera = rng.choice((0, rng.randrange(1, len(CAMERAS))))
    follows = CAMERAS[camera] == "follow"
    return Facts(
        tuple(things),
        tuple(hits),
        camera,
        rng.randrange(len(SPEEDS)) if camera else UNKNOWN,
        rng.randrange(count) if follows else UNKNOWN,
        rng.randrange(len(TIMES)),
        0 if room else rng.randrange(len(WEATHERS)),
        rng.randrange(len(GROUNDS)),
        style,
        place,
    )


def _thing(rng: random.Random, slot: int, count: int, style: int, colour: int) -> Thing:
    material = rng.randrange(len(MATERIALS))
    shows = MATERIALS[material] in SHOWS_MATERIAL[STYLES[style]]
    return Thing(
        slot,
        colour,
        rng.randrange(len(SHAPES)),
        material if shows else UNKNOWN,
        rng.randrange(len(SIZES)),
        _deeds(rng, slot, count),
        rng.uniform(-1, 1),
    )


def _deeds(rng: random.Random, slot: int, count: int) -> tuple[Deed, ...]:
    if rng.random() < 0.25:
        return (Deed(STAND),)
    first = _deed(rng, slot, count)
    if rng.random() >= 0.3 or first.motion == STAND:
        return (first,)
    second = _deed(rng, slot, count)
    if first.motion in (ROLL, SLIDE, SPIN, ORBIT) and rng.random() < 0.3:
        second = Deed(STOP)
    return (first, second) if second != first else (first,)


def _deed(rng: random.Random, slot: int, count: int) -> Deed:
    motion = rng.randrange(1, STOP)
    target = UNKNOWN
    if motion in (ORBIT, COLLIDE, EMERGE):
        others = [other for other in range(count) if other != slot]
        if not others:
            return Deed(
                rng.choice((ROLL, SLIDE)), rng.randrange(1, len(DIRECTIONS)), rng.randrange(3)
            )
        target = rng.choice(others)
    direction = 0
    if motion in TRAVELS:
        direction = rng.randrange(1, len(DIRECTIONS))
    elif motion in (SPIN, ORBIT):
        direction = rng.randrange(1, 3)
    paced = motion in (*TRAVELS, SPIN, ORBIT, JUMP)
    return Deed(motion, direction, rng.randrange(len(SPEEDS)) if paced else UNKNOWN, target)
