"""Sentences of the physics world as people type them, with the object that each word is about.

`tag_words` cuts a sentence of `captions` into words. `roughen` then drops commas and articles,
changes tenses and verbs, and adds filler words. Both are used to train a text encoder that reads
more than the exact sentences of `captions`.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace

from .captions import (
    CAMERA_WORDS,
    COLOUR_WORDS,
    HIT_WORDS,
    SHAPE_WORDS,
    SIZE_WORDS,
    TIME_WORDS,
    Attributes,
    sentence,
)
from .scene import CAMERAS, COLOURS, MOTIONS, SHAPES, SIZES, TIMES

TAGS = ("object 1", "object 2", "object 3", "camera", "time", "other")
CAMERA_TAG = 3
TIME_TAG = 4
OTHER_TAG = 5

WORD = re.compile(r"[\w-]+|[^\w\s]")
COLOUR_OF = {word: index for index, name in enumerate(COLOURS) for word in COLOUR_WORDS[name]}
SHAPE_OF = {word: index for index, name in enumerate(SHAPES) for word in SHAPE_WORDS[name]}
SIZE_OF = {word: index for index, name in enumerate(SIZES) for word in SIZE_WORDS[name]}
NOUN_STARTS = {"a", "an", *COLOUR_OF, *SIZE_OF}
CAMERA_PHRASES = re.compile(
    "|".join(phrase for phrases in CAMERA_WORDS.values() for phrase in phrases)
)
TIME_PHRASES = re.compile("|".join(phrase for phrases in TIME_WORDS.values() for phrase in phrases))

GO = ("rolls", "slides", "drifts", "moves", "travels", "goes", "glides")
PROGRESSIVE_PAIRS = (
    "rolls:rolling slides:sliding drifts:drifting moves:moving travels:travelling goes:going "
    "glides:gliding "
    "comes:coming approaches:approaching recedes:receding falls:falling bounces:bouncing "
    "drops:dropping "
    "stays:staying lies:lying stands:standing rests:resting sits:sitting does:is move:moving "
    "hits:hitting "
    "bumps:bumping runs:running collides:colliding pans:panning turns:turning orbits:orbiting "
    "circles:circling "
    "pushes:pushing zooms:zooming"
)
PROGRESSIVE = dict(pair.split(":") for pair in PROGRESSIVE_PAIRS.split())
LOOSE = {
    "falls and bounces": ("bounces", "falls", "falls and bounces up"),
    "falls down": ("falls", "falls to the ground"),
    "drops to the floor": ("drops", "drops down", "falls on the floor"),
    "falls from above": ("falls", "falls from the sky"),
    "toward the camera": ("towards the camera", "toward us", "forward", "to the front"),
    "approaches the camera": ("approaches", "approaches us", "comes towards us"),
    "away from the camera": ("away from us", "into the distance", "backward", "to the back"),
    "recedes into the distance": ("recedes", "moves into the distance", "goes far away"),
    "leftward": ("to the left side", "leftwards", "left"),
    "rightward": ("to the right side", "rightwards", "right"),
    "stays still": ("", "is still", "stays"),
    "stands still": ("", "stands there", "is motionless"),
    "rests on the floor": ("", "rests", "is on the floor", "lies on the ground"),
    "does not move": ("", "stays put", "is at rest"),
    "sits on the floor": ("", "sits there", "is on the floor"),
}
LOOSE_PHRASES = re.compile(r"(?<!camera )(" + "|".join(LOOSE) + ")")
HITS = {phrase.split()[0] for phrase in HIT_WORDS}
OPPOSITE = {"left": "right", "right": "left"}
OPENINGS = ("a video of", "there is", "we see", "an image of", "a clip with", "show me", "imagine")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Tagged:
    """Words, the index into TAGS of each, and what they say, with the objects as named."""

    words: tuple[str, ...]
    tags: tuple[int, ...]
    said: Attributes

    @property
    def text(self) -> str:
        return re.sub(r" ([,.])", r"\1", " ".join(self.words))


def tag_words(text: str, said: Attributes) -> Tagged:
    """Cut a sentence of `captions.sentence` into words; the colours of `said` must all differ.

    A sentence about a collision names the object that hits first, so the order of the words is the
    only order that a reader can know.
    """
    fixed = {
        tag: match.span() if (match := phrases.search(text)) else (0, 0)
        for tag, phrases in ((CAMERA_TAG, CAMERA_PHRASES), (TIME_TAG, TIME_PHRASES))
    }
    by_colour = {thing[0]: thing for thing in said.objects}
    words = []
    tags = []
    named: list[tuple[int, int, int, int]] = []
    in_noun = False
    for match in WORD.finditer(text):
        word = match.group()
        tag = next(
            (tag for tag, (begin, end) in fixed.items() if begin <= match.start() < end), OTHER_TAG
        )
        if tag == OTHER_TAG and word not in (",", "and", "while"):
            if word in NOUN_STARTS and not in_noun:
                in_noun = True
                named.append((-1, -1, -1, -1))
            if word in COLOUR_OF:
                named[-1] = by_colour[COLOUR_OF[word]]
            in_noun = in_noun and word not in SHAPE_OF
            tag = len(named) - 1
        words.append(word)
        tags.append(tag)
    return Tagged(tuple(words), tuple(tags), replace(said, objects=tuple(named)))


def roughen(exact: Tagged, rng: random.Random) -> Tagged:
    """The same sentence in the careless wording of people.

    At times a size, colour or shape is left out; it is -1 in `said` then.
    """
    loose = LOOSE_PHRASES.sub(
        lambda m: rng.choice(LOOSE[m[0]]) if rng.random() < 0.5 else m[0], exact.text
    )
    exact = tag_words(loose, exact.said)
    objects = [list(thing) for thing in exact.said.objects]
    unsized = rng.random() < 0.3
    article = rng.choice(("", "", "the", "one", "keep", "keep", "keep"))
    comma = rng.choice(("", "and", ",", ","))
    progressive = rng.random() < 0.4
    auxiliary = rng.random() < 0.5
    rough: list[tuple[str, int]] = []
    pairs = _camera_first(_bare_hit(exact, rng), rng)
    for index, (word, tag) in enumerate(pairs):
        if (
            word == "to"
            and tag < CAMERA_TAG
            and pairs[index + 2][0] in OPPOSITE
            and rng.random() < 0.15
        ):
            rough += [
                ("from", tag),
                *[("the", tag)] * (article == "keep"),
                (OPPOSITE[pairs[index + 2][0]], tag),
            ]
        if (word in ("a", "an") and tag < CAMERA_TAG and article != "keep") or (
            word == "the" and not article
        ):
            rough += [(article, tag)] * bool(article)
        elif word == "," or (
            word == "and" and pairs[index + 1][0] in NOUN_STARTS and rng.random() < 0.2
        ):
            rough += [(comma, tag)] * bool(comma)
        elif tag < CAMERA_TAG and word in SIZE_OF and unsized:
            objects[tag][2] = -1
        elif word == "while":
            rough.append((rng.choice(("while", "as", "with", "and", ",")), tag))
        elif word in PROGRESSIVE:
            word = (
                rng.choice(GO) if word in GO and tag < CAMERA_TAG and rng.random() < 0.5 else word
            )
            with_is = progressive and auxiliary and word not in ("does", "move", "bounces")
            rough += [("is", tag)] * with_is + [(PROGRESSIVE[word] if progressive else word, tag)]
        elif tag < CAMERA_TAG and word in COLOUR_OF and rng.random() < 0.04:
            objects[tag][0] = -1
        elif tag < CAMERA_TAG and word in SHAPE_OF and rng.random() < 0.04:
            objects[tag][1] = -1
            rough += [(rng.choice(("object", "thing", "one")), tag)] * (
                objects[tag][0] < 0 or rng.random() < 0.8
            )
        else:
            rough.append((word, tag))
    for _ in range(rng.choice((0, 0, 0, 0, 1, 2))):
        unknown = "".join(rng.choices(LETTERS, k=rng.randint(1, 8)))
        rough.insert(rng.randint(0, len(rough)), (unknown, OTHER_TAG))
    if rng.random() < 0.15:
        rough = [(word, OTHER_TAG) for word in rng.choice(OPENINGS).split()] + rough
    if rng.random() < 0.2:
        rough.append((".", OTHER_TAG))
    words, tags = zip(*rough)
    return Tagged(
        words, tags, replace(exact.said, objects=tuple((c, s, z, m) for c, s, z, m in objects))
    )


def _bare_hit(exact: Tagged, rng: random.Random) -> list[tuple[str, int]]:
    """The words; at times "rolls right and hits a box" is shortened to "hits a box"."""
    pairs = list(zip(exact.words, exact.tags))
    hits = [index for index, (word, tag) in enumerate(pairs) if word in HITS and tag == 0]
    if not hits or MOTIONS[exact.said.objects[0][3]] != "right" or rng.random() < 0.5:
        return pairs
    noun_end = next(index for index, word in enumerate(exact.words) if word in SHAPE_OF)
    return pairs[: noun_end + 1] + pairs[hits[0] :]


def _camera_first(pairs: list[tuple[str, int]], rng: random.Random) -> list[tuple[str, int]]:
    """The words, at times with those on the camera first."""
    camera = [pair for pair in pairs if pair[1] == CAMERA_TAG]
    if not camera or rng.random() < 0.8:
        return pairs
    rest = [pair for pair in pairs if pair[1] != CAMERA_TAG and pair[0] != "while"]
    return [*camera, (",", OTHER_TAG), *rest]


def random_sentence(rng: random.Random) -> Tagged:
    """A sentence about random attributes: 1 to 3 objects of different colours, not simulated."""
    colours = rng.sample(range(len(COLOURS)), rng.randint(1, 3))
    moving = rng.choice((0.0, 0.7, 0.7, 0.7, 0.7, 1.0))
    motions = [rng.randrange(1, len(MOTIONS)) if rng.random() < moving else 0 for _ in colours]
    collides = len(colours) > 1 and rng.random() < 0.4
    contacts = [[False] * len(colours) for _ in colours]
    if collides:
        first, second = sorted(rng.sample(range(len(colours)), 2))
        contacts[first][second] = True
        if not motions[first] and not motions[second]:
            motions[first] = MOTIONS.index("right")
    objects = tuple(
        (c, rng.randrange(len(SHAPES)), rng.randrange(len(SIZES)), m)
        for c, m in zip(colours, motions)
    )
    camera = rng.randrange(1, len(CAMERAS)) if rng.random() < 0.6 else 0
    truth = Attributes(objects, camera, rng.randrange(len(TIMES)), collides)
    return tag_words(*sentence(truth, rng.getrandbits(32), contacts))
