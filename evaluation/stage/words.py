"""Whether a generator of the stage reads each word: does the true clip cost fewer bits under its
own caption than under the same caption with one word changed?

No clip is drawn: the codes of the true clip are scored under both captions, teacher-forced. A model
that ignores a word is right half of the time.

Shapes: B captions of one clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...data.video import to_float
from ...data.worlds.stage.captions import Attributes
from ...data.worlds.stage.captions.attributes import Dice
from ...data.worlds.stage.captions.facts import UNKNOWN, Deed, Thing
from ...data.worlds.stage.captions.sentences import put_into_words
from ...data.worlds.stage.clips import stage_batch
from ...data.worlds.stage.colours import BASIC
from ...data.worlds.stage.scene import (
    CAMERAS,
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
    StageConfig,
)
from ...generator.pipeline import VideoGenerator
from ..generator.likelihood import bits_per_clip
from .round_trip import SEED
from .rows import Progress

COLUMN = "the right word costs fewer bits"
LOOKS = {"colour": len(BASIC), "shape": len(SHAPES), "material": len(MATERIALS), "size": len(SIZES)}
DEEDS = {
    "motion": [MOTIONS.index(name) for name in ("stand", "roll", "slide", "fall", "jump", "spin")],
    "direction": [1, 2, 3, 4],
    "speed": list(range(len(SPEEDS))),
}
SCENE = {
    "camera": len(CAMERAS) - 1,  # the last follows an object
    "time": len(TIMES),
    "weather": len(WEATHERS),
    "ground": len(GROUNDS),
    "style": len(STYLES),
    "place": len(PLACES),
}


class Words:
    """Measures held-out scenes of one object with clips of `frames` frames."""

    def __init__(
        self,
        generator: VideoGenerator,
        frames: int,
        size: int,
        seed: int = 0,
        config: StageConfig = StageConfig(max_objects=1, then=0.0),
    ) -> None:
        self.generator = generator
        self.frames = frames
        self.size = size
        self.config = config
        self.first_seed = SEED + seed

    def __call__(self, progress: Progress, numbers: range) -> None:
        """Add, for the clips of these numbers, whether each word that is said was preferred."""
        first = self.first_seed + numbers.start
        seeds = range(first, first + len(numbers))
        batch = stage_batch(seeds, self.frames, self.size, self.config)
        device = self.generator.decoder.no_text.device
        codes = self.generator.tokenizer.encode(to_float(batch["video"]).to(device)).indices
        taken = self.generator.codebooks.take(codes)
        for row, seed in enumerate(seeds):
            wrong = other_captions(batch["attributes"][row], seed)
            captions = [batch["caption"][row], *wrong.values()]
            same = taken[row : row + 1].expand(len(captions), *taken.shape[1:])
            bits = bits_per_clip(self.generator, same, captions, {}).tolist()
            votes = {name: [bits[0] < cost] for name, cost in zip(wrong, bits[1:])}
            progress.add(COLUMN, votes)


def other_captions(said: Attributes, seed: int) -> dict[str, str]:
    """The caption of `seed` with one word untrue, for each kind of word that it says."""
    dice = Dice(seed)
    changed = {
        name: change(said, name, dice)
        for names, change in ((LOOKS, _look), (DEEDS, _deed), (SCENE, _scene))
        for name in names
    }
    return {
        name: put_into_words(other, dice).text
        for name, other in changed.items()
        if other is not None
    }


def _look(said: Attributes, name: str, dice: Dice) -> Attributes | None:
    other = _another(name, getattr(said.things[0], name), range(LOOKS[name]), dice)
    return None if other is None else _first(said, **{name: other})


def _deed(said: Attributes, name: str, dice: Dice) -> Attributes | None:
    deeds = said.things[0].deeds
    if not deeds or (name == "direction" and not deeds[0].direction):
        return None
    other = _another(name, getattr(deeds[0], name), DEEDS[name], dice)
    if other is None:
        return None
    deed = Deed(other) if name == "motion" else replace(deeds[0], **{name: other})
    return _first(said, deeds=(deed, *deeds[1:]))


def _scene(said: Attributes, name: str, dice: Dice) -> Attributes | None:
    now = getattr(said, name)
    other = _another(name, now, range(SCENE[name]), dice)
    follows = name == "camera" and now == len(CAMERAS) - 1
    return None if other is None or follows else replace(said, **{name: other})  # type: ignore[arg-type]


def _another(name: str, now: int, options: Sequence[int], dice: Dice) -> int | None:
    """Some other option; None where nothing is said."""
    if now == UNKNOWN:
        return None
    return dice.pick(f"wrong {name}", [option for option in options if option != now])


def _first(said: Attributes, **change: object) -> Attributes:
    thing: Thing = replace(said.things[0], **change)  # type: ignore[arg-type]
    return replace(said, things=(thing, *said.things[1:]))
