"""Draw what a storyboard's order asks for, on the thread that draws everything.

Pages see and hear each shot: what is drawn now, or what was drawn before if one shot is asked for.

Legend: l samples.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from torch import Tensor

from ....data.video import read_clip
from ....files.atomic import write_whole
from ...heard import Drawn
from ...provenance.writer import Signing
from ...storyboard.compose import Composer, Watching
from ...storyboard.plan import Chain, Plan, Segment, Span
from ...storyboard.stopped import Stopped
from ..gallery import FOLDER_SHOTS
from ..live import Channel
from ..pictures import poster
from .order import StoryOrder
from .reading import reading_apart
from .story import poster_path

if TYPE_CHECKING:
    from ..maker import Maker


class StoryDrawing:
    """One order in the making.

    Args:
        tell: tells the pages how far the order is.
    """

    def __init__(self, maker: Maker, order: StoryOrder, tell: Callable[[], None]) -> None:
        self.order = order
        self.gallery = maker.gallery
        self.channel: Channel = maker.channel
        self.tell = tell
        story = order.story
        generator = None
        if story.draws:
            settings = order.settings
            generator = maker.models.load(settings.model, settings.adapter, settings.size)
        watching = Watching(order.notes.append, self._drew, self._wrote, order.stop.is_set)
        folder = maker.gallery.folder / FOLDER_SHOTS
        reading = reading_apart(maker.limits)
        self.composer = Composer(story, folder, generator, watching, reading)
        self.signing = Signing(maker.disclosure, order.notes.append)
        self.shown = 0  # pictures that the pages were sent
        self.heard = _heard_segments(self.composer.plan)

    def run(self) -> None:
        """Draw; raises Stopped if the order is cancelled."""
        order = self.order
        composer = self.composer
        composer.name_unknown()
        spans = [s for s in composer.plan.spans if order.only in (None, s.number)]
        order.shots = [{"state": "waiting", "piece": None} for _ in composer.plan.spans]
        order.frames = sum(self._frames_to_draw(span) for span in spans)
        order.frames += composer.plan.frames if order.film else 0
        order.state = "drawing"
        order.began = time.monotonic()
        self.tell()
        for span in spans:
            self._draw(span)
        if order.film:
            self._compose()

    def _frames_to_draw(self, span: Span) -> int:
        shelf = self.composer.artist.shelf if self.composer.artist else None
        missing = [
            segment
            for chain in _chains(span)
            for segment in chain.segments
            if segment.shot == span.number and shelf is not None and not shelf.has(segment)
        ]
        return sum(segment.last - segment.first for segment in missing) * self._k

    @property
    def _k(self) -> int:
        return self.composer.artist.k if self.composer.artist else 1

    def _draw(self, span: Span) -> None:
        """Draw one shot, with those before it that it goes on from."""
        state = self.order.shots[span.number - 1]
        state["state"] = "drawing"
        self.tell()
        artist = self.composer.artist
        before = self.shown
        for chain in _chains(span):
            assert artist is not None
            artist.codes(chain)
        own = Chain(0) if span.chain is None else _up_to(span.chain, span.number)
        if own.segments:
            piece = own.segments[-1].key
            if self.order.only is not None and self.shown == before:
                self._show(own, span.number)  # it was there already: let it be seen
            self._keep_poster(own, piece)
            state["piece"] = piece
        state["state"] = "drawn"
        self.tell()

    def _keep_poster(self, chain: Chain, piece: str) -> None:
        path = poster_path(self.gallery, piece)
        if not path.exists():
            pictures = list(self._pictures(chain, chain.segments[-1].shot))
            write_whole(path, poster(pictures[len(pictures) // 2][:, None]))

    def _first_frame(self, chain: Chain, shot: int) -> int:
        """Of a shot, in its chain."""
        first = min(segment.first for segment in chain.segments if segment.shot == shot)
        return 0 if first == 0 else 1 + (first - 1) * self._k

    def _pictures(self, chain: Chain, shot: int) -> Iterator[Tensor]:
        """Those of one shot of a chain, uint8 [3, y, x]."""
        skip = self._first_frame(chain, shot)
        for number, picture in enumerate(self.composer.decoded(chain)):
            if number >= skip:
                yield picture

    def _show(self, chain: Chain, shot: int) -> None:
        """Show a shot that was drawn before, with a second of its sound at a time."""
        samples_l = None
        if any(s.key in self.heard for s in chain.segments if s.shot == shot):
            found = self.composer.heard(chain)
            samples_l = None if found is None else found[0]
        at_once = round(self.order.settings.fps)
        skip = self._first_frame(chain, shot)
        for number, picture in enumerate(self._pictures(chain, shot)):
            if samples_l is not None and number % at_once == 0:
                first = (skip + number) * self._samples
                self._sound(samples_l[first : first + at_once * self._samples])
            self._send(picture)

    def _drew(self, segment: Segment, latent: Drawn) -> None:
        """A latent frame has been drawn."""
        if latent.samples is not None and segment.key in self.heard:
            self._sound(latent.samples[0])
        for picture in latent.pixels[0].unbind(1):
            self._send(picture)
        self.order.done = min(self.order.frames, self.order.done + self._k)
        self.tell()

    @property
    def _samples(self) -> int:
        """Of a frame."""
        assert self.composer.generator is not None
        return self.composer.generator.samples_per_frame

    def _sound(self, samples_l: Tensor) -> None:
        """Send what is heard from the next picture on."""
        assert self.composer.generator is not None
        first = self.shown * self._samples
        heard = samples_l[:, None].numpy()
        self.channel.sound(self.order.number, first, heard, self.composer.generator.sound_rate)

    def _send(self, picture_3yx: Tensor) -> None:
        pixels = picture_3yx.permute(1, 2, 0).numpy()
        self.channel.picture(self.order.number, 0, self.shown, pixels)
        self.shown += 1

    def _wrote(self, done: int, frames: int) -> None:
        """A picture of the video has been written."""
        if self.order.stop.is_set():
            raise Stopped
        self.order.done = self.order.frames - frames + done
        if done % 12 == 0 or done == frames:
            self.tell()

    def _compose(self) -> None:
        """Write the video and add it to the gallery."""
        order = self.order
        composer = self.composer
        video = order.videos[0]
        path = self.gallery.path(video)
        composer.compose(path, self.signing)
        height, width = composer.size
        middle = read_clip(path, composer.plan.frames / composer.plan.fps / 2, 1).video
        settings = dataclasses.replace(order.settings, fps=composer.plan.fps)
        record = {
            "id": video,
            "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "settings": {**settings.to_json(), "story": dict(order.raw)},
            "frames": composer.plan.frames,
            "height": height,
            "width": width,
            "seconds": round(time.monotonic() - order.began, 2),
            "notes": order.notes,
        }
        self.gallery.add(record, poster(middle))


def _heard_segments(plan: Plan) -> set[str]:
    """The hashes of what is heard, if the model draws sound."""
    heard: set[str] = set()
    for span in plan.spans:
        own = [] if span.chain is None or not span.shot.hears else span.chain.segments
        heard.update(segment.key for segment in own if segment.shot == span.number)
        for laid in span.insets:
            if laid.inset.hears:
                heard.update(segment.key for segment in laid.chain.segments)
    return heard


def _chains(span: Span) -> list[Chain]:
    """What must be drawn for a shot: its chain up to it, and the clips that lie on it."""
    own = [] if span.chain is None else [_up_to(span.chain, span.number)]
    return own + [laid.chain for laid in span.insets]


def _up_to(chain: Chain, shot: int) -> Chain:
    return Chain(chain.start, [segment for segment in chain.segments if segment.shot <= shot])
