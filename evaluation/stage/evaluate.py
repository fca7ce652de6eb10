"""`kinetoscope evaluate stage-256`: its rows, and what measures each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...data.worlds.stage.judge.pixels import PixelJudge
from ...data.worlds.stage.judge.sound import SoundJudge
from ...data.worlds.stage.scene import STYLES, StageConfig
from ...files.model_folder import find_folder
from ...generator.pipeline import VideoGenerator
from ...tokenizer import VideoTokenizer
from ...tokenizer.sound import SoundTokenizer
from .round_trip import ORDER, RoundTrip
from .rows import Measure, Progress, format_row, measure_row
from .sound_trip import SoundTrip
from .words import Words

WORLDS = {
    "round-trip": StageConfig(max_objects=2),
    "round-trip-of-3-and-4-objects": StageConfig(min_objects=3, max_objects=4),
    "round-trip-of-weather": StageConfig(
        styles=("shaded",), weathers=("rain", "snow", "fog"), places=("open",)
    ),
    "round-trip-of-styles": StageConfig(styles=STYLES[1:], weathers=("clear",)),
}
SOUND = "sound"
WORDS = {"words-of-pictures": 1, "words-of-clips": 33}  # by the frames of a clip
ROWS = (*WORLDS, SOUND, *WORDS)


def evaluate(
    model: str,
    rows: Sequence[str] | None = None,
    clips: int = 256,
    size: int = 128,
    seed: int = 0,
    out: str = "outputs/evaluation",
) -> dict[str, Progress]:
    """Measure and print the rows of a model of the stage, one after another.

    Args: those of `kinetoscope evaluate`.

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
        measure, settings = _measure(name, model, size, seed)
        progress = measure_row(name, folder, settings, clips, measure)
        print(format_row(name, progress, ORDER), flush=True)
        if isinstance(measure, RoundTrip):
            sheet = folder / f"{name}-failures.png"
            if measure.failures(progress, sheet):
                print(f"\nclips that failed: {sheet}")
        print()
        report[name] = progress
    return report


def _measure(name: str, model: str, size: int, seed: int) -> tuple[Measure, dict[str, str | int]]:
    """What measures a row, and all that its numbers depend on."""
    if name == SOUND:
        hearing = sound_tokenizer(model)
        settings: dict[str, str | int] = {"model": hearing.id if hearing else "none", "seed": seed}
        return SoundTrip(SoundJudge.from_pretrained(), hearing, seed), settings
    if name in WORDS:
        generator = VideoGenerator.from_pretrained(model)
        settings = {"model": generator.id, "size": size, "seed": seed}
        return Words(generator, WORDS[name], size, seed), settings
    tokenizer = VideoTokenizer.from_pretrained(model)
    trip = RoundTrip(PixelJudge.from_pretrained(), tokenizer, WORLDS[name], size, seed)
    return trip, {"model": tokenizer.id, "size": size, "seed": seed}


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
