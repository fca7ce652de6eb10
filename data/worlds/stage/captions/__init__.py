"""Truthful sentences about clips of the stage, in many wordings.

Wording depends on the seed alone: the same seed with one attribute of the scene changed gives the
same sentence with that word swapped, as far as the sentence can stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..scene import Scenes
from .attributes import VECTOR_SIZES, Attributes, Dice, choose
from .clauses import TAGS
from .facts import Deed, Facts, Hit, Thing
from .observe import facts
from .random_facts import random_facts
from .rough import roughen
from .sentences import Caption, put_into_words

__all__ = [
    "TAGS",
    "VECTOR_SIZES",
    "Attributes",
    "Caption",
    "Deed",
    "Facts",
    "Hit",
    "Thing",
    "captions",
    "describe",
    "facts",
    "made_up_caption",
    "roughen",
]


def describe(scenes: Scenes, seeds: Sequence[int]) -> tuple[list[str], list[Attributes]]:
    """One sentence per clip and what it says."""
    written = captions(scenes, seeds)
    return [caption.text for caption in written], [caption.said for caption in written]


def captions(scenes: Scenes, seeds: Sequence[int]) -> list[Caption]:
    """One caption per clip, with a tag on every word of what it speaks of."""
    written = []
    for shown, seed in zip(facts(scenes), seeds, strict=True):
        dice = Dice(seed)
        written.append(put_into_words(choose(shown, dice), dice))
    return written


def made_up_caption(seed: int, named_colours: float = 0.4) -> Caption:
    """A caption of a clip that nobody simulated: any attributes, for a text encoder to learn from;
    `named_colours` is the share of objects in one of the further colours."""
    dice = Dice(seed)
    return put_into_words(choose(random_facts(seed, named_colours), dice), dice)
