"""When each shot is seen, and what a model must draw for it.

Shots lie on the frames of the finished video, so that every change comes within half a frame of its
time. What is drawn lies on the latent frames of the model: a shot, and those that continue it, are
one chain of segments, each with a sentence of its own and a hash of everything that decides about
its codes. A segment with the same hash is never drawn twice.

Legend: k frames of a latent frame but the first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...files.fingerprint import file_fingerprint
from ...generator.conditions import CONDITIONS
from ..fields import FILES
from .located import Located
from .schema import Inset, Shot, Storyboard

VERSION = 1  # of how segments are drawn; another one draws everything again
EPSILON = 1e-6  # frames; times such as 0.1 s are no exact numbers

# The sentence that may be drawn in place of one with its conditions, in a chain of so many frames.
Allowed = Callable[[str, Mapping[str, str], int], str]
Seconds = Callable[[Path], float]  # of a sound


@dataclass(frozen=True)
class Model:
    """What a plan needs to know of the model: a hash of all that decides about its codes, and the
    frames of a latent frame but the first."""

    key: str
    frames_per_latent: int


@dataclass(frozen=True)
class Segment:
    """Latent frames that are drawn under one sentence, from `first` to before `last` of their
    chain; `frames` is the length of the chain up to here."""

    shot: int  # number, from 1
    prompt: str
    conditions: Mapping[str, str]
    seed: int
    first: int
    last: int
    frames: int
    key: str


@dataclass
class Chain:
    """Segments without a cut between them, and the frame of the finished video where they begin."""

    start: int
    segments: list[Segment] = field(default_factory=list)


@dataclass(frozen=True)
class Laid:
    """A clip of the model that lies on a picture from a frame of the video on."""

    inset: Inset
    chain: Chain
    first: int
    frames: int


@dataclass(frozen=True)
class Span:
    """A shot in time: its first frame of the video and how many there are; `tail` more are shown
    while the next shot blends in; `blend` is how many of its own frames its join takes."""

    number: int
    shot: Shot
    first: int
    frames: int
    tail: int
    blend: int
    chain: Chain | None
    insets: tuple[Laid, ...]

    @property
    def end(self) -> int:
        return self.first + self.frames


@dataclass(frozen=True)
class Plan:
    """All shots in time at a rate."""

    story: Storyboard
    fps: float
    spans: tuple[Span, ...]

    @property
    def frames(self) -> int:
        return self.spans[-1].end

    @property
    def chains(self) -> list[Chain]:
        """All that a model draws, in order."""
        found: list[Chain] = []
        for span in self.spans:
            for chain in [span.chain, *(laid.chain for laid in span.insets)]:
                if chain is not None and chain not in found:
                    found.append(chain)
        return found

    @property
    def segments(self) -> list[Segment]:
        return [segment for chain in self.chains for segment in chain.segments]


def make_plan(
    story: Storyboard, fps: float, seconds: Seconds, model: Model | None, allowed: Allowed
) -> Plan:
    """Lay the shots on the frames of the video.

    Args:
        fps: of the finished video.
        seconds: how long a file of sound is.
        model: None if nothing is drawn.
        allowed: what may be drawn in place of a sentence; raises ValueError for one that may not.

    Raises:
        ValueError: with the place, for a shot that is shorter than a frame or than its join.
    """
    return _Planner(story, fps, seconds, model, allowed).plan()


class _Planner:
    def __init__(
        self,
        story: Storyboard,
        fps: float,
        seconds: Seconds,
        model: Model | None,
        allowed: Allowed,
    ) -> None:
        self.story = story
        self.fps = fps
        self.seconds = seconds
        self.model = model
        self.allowed = allowed

    def plan(self) -> Plan:
        spans: list[Span] = []
        at = 0.0
        for index, shot in enumerate(self.story.shots):
            beats = self._beats(shot)
            ends = [self._frame(at + sum(beats[: n + 1])) for n in range(len(beats))]
            first = self._frame(at)
            at += sum(beats)
            if ends[-1] <= first:
                shot.at("for").fail(f"the shot is shorter than one frame of {self.fps:g} a second")
            blend = self._frame(shot.join.seconds)
            if blend > ends[-1] - first:
                shot.at("join").fail(f"the {shot.join.kind} is longer than its shot")
            following = self.story.shots[index + 1 : index + 2]
            crossed = [s.join.seconds for s in following if s.join.kind == "crossfade"]
            tail = self._frame(crossed[0]) if crossed else 0
            chain = None
            if shot.say is not None:
                goes_on = shot.join.kind == "continue"
                chain = spans[-1].chain if goes_on else Chain(first)
                assert chain is not None
                self._draw(chain, index + 1, shot, [*ends[:-1], ends[-1] + tail])
            insets = tuple(
                self._laid(inset, index + 1, shot, first, ends[-1] - first) for inset in shot.insets
            )
            spans.append(Span(index + 1, shot, first, ends[-1] - first, tail, blend, chain, insets))
        return Plan(self.story, self.fps, tuple(spans))

    def _frame(self, seconds: float) -> int:
        return round(seconds * self.fps)

    def _beats(self, shot: Shot) -> list[float]:
        """Seconds of a sentence and of what comes after it."""
        if shot.length is not None:
            first = shot.length.seconds(self.fps)
        else:
            assert shot.narration is not None
            with shot.at("narration").blamed():
                first = shot.narration.at + self.seconds(shot.narration.file)
        return [first, *(beat.length.seconds(self.fps) for beat in shot.then)]

    def _draw(self, chain: Chain, number: int, shot: Shot, ends: list[int]) -> None:
        """Add the segments of a shot, whose sentences end at these frames of the video."""
        assert shot.say is not None
        seed = self.story.seed if shot.seed is None else shot.seed
        for index, (say, end) in enumerate(zip([shot.say, *(b.say for b in shot.then)], ends)):
            conditions = shot.conditions if index == 0 else _lasting(shot.conditions)
            place = shot.at("then" if index else "say")
            sentence = with_camera(say, shot.camera)
            self._add(chain, number, place, sentence, conditions, seed, end)

    def _laid(self, inset: Inset, number: int, shot: Shot, first: int, frames: int) -> Laid:
        begin = self._frame(inset.at)
        lasts = frames - begin if inset.seconds is None else self._frame(inset.seconds)
        if lasts < 1 or begin + lasts > frames:
            inset.where.fail("the inset must begin and end within its shot")
        chain = Chain(first + begin)
        seed = self.story.seed if inset.seed is None else inset.seed
        self._add(chain, number, inset.where, inset.say, {}, seed, chain.start + lasts)
        return Laid(inset, chain, chain.start, lasts)

    def _add(
        self,
        chain: Chain,
        number: int,
        place: Located,
        sentence: str,
        conditions: Mapping[str, str],
        seed: int,
        end: int,
    ) -> None:
        """A segment up to a frame of the video, unless what is drawn already reaches there."""
        assert self.model is not None
        k = self.model.frames_per_latent
        frames = source_frames(end - chain.start, self.story.model_fps, self.fps)
        first = chain.segments[-1].last if chain.segments else 0
        last = 1 + -(-(frames - 1) // k)
        if last <= first:
            return
        try:
            prompt = self.allowed(sentence, conditions, frames)
        except ValueError as error:
            place.fail(str(error))
        before = chain.segments[-1].key if chain.segments else None
        key = _hash(
            {
                "version": VERSION,
                "model": self.model.key,
                "prompt": prompt,
                "conditions": {n: _content(n, text) for n, text in conditions.items()},
                "seed": seed,
                "sampling": dict(self.story.sampling),
                "fps": self.story.model_fps,
                "latents": [first, last],
                "before": before,
                **({"frames": frames} if conditions else {}),
            }
        )
        chain.segments.append(Segment(number, prompt, conditions, seed, first, last, frames, key))


def source_frames(shown: int, rate: float, fps: float) -> int:
    """Frames at a model's rate that are needed to show so many at the video's."""
    return source_frame(shown - 1, rate, fps) + 1


def source_frame(index: int, rate: float, fps: float) -> int:
    """The frame at a model's rate that is seen in a frame of the video, both from 0."""
    return int(index * rate / fps + EPSILON)


def with_camera(sentence: str, camera: str | None) -> str:
    """The sentence with what the camera does, as captions of the shipped worlds say it."""
    if camera is None:
        return sentence
    words = camera if {"camera", "shot"} & set(camera.lower().split()) else f"the camera {camera}"
    return f"{sentence.rstrip('. ')}, {words}"


def _lasting(conditions: Mapping[str, str]) -> dict[str, str]:
    """Conditions that hold for all frames; the others are used up by the first sentence."""
    return {name: text for name, text in conditions.items() if CONDITIONS[name].port == "prefix"}


def _content(name: str, text: str) -> str:
    """What a condition's value is known by: text by itself, a file by what is in it."""
    if CONDITIONS[name].kind not in FILES:
        return text
    path = Path(text)
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return "".join(file_fingerprint(file) for file in files)


def _hash(what: object) -> str:
    text = json.dumps(what, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
