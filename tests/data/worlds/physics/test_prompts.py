"""Words of captions know which object they speak of, and rough prompts still say the same."""

import random

from kinetoscope.data.worlds.physics.captions import Attributes
from kinetoscope.data.worlds.physics.prompts import (
    COLOUR_OF,
    SHAPE_OF,
    random_sentence,
    roughen,
    tag_words,
)
from kinetoscope.data.worlds.physics.scene import COLOURS, SHAPES

RED_BALL = (0, 0, -1, 1)
BLUE_CUBE = (5, 1, 0, 0)


def test_objects_come_in_the_order_in_which_they_are_named():
    text = "at night, a red ball rolls left and hits a small blue cube while the camera pans left"
    tagged = tag_words(text, Attributes((BLUE_CUBE, RED_BALL), 1, 2, True))
    assert tagged.said.objects == (RED_BALL, BLUE_CUBE)
    assert "".join(map(str, tagged.tags)) == "44" + "5" + "00000" + "5" + "01111" + "5" + "3333"
    assert tagged.text == text


def test_every_word_of_colour_and_shape_belongs_to_its_object():
    rng = random.Random(0)
    for _ in range(300):
        exact = random_sentence(rng)
        for example in (exact, roughen(exact, rng)):
            said = example.said.objects
            for words, entry in ((COLOUR_OF, 0), (SHAPE_OF, 1)):
                read = [
                    (tag, words[w]) for w, tag in zip(example.words, example.tags) if w in words
                ]
                assert read == [
                    (k, thing[entry]) for k, thing in enumerate(said) if thing[entry] >= 0
                ]


def test_rough_prompts_change_the_words_but_only_leave_out_what_they_say():
    rng = random.Random(1)
    left_out = 0
    for _ in range(300):
        exact = random_sentence(rng)
        rough = roughen(exact, rng)
        assert (rough.said.camera, rough.said.time, rough.said.collides) == (
            exact.said.camera,
            exact.said.time,
            exact.said.collides,
        )
        for before, after in zip(exact.said.objects, rough.said.objects, strict=True):
            assert all(new in (old, -1) for old, new in zip(before, after))
            assert before[3] == after[3]
            left_out += before[:2] != after[:2]
    assert 0 < left_out < 150


def test_random_sentences_name_every_pair_of_colour_and_shape():
    rng = random.Random(2)
    pairs = {thing[:2] for _ in range(600) for thing in random_sentence(rng).said.objects}
    assert len(pairs) == len(COLOURS) * len(SHAPES)
