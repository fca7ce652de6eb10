"""Sentences say what is true, and a reader that knows only the tables of words gets it back."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from kinetoscope.data.worlds.physics.captions import (
    CAMERA_WORDS,
    COLOUR_WORDS,
    HIT_WORDS,
    MOTION_WORDS,
    SHAPE_WORDS,
    SIZE_WORDS,
    TIME_WORDS,
    VECTOR_SIZES,
    Attributes,
    attributes,
    describe,
    sentence,
)
from kinetoscope.data.worlds.physics.scene import (
    CAMERAS,
    COLOURS,
    MOTIONS,
    SHAPES,
    SIZES,
    TIMES,
    PhysicsConfig,
    sample_scenes,
)

Words = dict[str, tuple[str, ...]]
STILL = MOTIONS.index("still")
DAY = TIMES.index("day")
BALL = SHAPES.index("ball")
CUBE = SHAPES.index("cube")


def any_of(table: Words) -> str:
    return (
        "("
        + "|".join(
            sorted({word for words in table.values() for word in words}, key=len, reverse=True)
        )
        + ")"
    )


def index_of(word: str, table: Words, names: tuple[str, ...]) -> int:
    return names.index(next(name for name, words in table.items() if word in words))


GOING = {
    name: tuple(w.replace("{go}", go) for w in words for go in ("rolls", "slides"))
    for name, words in MOTION_WORDS.items()
}
NOUN = re.compile(rf"(?:{any_of(SIZE_WORDS)} )?\b{any_of(COLOUR_WORDS)} {any_of(SHAPE_WORDS)}")


def read(text: str) -> Attributes:
    """What a sentence says, with the objects in the order in which they are named."""
    found = {}
    for name, table, names in (("camera", CAMERA_WORDS, CAMERAS), ("time", TIME_WORDS, TIMES)):
        match = re.search(any_of(table), text)
        found[name] = index_of(match[1], table, names) if match else 0
        text = re.sub(any_of(table), "", text)
    nouns = list(NOUN.finditer(text))
    objects = []
    for noun, following in zip(nouns, [*(n.start() for n in nouns[1:]), len(text)]):
        size, colour, shape = noun.groups()
        verb = re.search(any_of(GOING), text[noun.end() : following])
        objects.append(
            (
                index_of(colour, COLOUR_WORDS, COLOURS),
                index_of(shape, SHAPE_WORDS, SHAPES),
                index_of(size, SIZE_WORDS, SIZES) if size else -1,
                index_of(verb[1], GOING, MOTIONS) if verb else STILL,
            )
        )
    collides = any(word in text for word in (*HIT_WORDS, "they collide"))
    return Attributes(tuple(objects), found["camera"], found["time"], collides)


def truths() -> Iterator[tuple[int, Attributes]]:
    for config in (PhysicsConfig(max_objects=2), PhysicsConfig(max_objects=3, moving_objects=0.5)):
        scenes = sample_scenes(range(150), 1, config)
        yield from enumerate(attributes(scenes))


@pytest.fixture(scope="module")
def described() -> list[tuple[str, Attributes, Attributes]]:
    """Sentence, what it is meant to say, and the whole truth, of simulated clips."""
    torch.set_num_threads(1)
    rows = []
    for config in (PhysicsConfig(max_objects=2), PhysicsConfig(max_objects=3)):
        scenes = sample_scenes(range(250), 33, config)
        for shift in (0, 1000):
            texts, said = describe(scenes, range(shift, shift + 250))
            rows += list(zip(texts, said, attributes(scenes)))
    return rows


def test_sentences_are_true(described: list[tuple[str, Attributes, Attributes]]) -> None:
    crashes = 0
    for text, said, truth in described:
        heard = read(text)
        assert (
            replace(said, objects=()) == replace(heard, objects=()) == replace(truth, objects=())
        ), text
        if truth.collides:  # who hits comes first
            crashes += 1
            assert sorted(heard.objects) == sorted(said.objects), text
        else:
            assert heard.objects == said.objects, text
        for (*named, size, motion), (*real, true_size, true_motion) in zip(
            said.objects, truth.objects, strict=True
        ):
            assert named == real and motion == true_motion and size in (-1, true_size), text
    assert crashes > 50


def test_sentences_are_well_formed(described: list[tuple[str, Attributes, Attributes]]) -> None:
    for text, _, _ in described:
        assert (
            text == text.strip() and "  " not in text and " ," not in text and ",," not in text
        ), text
        assert "{" not in text and not text.endswith(","), text
        for article, letter in re.findall(r"\b(an?) (\w)", text):
            assert (article == "an") == (letter in "aeiou"), text


def test_every_value_and_every_word_is_used(
    described: list[tuple[str, Attributes, Attributes]],
) -> None:
    texts = " ; ".join(text for text, _, _ in described)
    for table in (COLOUR_WORDS, SHAPE_WORDS, SIZE_WORDS, GOING, CAMERA_WORDS, TIME_WORDS):
        for name, words in table.items():
            assert sum(word in texts for word in words) >= len(set(words)) / 2, name
    assert all(word in texts for word in HIT_WORDS)
    vectors = torch.stack([said.vector() for _, said, _ in described])
    for column, size in zip(vectors.T, VECTOR_SIZES, strict=True):
        assert column.max() < size
    for column, size in (
        (0, 3),
        (1, len(COLOURS)),
        (2, len(SHAPES)),
        (4, len(MOTIONS)),
        (13, 6),
        (14, 3),
        (15, 2),
    ):
        assert set(range(size)) <= set(vectors[:, column].tolist())


def test_no_word_means_two_things_and_directions_mean_themselves() -> None:
    for table in (COLOUR_WORDS, SHAPE_WORDS, SIZE_WORDS, GOING, CAMERA_WORDS, TIME_WORDS):
        words = [word for values in table.values() for word in set(values)]
        assert len(words) == len(set(words))
    for table in (GOING, CAMERA_WORDS):
        for name, phrases in table.items():
            for direction in ("left", "right"):
                assert {direction in phrase for phrase in phrases} == {direction in name}, name


def test_wording_depends_on_the_seed_alone() -> None:
    truth = Attributes(((0, BALL, 1, 1),), 2, 1, False)
    texts = [sentence(truth, seed)[0] for seed in range(40)]
    assert texts == [sentence(truth, seed)[0] for seed in range(40)]
    assert len(set(texts)) > 30


def plain(text: str, table: Words) -> str:
    """The sentence without the words of a table, and without what follows from these words."""
    return re.sub(r"\ban\b", "a", re.sub(rf"\b{any_of(table)}\b", "…", text))


@pytest.mark.parametrize("place", range(2))
@pytest.mark.parametrize(
    ("entry", "table", "values"),
    [
        (0, COLOUR_WORDS, range(len(COLOURS))),
        (1, SHAPE_WORDS, range(len(SHAPES))),
        (2, SIZE_WORDS, range(len(SIZES))),
    ],
    ids=["colour", "shape", "size"],
)
def test_another_noun_changes_that_word_only(
    place: int, entry: int, table: Words, values: range
) -> None:
    base = [[0, CUBE, 0, 1], [5, BALL, 1, 2]]
    for seed in range(25):
        texts = set()
        for value in values:
            objects = [list(row) for row in base]
            objects[place][entry] = value
            text, said = sentence(Attributes(tuple(map(tuple, objects)), 1, 1, False), seed)  # type: ignore[arg-type]
            texts.add(text)
            rest = plain(text.replace("rolls", "slides"), table)  # only a ball rolls
            assert rest == plain(sentence(_truth(base), seed)[0].replace("rolls", "slides"), table)
        assert len(texts) == len(values) or (entry == 2 and said.objects[place][2] == -1)


def _truth(rows: list[list[int]], camera: int = 1, time: int = 1) -> Attributes:
    return Attributes(tuple(map(tuple, rows)), camera, time, False)  # type: ignore[arg-type]


@pytest.mark.parametrize("what", ["motion", "camera", "time"])
def test_another_motion_camera_or_time_changes_that_phrase_only(what: str) -> None:
    table = {"motion": GOING, "camera": CAMERA_WORDS, "time": TIME_WORDS}[what]
    values = {
        "motion": [m for m in range(len(MOTIONS)) if m != STILL],
        "camera": range(1, 6),
        "time": (1, 2),
    }[what]
    for seed in range(25):
        rests = set()
        texts = set()
        for value in values:
            motion = value if what == "motion" else 1
            camera = value if what == "camera" else 1
            text, _ = sentence(
                _truth([[0, CUBE, 0, motion]], camera, value if what == "time" else 1), seed
            )
            texts.add(text)
            rests.add(re.sub(any_of(table), "…", text))
        assert len(rests) == 1 and len(texts) == len(values)


def test_what_is_not_said_is_the_plain_case() -> None:
    """Plain values may stay unsaid, others never; said or not, a reader gets them."""
    for _, truth in truths():
        for seed in range(3):
            heard = read(sentence(truth, seed)[0])
            assert (heard.camera, heard.time) == (truth.camera, truth.time)
            assert [thing[3] for thing in heard.objects] == [
                thing[3] for thing in truth.objects
            ] or truth.collides
    still = Attributes(((0, 0, 0, STILL),), 0, DAY, False)
    assert {len(sentence(still, seed)[0].split(",")) for seed in range(60)} > {1}
    assert any(
        not re.search(any_of(GOING) + "|camera|shot", sentence(still, seed)[0])
        for seed in range(60)
    )


def test_the_one_that_moves_hits_the_one_that_stands() -> None:
    right = MOTIONS.index("right")
    left = MOTIONS.index("left")
    touching = [[False, True], [True, False]]
    for seed in range(20):
        text, _ = sentence(
            Attributes(((0, BALL, 1, STILL), (5, CUBE, 1, left)), 0, 0, True), seed, touching
        )
        assert [thing[0] for thing in read(text).objects] == [5, 0] and any(
            word in text for word in HIT_WORDS
        )
        text, _ = sentence(
            Attributes(((0, BALL, 1, right), (5, CUBE, 1, left)), 0, 0, True), seed, touching
        )
        assert [thing[0] for thing in read(text).objects] == [0, 5] and "they collide" in text


def test_in_a_chain_of_hits_the_first_one_is_told() -> None:
    """The last of three hits the second, which is pushed into the first."""
    chain = [[False, True, False], [True, False, True], [False, True, False]]
    things = ((0, BALL, 0, STILL), (3, CUBE, 0, STILL), (5, CUBE, 0, MOTIONS.index("left")))
    for seed in range(20):
        text, _ = sentence(Attributes(things, 0, 0, True), seed, chain)
        assert [thing[0] for thing in read(text).objects] == [5, 3, 0]


def test_a_vector_holds_everything() -> None:
    for seed, truth in truths():
        said = sentence(truth, seed)[1]
        count, *slots, camera, time, collides = said.vector().tolist()
        objects = tuple(tuple(slots[k : k + 4]) for k in range(0, 4 * (count + 1), 4))
        assert Attributes(objects, camera, time, bool(collides)) == said  # type: ignore[arg-type]
        assert slots[4 * (count + 1) :] == [-1] * (8 - 4 * count)
        assert len(CAMERAS) > camera >= 0
