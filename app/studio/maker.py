"""Orders for videos, drawn one after another by a thread of its own.

Every latent frame is published as it is drawn, and written to its file; the codes are kept beside
the video, so that another one can go on from any of its frames exactly.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import queue
import random
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ...training.progress import one_line
from ..decode_apart import decode_apart
from ..fields import condition_fields
from ..limited_process import Limits
from ..provenance.options import Disclosure
from ..runs.jobs import LARGEST_SEED
from ..storyboard.stopped import Stopped
from .direct.order import StoryOrder
from .drawing import Drawing
from .gallery import Gallery
from .live import Channel
from .models import Models
from .order import Order
from .settings import Settings

if TYPE_CHECKING:
    from ...generator.pipeline import VideoGenerator
    from ...generator.session import VideoSession
    from ...tokenizer import VideoCodes
    from ..storyboard.schema import Storyboard

AnyOrder = TypeVar("AnyOrder", bound=Order)
MOST_WAITING = 32
REMEMBERED = 20  # orders that have ended and are still told about
log = logging.getLogger(__name__)


class Cancelled(Exception):
    """Somebody wants no more of it."""


class NoRoom(ValueError):
    """Too much waits, or the gallery is full."""


class Maker:
    """Takes orders and makes their videos.

    Args:
        gallery: where they go.
        models: that can be asked for.
        channel: is told and shown what happens.
        disclosure: what the videos say of where they came from.
        limits: of the process that decodes files which are given.
    """

    def __init__(
        self,
        gallery: Gallery,
        models: Models,
        channel: Channel,
        disclosure: Disclosure = Disclosure(),
        limits: Limits = Limits(),
    ) -> None:
        self.gallery = gallery
        self.models = models
        self.channel = channel
        self.disclosure = disclosure
        self.limits = limits
        self.orders: dict[int, Order] = {}
        self._numbers = itertools.count(1)
        self._waiting: queue.Queue[Order | None] = queue.Queue()
        self._changes = itertools.count(1)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="maker", daemon=True)

    # ---- from the outside ----

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Give up what is drawn, and wait until the thread has ended."""
        self._ending.set()
        for order in list(self.orders.values()):
            order.stop.set()
        self._waiting.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def order(self, settings: Settings) -> Order:
        """Take an order; `NoRoom` if too many wait or the gallery is full."""
        self._check_room()
        seed = settings.seed
        if seed is None:
            seed = random.SystemRandom().randrange(LARGEST_SEED - settings.count)
        seeds = [seed + index for index in range(settings.count)]
        videos = [self.gallery.new_id(settings.prompt, each) for each in seeds]
        settings = dataclasses.replace(settings, seed=seed)
        return self._take(Order(next(self._numbers), settings, seeds, videos))

    def _check_room(self) -> None:
        """`NoRoom` if too many orders wait or the gallery is full."""
        waiting = sum(not order.ended for order in list(self.orders.values()))
        if waiting >= MOST_WAITING:
            raise NoRoom(f"{waiting} orders wait already; let some of them end first")
        self.make_room()

    def make_room(self, more: int = 0) -> None:
        """See that so many bytes more have room in the gallery; `NoRoom` if they have none."""
        try:
            has_less = self.gallery.make_room(more)
        except ValueError as error:
            raise NoRoom(str(error)) from None
        if has_less:
            self.changed()

    def _take(self, order: AnyOrder) -> AnyOrder:
        self._forget()
        self.orders[order.number] = order
        self._tell(order)
        self._waiting.put(order)
        return order

    def order_story(
        self, story: Storyboard, raw: Mapping[str, Any], only: int | None, film: bool
    ) -> StoryOrder:
        """Take an order for shots of a storyboard (all, or `only` one) and perhaps its video."""
        self._check_room()
        says = next((shot.say for shot in story.shots if shot.say), "pictures")
        prompt = f"Storyboard: {says}"
        settings = Settings(
            {"prompt": prompt},
            story.model,
            raw.get("adapter"),
            fps=story.model_fps,
            size=story.model_size,
            seed=story.seed,
        )
        videos = [self.gallery.new_id(prompt, story.seed)]
        order = StoryOrder(next(self._numbers), settings, [story.seed], videos, story=story)
        order.raw = dict(raw)
        order.only = only
        order.film = film
        return self._take(order)

    def cancel(self, number: int, keep: bool) -> None:
        """Stop an order; `keep` saves what has been drawn. ValueError if there is none."""
        order = self.orders.get(number)
        if order is None:
            raise ValueError(f"there is no order {number}")
        order.keep = keep
        order.stop.set()
        if order.state == "waiting":
            self._end(order, "cancelled")

    def changed(self) -> None:
        """Tell the pages that the gallery is another one now."""
        self.channel.state("gallery", next(self._changes))

    # ---- the thread ----

    def _run(self) -> None:
        self._prepare()
        while True:
            order = self._waiting.get()
            if order is None or self._ending.is_set():
                return
            if order.ended:
                continue
            try:
                if isinstance(order, StoryOrder):
                    self._direct(order)
                else:
                    self._make(order)
            except (Cancelled, Stopped):
                self._end(order, "cancelled")
            except Exception as error:  # a mistake of ours must not end the thread
                self._fail(order, error)

    def _fail(self, order: Order, error: Exception) -> None:
        from ..provenance.policy import Refused

        order.error = one_line(error)
        if isinstance(error, Refused):
            order.error_code = "content_policy_violation"
        elif isinstance(error, ValueError):
            order.error_code = "invalid_request"
        else:
            order.error_code = "server_error"
            if not isinstance(error, OSError):
                log.exception("an order failed")
                order.error = f"something went wrong in the studio: {order.error}"
        self._end(order, "failed")

    def _prepare(self) -> None:
        """Load the first model before anybody asks for it."""
        name = next(iter(self.models.models), None)
        if name is None:
            return
        self.channel.state("model", {"model": name, "ready": False})
        try:
            self.models.load(name, None, None)
            self.channel.state("model", {"model": name, "ready": True})
        except (ValueError, OSError) as error:
            problem = one_line(error)
            self.channel.state("model", {"model": name, "ready": False, "error": problem})

    def _make(self, order: Order) -> None:
        settings = order.settings
        order.state = "loading"
        self._tell(order)
        generator = self.models.load(settings.model, settings.adapter, settings.size)
        session = self._session(order, generator)
        if order.stop.is_set():
            raise Cancelled
        order.state = "drawing"
        order.began = time.monotonic()
        self._tell(order)
        from ..provenance.writer import Signing

        signing = Signing(self.disclosure, order.notes.append)
        drawing = Drawing(self.gallery, self.channel, order, generator, session, signing)
        with drawing.files() as write:
            for chunk in session:
                write(chunk)
                self._tell(order)
                if order.done >= settings.frames:
                    break
                if order.stop.is_set() and order.keep:
                    order.notes.append(f"stopped after {order.done} frames")
                    break
                if order.stop.is_set():
                    raise Cancelled
            order.state = "saving"
            self._tell(order)
        drawing.keep()
        if order.stop.is_set() and not order.keep:  # it was cancelled while it was saved
            for video in order.videos:
                self.gallery.delete(video)
            raise Cancelled
        self._end(order, "done")
        self.changed()

    def _direct(self, order: StoryOrder) -> None:
        """Draw shots of a storyboard, and its video."""
        from .direct.draw import StoryDrawing

        order.state = "loading"
        self._tell(order)
        StoryDrawing(self, order, lambda: self._tell(order)).run()
        self._end(order, "done")
        if order.film:
            self.changed()

    def _session(self, order: Order, generator: VideoGenerator) -> VideoSession:
        """What draws the videos of an order; nothing is drawn yet."""
        from ...generator.conditions import Canvas

        settings = order.settings
        k = generator.decoder.config.frames_per_latent
        canvas = Canvas(*generator.size, settings.fps, settings.frames, k)
        texts = settings.texts(condition_fields(generator), self.gallery)
        say = order.notes.append
        values = decode_apart(texts, canvas, self.limits, say=say, names=settings.names())
        prompt = values.pop("prompt")
        order.notes += generator.text.remarks([prompt])
        if settings.origin is not None and settings.origin.frame:
            values["init"] = self._past(settings, generator)
        init = values.get("init")
        if init is not None:
            order.first = init.num_frames if hasattr(init, "num_frames") else init.shape[2]
        if order.first >= settings.frames:
            raise ValueError(
                f"frames: the {order.first} frames that are given count; ask for "
                f"{order.first + 1} or more"
            )
        params = generator.params(**settings.sampling)
        prompts = [prompt] * settings.count
        sound = settings.sound and generator.sound is not None
        return generator.session(prompts, order.seeds, params, sound=sound, **values)

    def _past(self, settings: Settings, generator: VideoGenerator) -> VideoCodes:
        """The codes of the video that another one comes from, up to a frame."""
        from ...tokenizer import VideoCodes

        assert settings.origin is not None
        k = generator.decoder.config.frames_per_latent
        codes = VideoCodes.load(self.gallery.path(settings.origin.video, ".safetensors"))
        latents = (settings.origin.frame - 1) // k + 1
        height, width = generator.size
        return dataclasses.replace(codes.first(latents, k), height=height, width=width)

    # ---- telling ----

    def _end(self, order: Order, state: str) -> None:
        order.state = state
        self._tell(order)

    def _tell(self, order: Order) -> None:
        self.channel.state(f"order-{order.number}", order.to_json())

    def _forget(self) -> None:
        """Say no more of orders that ended long ago."""
        ended = [number for number, order in self.orders.items() if order.ended]
        for number in ended[: max(0, len(ended) - REMEMBERED)]:
            del self.orders[number]
            self.channel.state(f"order-{number}", None)
