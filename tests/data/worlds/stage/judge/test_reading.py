"""Readings agree with the truth where they should, and only there."""

from dataclasses import replace

import pytest
from kinetoscope.data.worlds.stage.captions.facts import UNKNOWN, Deed, Facts, Hit, Thing
from kinetoscope.data.worlds.stage.judge.reading import (
    NO_SECOND,
    Reading,
    SeenThing,
    Touch,
    agreement,
    score,
)

BALL = Thing(slot=0, colour=0, shape=0, material=1, size=2, deeds=(Deed(1, 2),))
CUBE = Thing(slot=2, colour=5, shape=1, material=0, size=1, deeds=(Deed(0),))
TRUTH = Facts((BALL, CUBE), (Hit(0, 2, 0, True),), 0, UNKNOWN, UNKNOWN, 0, 0, 3, 0, 0)


def seen(thing: Thing, place: float) -> SeenThing:
    return SeenThing(
        thing.colour,
        thing.shape,
        thing.material,
        thing.size,
        thing.deeds[0].motion,
        NO_SECOND,
        0,
        0,
        place,
        1.0,
    )


RIGHT = Reading(
    (seen(CUBE, 0.2), seen(BALL, 0.7)), (Touch(0, 1, 12),), 3, 0, 0, 0, 0, camera=0, camera_speed=1
)


def test_a_right_reading_has_every_vote_whatever_the_order_of_things() -> None:
    votes = agreement(RIGHT, TRUTH)
    assert all(all(values) for values in votes.values())
    assert len(votes["shape"]) == 2


def test_each_wrong_word_costs_its_own_vote() -> None:
    wrong = replace(RIGHT.things[1], material=3)
    votes = agreement(replace(RIGHT, things=(RIGHT.things[0], wrong)), TRUTH)
    assert sorted(votes["material"]) == [False, True]
    assert votes["shape"] == [True, True] and votes["all"] == [False]
    votes = agreement(replace(RIGHT, camera=4), TRUTH)
    assert votes["camera"] == [False] and votes["objects"] == [True]


def test_a_touch_counts_between_the_right_things() -> None:
    third = seen(BALL, 0.9)
    more = replace(RIGHT, things=(*RIGHT.things, third), touches=(Touch(0, 2, 12),))
    assert agreement(more, TRUTH)["touch"] == [False]
    assert agreement(replace(RIGHT, touches=()), TRUTH)["touch"] == [False]


def test_what_the_picture_does_not_show_is_not_asked() -> None:
    hidden = replace(TRUTH, things=(replace(BALL, material=UNKNOWN, colour=40), CUBE))
    votes = agreement(RIGHT, hidden)
    assert len(votes["material"]) == len(votes["colour"]) == 1


def test_a_thing_too_many_or_too_few_is_a_wrong_count() -> None:
    few = agreement(replace(RIGHT, things=RIGHT.things[:1], touches=()), TRUTH)
    assert few["count"] == [False] and few["shape"] == [False, True]
    assert score([RIGHT, RIGHT], [TRUTH, TRUTH])["all"] == 1.0
    with pytest.raises(ValueError, match="1 and 2"):
        score([RIGHT], [TRUTH, TRUTH])
