"""The sentences of the physics world, for a text encoder to learn."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

from ..language import IGNORED, Example
from .captions import VECTOR_SIZES, describe
from .prompts import CAMERA_TAG, TAGS, TIME_TAG, Tagged, random_sentence, roughen, tag_words
from .scene import PhysicsConfig, sample_scenes

FRAMES = 33
OBJECT_ENTRIES = range(1, 13)  # of `Attributes.vector`


class PhysicsLanguage:
    """See `Language`. Entries of a word: its tag; colour, shape, size and motion of its object;
    camera; time."""

    entries = ("count", *("colour", "shape", "size", "motion") * 3, "camera", "time", "collides")
    sentence_sizes = tuple(
        size + (index in OBJECT_ENTRIES) for index, size in enumerate(VECTOR_SIZES)
    )
    word_sizes = (len(TAGS), *sentence_sizes[1:5], *sentence_sizes[13:15])
    unsaid = torch.tensor(
        [size if index in OBJECT_ENTRIES else -1 for index, size in enumerate(VECTOR_SIZES)]
    )

    def sentence(self, rng: random.Random) -> Example:
        return _example(random_sentence(rng))

    def rough(self, rng: random.Random) -> Example:
        return _example(roughen(random_sentence(rng), rng))

    def of_scenes(self, seeds: range, held_out: bool = False) -> list[Example]:
        config = PhysicsConfig(max_objects=3, only_held_out=held_out)
        written = zip(*describe(sample_scenes(seeds, FRAMES, config), seeds))
        return [_example(tag_words(*pair)) for pair in written]


def _example(tagged: Tagged) -> Example:
    said = _classes(tagged.said.vector().tolist(), VECTOR_SIZES)
    none: tuple[int, ...] = (IGNORED,) * 4
    rows = []
    for tag in tagged.tags:
        thing = none
        if tag < CAMERA_TAG:
            thing = _classes(tagged.said.objects[tag], VECTOR_SIZES[1:5])
        camera = tagged.said.camera if tag == CAMERA_TAG else IGNORED
        when = tagged.said.time if tag == TIME_TAG else IGNORED
        rows.append((tag, *thing, camera, when))
    return Example(tagged.text, tagged.words, said, tuple(rows))


def _classes(values: Sequence[int], sizes: Sequence[int]) -> tuple[int, ...]:
    """Values with "not said", -1, as the class behind the last."""
    return tuple(size if value < 0 else value for value, size in zip(values, sizes))
