"""`kinetoscope evaluate stage-256`: its rows, and what measures each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...data.worlds.stage.judge.pixels import PixelJudge
from ...data.worlds.stage.judge.sound import SoundJudge
from ...data.worlds.stage.scene import STYLES, StageConfig
from ...files.model_folder import find_folder
from ...generator.pipeline import VideoGenerator
from ...generator.sampling.params import SamplingParams
from ...tokenizer import VideoTokenizer
from ...tokenizer.sound import SoundTokenizer
from . import colour_names, sizes, strength
from .asked import ByHand, OfScenes, Questions
from .colour_names import ColourNames, OfColours
from .cuts import Cuts
from .long_videos import minute
from .long_videos.hidden import OfReturns, Returns
from .long_videos.minute import Minute
from .obedience import ORDER, Obedience
from .physics import measure as physics
from .physics.measure import Physics
from .round_trip import SEED, RoundTrip
from .rows import Measure, Progress, Summary, format_row, measure_row
from .sizes import Sizes
from .sound import drawn
from .sound.drawn import DrawnSound
from .sound.trip import SoundTrip
from .strength import OfSpeeds, Strength
from .words import Words

ONE = StageConfig(max_objects=1, hold_out=True, then=0.0)
WEATHER = StageConfig(styles=("shaded",), weathers=("rain", "snow", "fog"), places=("open",))
LOOKS = StageConfig(styles=STYLES[1:], weathers=("clear",))
WORLDS = {
    "round-trip-of-1-object": StageConfig(max_objects=1),
    "round-trip": StageConfig(max_objects=2),
    "round-trip-of-3-and-4-objects": StageConfig(min_objects=3, max_objects=4),
    "round-trip-of-weather": WEATHER,
    "round-trip-of-styles": LOOKS,
}
SOUND = "sound"
WORDS = {"words-of-pictures": 1, "words-of-clips": 33}  # by the frames of a clip
TEXT = {
    "text-of-1-object": ONE,
    "text-of-2-objects": StageConfig(min_objects=2, max_objects=2, hold_out=True),
    "text-of-3-and-4-objects": StageConfig(min_objects=3, max_objects=4, hold_out=True),
    "weather": replace(WEATHER, max_objects=1, hold_out=True, then=0.0),
    "styles": replace(LOOKS, max_objects=1, hold_out=True, then=0.0),
    "held-out-looks": StageConfig(max_objects=1, only_held_out=True, then=0.0),
    "camera": replace(ONE, moving_camera=1.0),
    "then": replace(ONE, moving_objects=1.0, then=1.0),
}
BY_HAND = {"sentences-of-1-object": 1, "sentences": 4}  # by the most objects of a sentence
SOUND_OUT = "sound-out"
SCENES = {SOUND_OUT: drawn.CONFIG, "physics": physics.CONFIG}
OTHERS = ("strength", "colour-names", "cuts", "minute", "return", *SCENES, "sizes")
ROWS = (*WORLDS, SOUND, *WORDS, *TEXT, *BY_HAND, *OTHERS)


class NotMeasurable(ValueError):
    """A row that a model gives nothing to measure for."""


@dataclass(frozen=True)
class Row:
    """What measures a row, all that its numbers depend on, what is made of its numbers, and what
    draws the clips that failed, if anything does."""

    measure: Measure
    settings: dict[str, str | int]
    summary: Summary | None = None
    failures: Callable[[Progress, Path], int] | None = None


def evaluate(
    model: str,
    rows: Sequence[str] | None = None,
    clips: int = 256,
    size: int = 128,
    seed: int = 0,
    out: str = "outputs/evaluation",
    sampling: Mapping[str, Any] = {},
) -> dict[str, Progress]:
    """Measure and print the rows of a model of the stage, one after another.

    Args: those of `kinetoscope evaluate`; sampling: settings of `SamplingParams` in place of the
    model's own. A row that the model gives nothing to measure for is one line that says why.

    Raises:
        ValueError: an unknown row, or a model that cannot be used.
    """
    names = list(ROWS if rows is None else rows)
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise ValueError(f"unknown row '{unknown[0]}'; there are {', '.join(ROWS)}")
    folder = Path(out) / Path(model).name
    report = {}
    for name in names:
        try:
            row = _row(name, model, size, seed, sampling)
        except NotMeasurable as reason:
            print(f"{name}: {reason}\n", flush=True)
            continue
        progress = measure_row(name, folder, row.settings, clips, row.measure)
        print(format_row(name, progress, ORDER, row.summary), flush=True)
        if row.failures is not None:
            sheet = folder / f"{name}-failures.png"
            if row.failures(progress, sheet):
                print(f"\nclips that failed: {sheet}")
        print()
        report[name] = progress
    return report


def _row(name: str, model: str, size: int, seed: int, sampling: Mapping[str, Any]) -> Row:
    if name == SOUND:
        hearing = sound_tokenizer(model)
        settings: dict[str, str | int] = {"model": hearing.id if hearing else "none", "seed": seed}
        return Row(SoundTrip(SoundJudge.from_pretrained(), hearing, seed), settings)
    if name in WORLDS:
        tokenizer = VideoTokenizer.from_pretrained(model)
        trip = RoundTrip(PixelJudge.from_pretrained(), tokenizer, WORLDS[name], size, seed)
        settings = {"model": tokenizer.id, "size": size, "seed": seed}
        return Row(trip, settings, failures=trip.failures)
    generator = VideoGenerator.from_pretrained(model)
    settings = {"model": generator.id, "size": size, "seed": seed}
    if name in WORDS:
        return Row(Words(generator, WORDS[name], size, seed), settings)
    if name == SOUND_OUT and generator.sound is None:
        raise NotMeasurable("this model draws no sound")
    params = generator.params(**sampling)
    settings["sampling"] = str(params)
    return _drawn_row(name, model, generator, size, seed, params, settings)


def _drawn_row(
    name: str,
    model: str,
    generator: VideoGenerator,
    size: int,
    seed: int,
    params: SamplingParams,
    settings: dict[str, str | int],
) -> Row:
    """A row of clips that the generator draws."""
    judge = PixelJudge.from_pretrained()
    asked = _questions(name, SEED + seed)
    clips = Obedience(judge, generator, asked, params, size, seed)
    if name == "strength":
        return Row(Strength(clips), settings, strength.summary)
    if name == "colour-names":
        return Row(ColourNames(clips), settings, colour_names.summary)
    if name == "minute":
        return Row(Minute(clips), settings | {"features": "judge"}, minute.summary)
    if name == "return":
        return Row(Returns(clips), settings)
    if name == "physics":
        return Row(Physics(clips), settings, physics.summary)
    if name == SOUND_OUT:
        hears = SoundJudge.from_pretrained()
        return Row(DrawnSound(clips, hears), settings, drawn.summary)
    if name == "cuts":
        return Row(Cuts(clips), settings)
    if name == "sizes":
        large = VideoGenerator.from_pretrained(model, size=sizes.LARGE)
        other = Obedience(judge, large, asked, params, sizes.LARGE, seed)
        return Row(Sizes(clips, other), settings, sizes.summary)
    return Row(clips, settings, failures=clips.failures)


def _questions(name: str, first_seed: int) -> Questions:
    if name in BY_HAND:
        return ByHand(BY_HAND[name])
    if name == "strength":
        return OfSpeeds(first_seed)
    if name == "colour-names":
        return OfColours(first_seed)
    if name == "minute":
        return OfScenes(minute.CONFIG, first_seed, minute.FRAMES)
    if name == "return":
        return OfReturns(first_seed)
    return OfScenes((TEXT | SCENES).get(name, ONE), first_seed)


def sound_tokenizer(model: str) -> SoundTokenizer | None:
    """That of the model, or the one that ships by itself; None if there is neither."""
    for name in (model, "stage-256"):
        try:
            folder = find_folder(name, "sound")
        except ValueError:
            continue
        if folder.name == "sound":
            return SoundTokenizer.from_pretrained(folder)
    return None
