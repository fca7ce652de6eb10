"""Draw the segments of a plan that are not there yet.

Codes are kept in a folder, a file for each segment, named by its hash. So only what changed is
drawn again, and a run that was killed goes on: what is being drawn is kept every few seconds too.

Legend: T latent frames, H W cells, Q codebooks of a cell, K codes of a latent frame's sound. Codes
of a chain are [1, T, H, W] or [1, T, H, W, Q], and those of its sound [1, T, K].
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ...generator.conditions import CONDITIONS, Canvas
from ...generator.conditions.base import Say
from ...tokenizer import VideoCodes, frame_count
from ..fields import parse_values
from ..heard import Drawn, codes_of, drawn, sound_codes
from .plan import Chain, Segment
from .schema import Storyboard
from .stopped import Stopped

if TYPE_CHECKING:
    from ...generator.pipeline import VideoGenerator
    from ...generator.session import VideoSession

KEEP_EVERY = 5.0  # seconds between two times that a segment in the making is kept
ENDING = ".safetensors"
BEGUN = ".begun"


class Codes(NamedTuple):
    """Of latent frames: their pictures, and their sound if it is drawn."""

    pictures: Tensor
    sound: Tensor | None = None

    @property
    def latents(self) -> int:
        return self.pictures.shape[1]

    @classmethod
    def joined(cls, parts: Sequence[Codes]) -> Codes:
        """One after another."""
        sounds = [part.sound for part in parts if part.sound is not None]
        sound = torch.cat(sounds, dim=1) if sounds else None
        return cls(torch.cat([part.pictures for part in parts], dim=1), sound)


Parse = Callable[[Mapping[str, str], Canvas, Say], dict[str, Any]]
Watch = Callable[[Segment, Drawn], None]  # is shown a latent frame that was drawn


class Shelf:
    """The folder of what a model drew; it may not be there yet.

    Args:
        sound: whether sound is drawn too.
    """

    def __init__(self, folder: Path, generator: VideoGenerator, sound: bool = False) -> None:
        self.folder = folder
        self.generator = generator
        self.sound = sound
        self.tokenizer = generator.tokenizer.id
        self.size = generator.size
        self.k = generator.decoder.config.frames_per_latent

    def has(self, segment: Segment) -> bool:
        return self._path(segment).is_file()

    def read(self, segment: Segment) -> Codes | None:
        """The codes of a segment; None if they are not there, damaged, or of another tokenizer."""
        codes = self._read(self._path(segment))
        wanted = segment.last - segment.first
        return codes if codes is not None and codes.latents == wanted else None

    def read_begun(self, segment: Segment) -> Codes | None:
        """Those of its first latent frames, which a run left that was killed."""
        return self._read(self._path(segment, BEGUN))

    def keep(self, segment: Segment, codes: Codes, begun: bool = False) -> None:
        """Write the codes of a segment, or of its beginning."""
        path = self._path(segment, BEGUN if begun else "")
        self.whole(codes).save(path)
        if not begun:
            self._path(segment, BEGUN).unlink(missing_ok=True)

    def whole(self, codes: Codes) -> VideoCodes:
        """As files and sessions have them."""
        frames = frame_count(codes.latents, self.k)
        sound = None
        if codes.sound is not None:
            sound = codes_of(codes.sound, frames, self.generator)
        pictures = codes.pictures.contiguous()
        return VideoCodes(pictures, frames, *self.size, tokenizer=self.tokenizer, sound=sound)

    def unused(self, segments: Sequence[Segment]) -> list[Path]:
        """Files of segments that a plan does not need."""
        used = {segment.key for segment in segments}
        found = sorted(self.folder.glob(f"*{ENDING}")) if self.folder.is_dir() else []
        return [path for path in found if path.name.partition(".")[0] not in used]

    def _path(self, segment: Segment, mark: str = "") -> Path:
        return self.folder / f"{segment.key}{mark}{ENDING}"

    def _read(self, path: Path) -> Codes | None:
        if not path.is_file():
            return None
        try:
            codes = VideoCodes.load(path)
        except ValueError:
            return None  # it is drawn again
        if codes.tokenizer != self.tokenizer or self.sound != (codes.sound is not None):
            return None
        return Codes(codes.indices, None if codes.sound is None else codes.sound.indices)


class Artist:
    """Draws with one model.

    Args:
        generator: asks its own policy.
        story: for the settings that all segments share.
        shelf: where codes are kept.
        say: is told in a line what a person should know.
        watch: is shown what is drawn.
        stopped: is asked after each latent frame.
        parse: reads what is given beside the sentences.
    """

    def __init__(
        self,
        generator: VideoGenerator,
        story: Storyboard,
        shelf: Shelf,
        say: Callable[[str], None],
        watch: Watch | None = None,
        stopped: Callable[[], bool] = lambda: False,
        parse: Parse = parse_values,
    ) -> None:
        self.generator = generator
        self.story = story
        self.shelf = shelf
        self.say = say
        self.watch = watch
        self.stopped = stopped
        self.parse = parse
        self.k = generator.decoder.config.frames_per_latent
        self.params = generator.params(**story.sampling)

    def codes(self, chain: Chain) -> Codes:
        """Those of all its segments, drawn where they are not there.

        Raises:
            Stopped: the caller wanted no more; what was drawn is kept.
            ValueError: a sentence or condition that the model or its policy does not take.
        """
        parts: list[Codes] = []
        for segment in chain.segments:
            found = self.shelf.read(segment)
            if found is None:
                found = self._draw(segment, parts)
                self.shelf.keep(segment, found)
            parts.append(found)
        return Codes.joined(parts)

    def values(self, conditions: Mapping[str, str], frames: int) -> dict[str, Any]:
        """What is given beside the sentence, for a chain of so many frames."""
        canvas = Canvas(*self.generator.size, self.story.model_fps, frames, self.k)
        return self.parse(conditions, canvas, self.say)

    def _draw(self, segment: Segment, before: Sequence[Codes]) -> Codes:
        values = self.values(segment.conditions, segment.frames)
        begun = None
        if all(CONDITIONS[name].port in ("past", "prefix") for name in values):
            begun = self.shelf.read_begun(segment)
        there = [*before, *([] if begun is None else [begun])]
        past = Codes.joined(there) if there else None
        session, later = self._session(segment, past, values)
        parts = [] if begun is None else [begun]
        kept = time.monotonic()
        for codes, chunk in self._grow(session, later, 0 if past is None else past.latents):
            parts.append(codes)
            if self.watch is not None:
                self.watch(segment, drawn(chunk))
            count = segment.first + sum(part.latents for part in parts)
            if count >= segment.last:
                break
            stopping = self.stopped()
            if stopping or time.monotonic() - kept > KEEP_EVERY:
                self.shelf.keep(segment, Codes.joined(parts), begun=True)
                kept = time.monotonic()
            if stopping:
                raise Stopped
        return Codes.joined(parts)

    def _session(
        self, segment: Segment, past: Codes | None, values: dict[str, Any]
    ) -> tuple[VideoSession, Mapping[str, Any]]:
        """What draws a segment after what is there already, and the conditions that it must be
        given once it has read that."""
        later: Mapping[str, Any] = {}
        if past is not None:
            values.pop("init", None)  # it is among the codes of the past
            later = {n: v for n, v in values.items() if CONDITIONS[n].port != "prefix"}
            values = {n: v for n, v in values.items() if n not in later}
            values["init"] = self.shelf.whole(past)
        sound = self.shelf.sound
        prompt = segment.prompt
        session = self.generator.session(prompt, segment.seed, self.params, sound=sound, **values)
        return session, later

    def _grow(
        self, session: VideoSession, later: Mapping[str, Any], skip: int
    ) -> Iterator[tuple[Codes, Any]]:
        """Codes of the latent frames that come after those of the past, and what the session gave
        with each."""
        grid = self.generator.decoder.config.grid
        for number, chunk in enumerate(session):
            if number + 1 == skip:
                for name, value in later.items():
                    session.give(name, value)
            if number < skip:
                continue
            codes_BG = session.engine.past[-1]
            pictures = self.generator.codebooks.give(codes_BG.unflatten(1, (1, *grid))).cpu()
            sound = sound_codes(session).cpu() if session.sound else None
            yield Codes(pictures, sound), chunk
