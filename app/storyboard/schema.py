"""What a storyboard says: shots in a row, what is heard, and how the video comes out.

    model: physics-64
    seed: 7
    music: {file: music.wav, volume: 0.3}
    shots:
      - say: a red ball rolls to the left
        for: 3 s
        title: One ball
      - say: a blue cube falls
        for: 33 frames
        join: crossfade 0.5 s

Times are seconds of the finished video, from the start of the shot where nothing else is said.
Places in a picture are shares of it: 0, 0 is its top left corner and 1, 1 its bottom right one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...pretrained import DEFAULT_MODEL
from .located import Located

JoinKind = Literal["cut", "continue", "fade", "crossfade"]
Captions = Literal["burned", "track", "both"]
NOWHERE = Located(None, "the storyboard")
NARRATION = "narration"  # a shot that is as long as its narration
Box = tuple[float, float, float, float]  # left, top, width, height


@dataclass(frozen=True)
class Length:
    """How long something is: seconds, or frames of the finished video."""

    count: float
    unit: Literal["s", "frames"] = "s"

    def seconds(self, fps: float) -> float:
        return self.count / fps if self.unit == "frames" else self.count


@dataclass(frozen=True)
class Join:
    """How a shot begins after the one before it: cut, going on from its last frame, through black
    (fade) or blending (crossfade); the last two take some seconds."""

    kind: JoinKind = "cut"
    seconds: float = 0.0


@dataclass(frozen=True)
class Beat:
    """What happens next in a shot: another sentence, without a cut."""

    say: str
    length: Length


@dataclass(frozen=True)
class Line:
    """A line of text, from `at` on; to the end of the shot, or of what was asked for, if `seconds`
    is None."""

    text: str
    at: float = 0.0
    seconds: float | None = None


@dataclass(frozen=True)
class Pointer:
    """A dot that points, or a box that stands out because the rest is darker."""

    kind: Literal["point", "highlight"]
    place: tuple[float, ...]  # x, y; or left, top, width, height
    at: float = 0.0
    seconds: float | None = None


@dataclass(frozen=True)
class Inset:
    """A clip of the model's that is laid on a picture, `box` its left, top, width and height;
    `hears`: its sound is heard, if the model draws some."""

    say: str
    box: Box
    at: float
    seconds: float | None
    seed: int | None
    where: Located
    hears: bool = True


@dataclass(frozen=True)
class Sound:
    """A file that is heard. volume: 1 as it is, None for what is usual; at: seconds from where it
    belongs."""

    file: Path
    volume: float | None = None
    at: float = 0.0


@dataclass(frozen=True)
class Shot:
    """One shot: drawn from a sentence, or given pixels (a picture, a clip or a page of the slides)
    that are shown as they are.

    say: the sentence; length: None for that of the narration; camera: words for its movement;
    conditions: checked text by name, `init` being what the storyboard calls `picture`; then: what
    happens after the sentence, within the length's sum; show: a picture or clip; page: of the
    slides, from 1; hears: the sound of the clip is heard; where: the shot and its keys.
    """

    where: Located
    say: str | None = None
    length: Length | None = None
    camera: str | None = None
    conditions: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    join: Join = Join()
    then: tuple[Beat, ...] = ()
    show: Path | None = None
    page: int | None = None
    hears: bool = True
    narration: Sound | None = None
    title: Line | None = None
    captions: tuple[Line, ...] = ()
    pointers: tuple[Pointer, ...] = ()
    insets: tuple[Inset, ...] = ()
    chapter: str | None = None

    def at(self, key: str) -> Located:
        """Where a key stands, or the shot if it has none of this name."""
        table = self.where.value
        return table.get(key, self.where) if isinstance(table, dict) else self.where


@dataclass(frozen=True)
class Storyboard:
    """All of it.

    model_fps: frames per second that the model was trained at; fps, size (height, width) and
    model_size: None where they follow the model or the slides; captions: where they go.
    """

    shots: tuple[Shot, ...]
    model: str = DEFAULT_MODEL
    adapter: str | None = None
    model_size: int | None = None
    model_fps: float = 12.0
    seed: int = 0
    sampling: Mapping[str, Any] = field(default_factory=dict)
    fps: float | None = None
    size: tuple[int, int] | None = None
    captions: Captions = "burned"
    subtitles: Path | None = None
    font: Path | None = None
    slides: Path | None = None
    narration: Sound | None = None
    music: Sound | None = None
    where: Located = NOWHERE

    def at(self, key: str) -> Located:
        """Where a key of the whole stands."""
        table = self.where.value
        return table.get(key, self.where) if isinstance(table, dict) else self.where

    @property
    def draws(self) -> bool:
        """Does a model draw anything of it?"""
        return any(shot.say is not None or shot.insets for shot in self.shots)
