"""What a text encoder learns of a world: its sentences, and what each word of them says.

Legend: an entry is one question with a few answers, such as the colour of the first object; its
answers are classes, counted from 0.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

IGNORED = -100
"""The class of an entry that a word says nothing of."""


@dataclass(frozen=True)
class Example:
    """A sentence with its answers.

    sentence: a class for each of `Language.sentence_sizes`. words_say: for each word a class, or
    IGNORED, for each of `Language.word_sizes`.
    """

    text: str
    words: tuple[str, ...]
    sentence: tuple[int, ...]
    words_say: tuple[tuple[int, ...], ...]


class Language(Protocol):
    """The sentences of one world.

    entries: the names of the sentence's entries, some of them several times; those of objects that
    are not said have a class of their own, the last. unsaid: int64 [len(sentence_sizes)], that
    class where an entry has one, else -1.
    """

    @property
    def entries(self) -> Sequence[str]: ...
    @property
    def sentence_sizes(self) -> Sequence[int]: ...
    @property
    def word_sizes(self) -> Sequence[int]: ...
    @property
    def unsaid(self) -> Tensor: ...

    def sentence(self, rng: random.Random) -> Example:
        """A sentence about anything that this world has."""
        ...

    def rough(self, rng: random.Random) -> Example:
        """A sentence as people type it."""
        ...

    def of_scenes(self, seeds: range, held_out: bool = False) -> list[Example]:
        """Captions of scenes; with `held_out`, of those with a pair that generators never see."""
        ...
