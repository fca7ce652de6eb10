"""What is heard: narration, the sound of clips that are shown or drawn, and music below them.

Legend: L samples; sounds are float [2, L] in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ...data.video import probe
from ...data.video.sound import read_sound, resample_sound
from ...files.image_files import is_image
from .plan import Chain, Plan, Span
from .schema import Sound

RATE = 48_000  # samples per second
MUSIC_VOLUME = 0.35  # of music without a volume, where something is spoken
DUCKED = 0.35  # of the music's volume while somebody speaks
RAMP = 0.4  # seconds in which it becomes so
END = 1.5  # seconds in which music fades out at the end
EDGE = 0.01  # seconds in which a sound that is cut off fades, so that it does not click
FULL = 0.99
LONGEST = 24 * 3600.0  # seconds of a file

ReadSound = Callable[..., Tensor]
Heard = Callable[[Chain], tuple[Tensor, int] | None]  # samples [L] of a chain, and their rate


def has_sound(path: Path) -> bool:
    """Whether a clip that is shown is also heard."""
    if path.is_dir() or is_image(path):
        return False
    return probe(path).has_audio


class Sounds:
    """Reads files of sound and knows how long they are. Errors name the file.

    Args:
        read: as `read_sound`.
        are_in: as `has_sound`.
    """

    def __init__(
        self, read: ReadSound = read_sound, are_in: Callable[[Path], bool] = has_sound
    ) -> None:
        self._read = read
        self.are_in = are_in
        self._seconds: dict[Path, float] = {}

    def seconds(self, path: Path) -> float:
        """How long a file is heard."""
        if path not in self._seconds:
            self._seconds[path] = self._read(path, 8_000, LONGEST).shape[0] / 8_000
        return self._seconds[path]

    def read(self, path: Path, seconds: float) -> Tensor:
        """Its first seconds."""
        return self._read(path, RATE, seconds, stereo=True)


def mixed(
    plan: Plan, sounds: Sounds, say: Callable[[str], None], heard: Heard = lambda chain: None
) -> Tensor | None:
    """All that is heard of a plan, as long as its video; None if nothing is.

    Args:
        heard: the sound of what a model drew.

    Raises:
        ValueError: with the place, for a narration that begins while another one goes on, or that
            goes on beyond the end.
    """
    length = round(plan.frames / plan.fps * RATE)
    story = plan.story
    voices = torch.zeros(2, length)
    spoken: list[tuple[float, float]] = []
    is_heard = False
    if story.narration is not None:
        with story.at("narration").blamed():
            spoken.append(_speak(voices, story.narration, 0.0, sounds, say, plan))
        is_heard = True
    for span in plan.spans:
        start = span.first / plan.fps
        shot = span.shot
        clip = _of_clip(span, plan, sounds)
        if clip is not None:
            _add(voices, clip, start)
            spoken.append((start, start + clip.shape[1] / RATE))
            is_heard = True
        if shot.narration is None:
            continue
        is_heard = True
        with shot.at("narration").blamed():
            begin, end = _speak(voices, shot.narration, start, sounds, say, plan)
        frame = 1 / plan.fps  # by which shots are rounded
        if any(begin < other[1] - frame and other[0] < end - frame for other in spoken):
            shot.at("narration").fail("it begins while something else is still spoken or heard")
        spoken.append((begin, end))
    drawn = _drawn(plan, length, heard)
    if drawn is not None:
        voices += drawn * _ducking(length, spoken)
        is_heard = True
    if story.music is not None:
        with story.at("music").blamed():
            voices += _music(story.music, length, spoken, sounds)
        is_heard = True
    if not is_heard:
        return None
    peak = float(voices.abs().max())
    if peak > FULL:
        say(f"the sound was too loud by a factor of {peak / FULL:.2f}; all of it is made softer")
        voices *= FULL / peak
    return voices


def _of_clip(span: Span, plan: Plan, sounds: Sounds) -> Tensor | None:
    """The sound of the clip that a shot shows; None if it has none, or it shall not be heard."""
    shot = span.shot
    if shot.show is None or not shot.hears:
        return None
    with shot.at("show").blamed():
        if not sounds.are_in(shot.show):
            return None
        return sounds.read(shot.show, (span.frames + span.tail) / plan.fps)


class _Part(NamedTuple):
    """What is heard of a chain: from a frame of the video on, so many frames, and the seconds in
    which it fades out at its end."""

    chain: Chain
    first: int
    frames: int
    fade: float


def _parts(plan: Plan) -> Iterator[_Part]:
    """What is heard of the shots, and of the clips that lie on them, that a model drew."""
    for span, after in zip(plan.spans, [*plan.spans[1:], None]):
        if span.chain is not None and span.shot.hears:
            goes_on = after is not None and after.chain is span.chain
            fade = 0.0 if goes_on else max(EDGE, span.tail / plan.fps)  # cut off, or blending out
            yield _Part(span.chain, span.first, span.frames + span.tail, fade)
        for laid in span.insets:
            if laid.inset.hears:
                yield _Part(laid.chain, laid.first, laid.frames, EDGE)


def _drawn(plan: Plan, length: int, heard: Heard) -> Tensor | None:
    """The sound of what a model drew, each where it is seen; None if there is none."""
    track = torch.zeros(2, length)
    is_heard = False
    chains: dict[int, tuple[Tensor, int] | None] = {}
    for part in _parts(plan):
        if id(part.chain) not in chains:
            chains[id(part.chain)] = heard(part.chain)
        sound = chains[id(part.chain)]
        if sound is None:
            continue
        is_heard = True
        (samples, rate) = sound
        first = round((part.first - part.chain.start) / plan.fps * rate)
        count = round(part.frames / plan.fps * rate)
        piece = resample_sound(samples[first : first + count], rate, RATE)
        edge = min(len(piece), round(part.fade * RATE))
        piece[len(piece) - edge :] *= torch.linspace(1, 0, edge)
        _add(track, piece.expand(2, -1), part.first / plan.fps)
    return track if is_heard else None


def _speak(
    into: Tensor,
    voice: Sound,
    start: float,
    sounds: Sounds,
    say: Callable[[str], None],
    plan: Plan,
) -> tuple[float, float]:
    """Add a narration; when it begins and ends."""
    begin = start + voice.at
    whole = sounds.seconds(voice.file)
    end = plan.frames / plan.fps
    late = begin + whole - end
    if late > 1 / plan.fps:
        say(f"{voice.file.name} is cut off: it goes on for {late:.2f} s after the last picture")
    if begin < end:
        sound = sounds.read(voice.file, end - begin) * (
            1.0 if voice.volume is None else voice.volume
        )
        _add(into, sound, begin)
    return begin, min(end, begin + whole)


def _add(into: Tensor, sound: Tensor, start: float) -> None:
    """Add a sound from a time on, as far as there is room."""
    first = round(start * RATE)
    count = min(sound.shape[1], into.shape[1] - first)
    if count <= 0:
        return
    piece = sound[:, :count].clone()
    if count < sound.shape[1]:
        edge = min(count, round(EDGE * RATE))
        piece[:, count - edge :] *= torch.linspace(1, 0, edge)
    into[:, first : first + count] += piece


def _music(music: Sound, length: int, spoken: list[tuple[float, float]], sounds: Sounds) -> Tensor:
    """Music for the whole length, from its beginning again where it is short, and softer while
    somebody speaks."""
    once = sounds.read(music.file, length / RATE)
    times = -(-length // once.shape[1])
    usual = MUSIC_VOLUME if spoken else 1.0
    volume = usual if music.volume is None else music.volume
    heard = once.repeat(1, times)[:, :length] * volume
    heard *= _ducking(length, spoken)
    edge = min(length, round(END * RATE))
    heard[:, length - edge :] *= torch.linspace(1, 0, edge)
    first = round(music.at * RATE)
    return torch.nn.functional.pad(heard, (first, 0))[:, :length] if first else heard


def _ducking(length: int, spoken: list[tuple[float, float]]) -> Tensor:
    """The share of its volume that music has, [L]."""
    share = torch.ones(length)
    ramp = round(RAMP * RATE)
    for start, end in spoken:
        first = max(0, round(start * RATE))
        last = min(length, round(end * RATE))
        share[first:last] = DUCKED
        before = torch.linspace(1, DUCKED, ramp)[max(0, ramp - first) :]
        begin = first - len(before)
        share[begin:first] = torch.minimum(share[begin:first], before)
        after = torch.linspace(DUCKED, 1, ramp)[: length - last]
        share[last : last + len(after)] = torch.minimum(share[last : last + len(after)], after)
    return share
