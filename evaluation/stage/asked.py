"""What a model is asked to draw: sentences of held-out scenes, and sentences written by hand.

The sentences by hand lie in `sentences.txt`, each with the words that it names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from ...data.worlds.stage.captions import Attributes, describe
from ...data.worlds.stage.captions.facts import UNKNOWN, Deed, Thing
from ...data.worlds.stage.colours import BASIC
from ...data.worlds.stage.judge.pixels import READ_FRAMES
from ...data.worlds.stage.sample import sample_scenes
from ...data.worlds.stage.scene import (
    CAMERAS,
    DIRECTIONS,
    GROUNDS,
    MATERIALS,
    MOTIONS,
    PLACES,
    SHAPES,
    SIZES,
    SPEEDS,
    STYLES,
    TIMES,
    WEATHERS,
    Scenes,
    StageConfig,
)

LOOKS = {"colour": tuple(BASIC), "shape": SHAPES, "material": MATERIALS, "size": SIZES}
SCENE = {
    "ground": GROUNDS,
    "time": TIMES,
    "weather": WEATHERS,
    "style": STYLES,
    "place": PLACES,
    "camera": CAMERAS,
}


@dataclass(frozen=True)
class Asked:
    """Sentences, what they say, and the scenes that they were made from, if any."""

    captions: list[str]
    said: list[Attributes]
    scenes: Scenes | None = None


Questions = Callable[[Sequence[int]], Asked]
"""Numbers of clips to what is asked of each."""


class OfScenes:
    """Sentences of held-out scenes: number n is of seed `first_seed + n`."""

    def __init__(self, config: StageConfig, first_seed: int, frames: int = READ_FRAMES) -> None:
        self.config = config
        self.first_seed = first_seed
        self.frames = frames

    def __call__(self, numbers: Sequence[int]) -> Asked:
        seeds = [self.first_seed + number for number in numbers]
        scenes = sample_scenes(seeds, self.frames, self.config)
        return Asked(*describe(scenes, seeds), scenes)


class ByHand:
    """The sentences by hand with at most `objects` objects; after the last the first follows."""

    def __init__(self, objects: int) -> None:
        self.rows = [row for row in sentences() if len(row[1].things) <= objects]

    def __call__(self, numbers: Sequence[int]) -> Asked:
        rows = [self.rows[number % len(self.rows)] for number in numbers]
        return Asked([text for text, _ in rows], [said for _, said in rows])


@cache
def sentences() -> list[tuple[str, Attributes]]:
    """All sentences by hand and what they name."""
    text = resources.files(__package__).joinpath("sentences.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [_sentence(line) for line in lines]


def _sentence(line: str) -> tuple[str, Attributes]:
    """A line of the file: `sentence | object, object; word, word`. ValueError for a word that the
    world does not have."""
    text, _, named = line.partition(" | ")
    objects, _, scene = named.partition("; ")
    things = tuple(_thing(slot, words.split()) for slot, words in enumerate(objects.split(", ")))
    said = {}
    for word in scene.split(", ") if scene else []:
        kinds = [kind for kind, table in SCENE.items() if word in table]
        if len(kinds) != 1:
            raise ValueError(f"'{word}' is no word of a scene; it stands in: {line}")
        said[kinds[0]] = SCENE[kinds[0]].index(word)
    return text, Attributes(things, **said)  # type: ignore[arg-type]


def _thing(slot: int, words: Sequence[str]) -> Thing:
    """Looks and motions in any order; a direction and a speed belong to the motion before them."""
    looks = dict.fromkeys(LOOKS, UNKNOWN)
    deeds: list[dict[str, int]] = []
    for word in words:
        kinds = [kind for kind, table in LOOKS.items() if word in table]
        if kinds:
            looks[kinds[0]] = LOOKS[kinds[0]].index(word)
        elif word in MOTIONS:
            deeds.append({"motion": MOTIONS.index(word)})
        elif word in DIRECTIONS and deeds:
            deeds[-1]["direction"] = DIRECTIONS.index(word)
        elif word in SPEEDS and deeds:
            deeds[-1]["speed"] = SPEEDS.index(word)
        elif word != "then":
            raise ValueError(f"'{word}' is no word of an object; it stands in: {' '.join(words)}")
    return Thing(slot, **looks, deeds=tuple(Deed(**deed) for deed in deeds))
