"""Hints about words that are not known: the right topic, once, and never about words that are."""

import subprocess
import sys

import pytest
from kinetoscope.data.worlds.stage.captions import made_up_caption
from kinetoscope.data.worlds.stage.colours import COLOURS
from kinetoscope.generator.conditions.words import base_forms, topics, unknown


def test_there_are_many_words_and_each_has_one_topic() -> None:
    words = [word for topic in topics().values() for word in topic]
    assert len(words) > 1500
    assert len(words) - len(set(words)) < 0.01 * len(words)
    assert all(word == word.strip().lower() and word for word in words)
    assert all(topic and "\n" not in topic for topic in topics())


def test_a_caption_of_the_stage_gets_no_hint() -> None:
    for seed in range(1000):
        text = made_up_caption(seed).text
        assert unknown(text) == [], text
    for colour in COLOURS:
        assert unknown(f"a {colour} ball") == []


@pytest.mark.parametrize(
    ("sentence", "words", "topic"),
    [
        ("a dog runs", "'dog'", "no animals"),
        ("Two Wolves on grass", "'wolves'", "no animals"),
        ("butterflies", "'butterflies'", "no animals"),
        ("women dancing", "'women'", "no people"),
        ("a ball is flying", "'flying'", "motions"),
        ("a ball that stopped smiling", "'smiling'", "motions"),
        ("a hot dog", "'hot dog'", "no food"),
        ("it turns into a cube", "'turns into'", "motions"),
        ("a mountain lake", "'mountain' and 'lake'", "no landscapes"),
        ("in the style of an oil painting", "'oil painting'", "styles"),
        ("the dog's ball", "'dog's'", "no animals"),
        ("seven balls", "'seven'", "one to four"),
        ("a red pyramid", "'pyramid'", "six shapes"),
    ],
)
def test_words_are_found_in_every_form(sentence: str, words: str, topic: str) -> None:
    hints = unknown(sentence)
    hint = next(hint for hint in hints if topic in hint)
    assert hint.startswith(words)


def test_a_topic_is_named_once_with_its_words() -> None:
    (hint,) = unknown("a cat, a dog, a cat, a horse, a cow and a pig")
    assert hint.startswith("'cat', 'dog', 'horse' and 2 more words are not known here:")
    assert unknown("a cat and a car")[0].startswith("'cat' is not known")
    assert len(unknown("a cat and a car")) == 2


def test_anything_may_be_asked() -> None:
    assert unknown("") == []
    assert unknown("狗 🐕 \x00 ''' ---") == []
    assert unknown("cat" * 10_000) == []
    assert "fly" in base_forms("flies") and "run" in base_forms("running")


def test_no_torch_is_needed() -> None:
    """The words answer before anything heavy is loaded."""
    code = (
        "import sys\n"
        "from kinetoscope.generator.conditions.words import unknown\n"
        "assert unknown('a dog')\n"
        "print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "False", result.stderr
