"""What a text encoder learns of a world's sentences is what they say."""

import random

import pytest
import torch
from kinetoscope.data.worlds.language import IGNORED, Example, Language
from kinetoscope.data.worlds.physics.language import PhysicsLanguage
from kinetoscope.data.worlds.stage.captions import TAGS
from kinetoscope.data.worlds.stage.colours import COLOURS
from kinetoscope.data.worlds.stage.language import StageLanguage
from kinetoscope.data.worlds.stage.scene import (
    HELD_OUT_PAIRS,
    HELD_OUT_TRIPLES,
    SHAPES,
    STYLES,
)

LANGUAGES = {"physics": PhysicsLanguage(), "stage": StageLanguage()}
HELD_OUT_SEEDS = range(1_000_000_000, 1_000_000_016)


def examples(language: Language) -> list[Example]:
    rng = random.Random(0)
    written = [language.rough(rng) if i % 2 else language.sentence(rng) for i in range(60)]
    return written + language.of_scenes(HELD_OUT_SEEDS)


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)
def test_every_answer_is_one_of_its_entry(language: Language) -> None:
    assert len(language.entries) == len(language.sentence_sizes) == len(language.unsaid)
    for example in examples(language):
        assert all(0 <= x < size for x, size in zip(example.sentence, language.sentence_sizes))
        assert len(example.words) == len(example.words_say)
        for row in example.words_say:
            pairs = zip(row, language.word_sizes, strict=True)
            assert all(x == IGNORED or 0 <= x < size for x, size in pairs)


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)
def test_the_same_chance_gives_the_same_sentence(language: Language) -> None:
    first, again = (language.rough(random.Random(7)) for _ in range(2))
    assert first == again != language.rough(random.Random(8))


def test_words_on_the_stage_say_what_their_object_is() -> None:
    language = LANGUAGES["stage"]
    entries = list(language.entries)
    seen = 0
    for example in examples(language):
        for word, row in zip(example.words, example.words_say):
            if row[0] < 4:  # one of four objects
                begin = 1 + 10 * row[0]
                assert row[1:11] == example.sentence[begin : begin + 10]
                assert set(row[11:]) == {IGNORED}
            if row[0] < 4 and word == "cone":
                assert SHAPES[row[2]] == word
                seen += 1
            if TAGS[row[0]] == "style":
                assert row[16] == example.sentence[entries.index("style")] < len(STYLES)
    assert seen > 10


def test_held_out_captions_name_what_no_generator_sees() -> None:
    language = LANGUAGES["stage"]
    names = [colour if isinstance(colour, str) else colour.name for colour in COLOURS]
    unseen = {*HELD_OUT_PAIRS, *((colour, shape) for colour, _, shape in HELD_OUT_TRIPLES)}
    told = 0
    for example in language.of_scenes(HELD_OUT_SEEDS, held_out=True):
        things = [example.sentence[1 + 10 * i : 3 + 10 * i] for i in range(example.sentence[0] + 1)]
        if all(colour < len(names) and shape < len(SHAPES) for colour, shape in things):
            assert unseen & {(names[colour], SHAPES[shape]) for colour, shape in things}
            told += 1
    assert told > 5


def test_what_is_not_said_has_a_class_of_its_own() -> None:
    language = LANGUAGES["stage"]
    plain = next(e for e in examples(language) if e.sentence[0] == 0)
    absent = torch.tensor(plain.sentence)[11:41]  # objects 2 to 4 of a sentence about one
    assert torch.equal(absent, language.unsaid[11:41])
