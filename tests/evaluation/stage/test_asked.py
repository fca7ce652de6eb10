"""What a model is asked: sentences by hand with what they name, and those of scenes."""

import re

import pytest
from kinetoscope.data.worlds.stage.captions import captions
from kinetoscope.data.worlds.stage.colours import BASIC
from kinetoscope.data.worlds.stage.sample import sample_scenes
from kinetoscope.data.worlds.stage.scene import (
    CAMERAS,
    DIRECTIONS,
    MATERIALS,
    MOTIONS,
    SHAPES,
    STYLES,
    WEATHERS,
    StageConfig,
)
from kinetoscope.evaluation.stage.asked import LOOKS, SCENE, ByHand, OfScenes, _sentence, sentences


def test_there_are_three_hundred_sentences_and_no_two_alike() -> None:
    texts = [text for text, _ in sentences()]
    assert len(texts) == len(set(texts)) == 300
    assert sum(len(said.things) == 1 for _, said in sentences()) > 200


def test_together_they_name_every_word_of_the_world() -> None:
    named = {kind: set() for kind in (*LOOKS, *SCENE)}
    motions = set()
    for _, said in sentences():
        for kind in SCENE:
            named[kind].add(getattr(said, kind))
        for thing in said.things:
            motions |= {deed.motion for deed in thing.deeds}
            for kind in LOOKS:
                named[kind].add(getattr(thing, kind))
    for kind, table in (LOOKS | SCENE).items():
        assert set(range(len(table))) <= named[kind], kind
    assert motions == set(range(len(MOTIONS)))


def test_each_names_the_colour_and_the_side_that_it_says() -> None:
    """Of the words that are written as the tables have them, those that stand in a sentence are
    named with it."""
    for text, said in sentences():
        words = set(re.findall(r"[a-z]+", text.lower()))
        colours = {list(BASIC)[thing.colour] for thing in said.things if thing.colour >= 0}
        assert colours - {"orange"} <= words, text
        assert words & set(BASIC) <= colours | {"blue", "white"}, text
        if said.camera > 0:
            continue  # which has sides of its own
        sides = {deed.direction for thing in said.things for deed in thing.deeds}
        if "left" in words and not words & {"right", "past"}:
            assert sides == {DIRECTIONS.index("left")} | (sides & {0}), text


def test_none_is_a_sentence_of_the_templates() -> None:
    scenes = sample_scenes(range(200), 33, StageConfig(max_objects=1))
    written = {caption.text.lower() for caption in captions(scenes, range(200))}
    assert not written & {text.lower() for text, _ in sentences()}


def test_a_line_is_read_word_by_word() -> None:
    line = "words | large shiny red ball roll left then jump, blue cube; rain, zoom in, pencil"
    text, said = _sentence(line)
    ball, cube = said.things
    assert text == "words" and (ball.size, ball.colour, cube.shape) == (2, 0, SHAPES.index("cube"))
    assert ball.material == MATERIALS.index("shiny") and cube.material == -1
    assert [MOTIONS[deed.motion] for deed in ball.deeds] == ["roll", "jump"]
    assert DIRECTIONS[ball.deeds[0].direction] == "left" and ball.deeds[1].direction == 0
    assert WEATHERS[said.weather] == "rain" and STYLES[said.style] == "pencil"
    assert CAMERAS[said.camera] == "zoom in" and said.ground == -1
    with pytest.raises(ValueError, match="'dog' is no word of an object"):
        _sentence("a dog | red dog")
    with pytest.raises(ValueError, match="'warm' is no word of a scene"):
        _sentence("a ball | red ball; warm")


def test_numbers_beyond_the_last_sentence_begin_again() -> None:
    one = ByHand(1)
    count = len(one.rows)
    asked = one([0, count])
    assert asked.captions[0] == asked.captions[1] and asked.scenes is None
    assert all(len(said.things) == 1 for said in one(range(count)).said)


def test_sentences_of_scenes_are_those_of_their_seeds() -> None:
    asked = OfScenes(StageConfig(max_objects=1), first_seed=100, frames=9)([3, 5])
    assert asked.scenes is not None and asked.scenes.seed.tolist() == [103, 105]
    assert len(asked.captions) == len(asked.said) == 2
