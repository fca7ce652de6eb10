"""The sentences of the stage, for a text encoder to learn."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

from ..language import IGNORED, Example
from .captions import TAGS, VECTOR_SIZES, Caption, captions, made_up_caption, roughen
from .captions.attributes import MOST_THINGS
from .captions.clauses import CAMERA, GROUND, PLACE, STYLE, TIME, WEATHER
from .sample import sample_scenes
from .scene import StageConfig

FRAMES = 33
LOOKS = ("colour", "shape", "material", "size")
DEEDS = ("motion", "direction", "speed")
SCENE = ("camera", "camera speed", "time", "weather", "ground", "style", "place")
_THING = len(LOOKS) + 2 * len(DEEDS)  # entries of one object
_THINGS_END = 1 + MOST_THINGS * _THING
_SPOKEN_OF = (CAMERA, CAMERA, TIME, WEATHER, GROUND, STYLE, PLACE)  # the tag of each of SCENE
SEEDS = 1 << 40


class StageLanguage:
    """See `Language`. Entries of a word: its tag; the ten of its object; those of the scene."""

    entries = ("count", *(*LOOKS, *DEEDS * 2) * MOST_THINGS, *SCENE, "touches")
    sentence_sizes = tuple(
        size + (0 < index < len(VECTOR_SIZES) - 1) for index, size in enumerate(VECTOR_SIZES)
    )
    word_sizes = (len(TAGS), *sentence_sizes[1 : 1 + _THING], *sentence_sizes[_THINGS_END:-1])
    unsaid = torch.tensor([-1, *VECTOR_SIZES[1:-1], -1])

    def sentence(self, rng: random.Random) -> Example:
        return _example(made_up_caption(rng.randrange(SEEDS)))

    def rough(self, rng: random.Random) -> Example:
        return _example(roughen(made_up_caption(rng.randrange(SEEDS)), rng.getrandbits(32)))

    def of_scenes(self, seeds: range, held_out: bool = False) -> list[Example]:
        config = StageConfig(max_objects=4, only_held_out=held_out)
        return [_example(each) for each in captions(sample_scenes(seeds, FRAMES, config), seeds)]


def _example(caption: Caption) -> Example:
    classes = _classes(caption.said.vector().tolist())
    none = (IGNORED,) * _THING
    rows = {}
    for tag in set(caption.tags):
        thing = classes[1 + tag * _THING :][:_THING] if tag < CAMERA else none
        scene = [
            said if tag == of else IGNORED for said, of in zip(classes[_THINGS_END:], _SPOKEN_OF)
        ]
        rows[tag] = (tag, *thing, *scene)
    return Example(caption.text, caption.words, classes, tuple(rows[tag] for tag in caption.tags))


def _classes(values: Sequence[int]) -> tuple[int, ...]:
    """Values with "not said", -1, as the class behind the last."""
    return tuple(size if value < 0 else value for value, size in zip(values, VECTOR_SIZES))
