"""A storyboard of slides, as the data that a YAML file of it holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....data.video.sound import read_sound
from ....files.atomic import write_whole
from .pages import FPS, HEIGHT, Slides
from .timings import EACH, RATE, Change, at_pauses, even, read_timings, timings_text

LONGEST = 24 * 3600.0  # seconds of a voice
SOUNDS = (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus")
Table = dict[str, Any]


@dataclass(frozen=True)
class SlideOptions:
    """What is given beside the slides. voice: a file, or a folder with one for each slide;
    timings: a file; height: pixels of the video; written: where found timings are written to."""

    voice: Path | None = None
    timings: Path | None = None
    subtitles: Path | None = None
    written: Path | None = None
    height: int = HEIGHT
    fps: float = FPS


def slide_story(path: Path, options: SlideOptions, say: Callable[[str], None]) -> Table:
    """The storyboard of a PDF, with absolute names of files.

    Raises:
        ValueError: files that are missing or do not fit each other.
    """
    with Slides(path) as slides:
        if options.voice is not None and options.voice.is_dir():
            if options.timings is not None:
                raise ValueError("a folder of voices says when slides change; give no timings")
            return _of_own_voices(path, slides, _voices(options.voice, slides), options)
        changes, end = _changes(slides, options, say)
        size = slides.video_size(options.height)
    shots = [
        {"page": change.page, "for": f"{_apart(change.at, after)} s", "chapter": change.title}
        for change, after in zip(changes, [*(each.at for each in changes[1:]), end])
    ]
    return _table(path, size, shots, options, options.voice)


def _changes(
    slides: Slides, options: SlideOptions, say: Callable[[str], None]
) -> tuple[list[Change], float]:
    """When slides change, and when the last one ends."""
    voice = None
    if options.voice is not None:
        if not options.voice.is_file():
            raise ValueError(f"the voice '{options.voice}' does not exist")
        voice = read_sound(options.voice, RATE, LONGEST)
    seconds = EACH * len(slides) if voice is None else len(voice) / RATE
    if options.timings is not None:
        changes = read_timings(options.timings, slides)
        if voice is None:
            seconds = changes[-1].at + EACH
        if changes[-1].at >= seconds:
            raise ValueError(
                f"{options.timings.name}: the last slide begins at {changes[-1].at:.2f} s, and "
                f"the voice ends at {seconds:.2f} s"
            )
        return changes, seconds
    if voice is None:
        say(f"nothing says when slides change, so each is shown for {EACH:g} s")
        return even(slides, seconds), seconds
    changes = at_pauses(voice, slides, say)
    if options.written is not None:
        _write_timings(options.written, timings_text(changes, f"--timings {options.written}"), say)
    return changes, seconds


def _write_timings(path: Path, text: str, say: Callable[[str], None]) -> None:
    """Write what was found; a file that somebody has changed stays."""
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise ValueError(
            f"'{path}' is there already, with other times; give it with --timings, or remove it"
        )
    write_whole(path, text)
    say(f"these times are in {path}: move them there, and give the file with --timings")


def _voices(folder: Path, slides: Slides) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SOUNDS)
    if len(files) != len(slides):
        raise ValueError(
            f"'{folder}' must hold one file of sound for each of the {len(slides)} slides, in the "
            f"order of their names; it holds {len(files)}"
        )
    return files


def _of_own_voices(
    path: Path, slides: Slides, voices: Sequence[Path], options: SlideOptions
) -> Table:
    shots = [
        {"page": number + 1, "narration": str(voice.resolve()), "chapter": slides.title(number)}
        for number, voice in enumerate(voices)
    ]
    return _table(path, slides.video_size(options.height), shots, options, None)


def _table(
    path: Path,
    size: tuple[int, int],
    shots: list[Table],
    options: SlideOptions,
    voice: Path | None,
) -> Table:
    table: Table = {"slides": str(path.resolve()), "size": list(size), "fps": options.fps}
    if voice is not None:
        table["narration"] = str(voice.resolve())
    if options.subtitles is not None:
        table["subtitles"] = str(options.subtitles.resolve())
    return {**table, "shots": shots}


def _apart(one: float, two: float) -> float:
    """Seconds between two times, both rounded alike, so that nothing adds up."""
    return round(round(two, 3) - round(one, 3), 3)


def story_text(table: Table, folder: Path) -> str:
    """The storyboard as YAML, files named as seen from the folder that it will lie in."""
    import yaml

    def near(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: near(each) for key, each in value.items()}
        if isinstance(value, list):
            return [near(each) for each in value]
        is_path = isinstance(value, str) and os.path.isabs(value)
        return os.path.relpath(value, folder.resolve()) if is_path else value

    return str(yaml.safe_dump(near(table), sort_keys=False, allow_unicode=True, width=100))
