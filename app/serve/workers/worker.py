"""A process that draws: it takes videos from the queue and draws them in one batch.

It talks with the server through a pipe, in tuples: ("wake",), ("stop", seconds), and of a live
video ("open", name, client, request), ("change", name, prompt, given), ("taken", name) and
("close", name); back go ("ready",), ("pictures", name, files, sound), ("refused", name, error) and
("ended", name, error). When the server is gone, the pipe ends, and so does the worker.
"""

from __future__ import annotations

import signal
import sys
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import torch

from ....files.model_folder import UndrawnWeights
from ....generator.batch import VideoBatch
from ....generator.devices import choose_device
from ...fields import parse_values
from ...provenance.policy import Gate, GuardedGenerator, Refused, acting_for, load_policies
from ...provenance.writer import Signing
from ..logs import log
from ..request import VideoRequest
from ..served_model import ServedModel
from ..settings import ServeSettings
from ..store.database import Database
from ..store.queue import Video, VideoQueue
from .drawing import Drawing, DrawingPlace, LiveDrawing, QueuedDrawing, start_session
from .jobs import Jobs, QueueJobs

LOOK = 1.0  # seconds between two looks into the queue of a worker that nobody wakes


def run_worker(settings: ServeSettings, name: str, threads: int, pipe: Connection) -> None:
    """What the process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server says when to stop
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    torch.set_num_threads(threads)
    try:
        Worker(settings, name, pipe).run()
    except (EOFError, ConnectionError):
        sys.exit(0)  # the server is gone; the next one finds in the queue what was not done


def load_generator(settings: ServeSettings) -> tuple[GuardedGenerator, str]:
    """The model as the settings say, and its fingerprint without adapter and in full."""
    with UndrawnWeights():
        generator = GuardedGenerator.from_pretrained(settings.model)
    generator = generator.to(choose_device(settings.device))
    generator.gate = Gate(load_policies(settings.rules.policy), settings.rules.log_refused)
    fingerprint = generator.id
    if settings.adapter is not None:
        from ....generator.training.lora import load_adapter

        load_adapter(generator, settings.adapter)
    generator.lighten(settings.dtype, settings.quantize)
    return generator, fingerprint


def own_jobs(settings: ServeSettings, name: str) -> QueueJobs:
    """Of the queue in the folder that worker and server share."""
    queue = VideoQueue(Database(settings.folder), settings.limits)
    return QueueJobs(queue, name, Path(settings.folder))


class Pipe(Protocol):
    """What a worker hears and says; a `multiprocessing.connection.Connection` is one."""

    def poll(self, timeout: float) -> bool: ...

    def recv(self) -> Any: ...

    def send(self, message: Any) -> None: ...


class Worker:
    """Draws until it is told to stop.

    Args:
        name: of the process, unlike that of any other one.
        pipe: to the server.
        jobs: from the server; None for those of a queue in the folder of the settings.
        loaded: the model, if it is there already.
    """

    def __init__(
        self,
        settings: ServeSettings,
        name: str,
        pipe: Pipe,
        jobs: Jobs | None = None,
        loaded: tuple[GuardedGenerator, str] | None = None,
    ) -> None:
        self.settings = settings
        self.name = name
        self.pipe = pipe
        (generator, fingerprint) = loaded or load_generator(settings)
        self.batch = VideoBatch(generator)
        self.jobs = jobs or own_jobs(settings, name)
        signing = Signing(settings.disclosure, partial(log, "signing", worker=name))
        model = ServedModel.read(settings.model)
        self.place = DrawingPlace(settings.folder, model, fingerprint, signing)
        self.drawings: list[Drawing] = []
        self.stop_at: float | None = None
        self.looked = 0.0
        pipe.send(("ready",))

    def run(self) -> None:
        while not self._is_over():
            self._listen(LOOK if not self.batch.sessions else 0.0)
            self._take_jobs()
            for session, chunk in self.batch.step():
                self._advance(session, chunk)
        for drawing in list(self.drawings):
            self._end(drawing)
        self.jobs.hand_back()

    def _is_over(self) -> bool:
        if self.stop_at is None:
            return False
        waits = any(isinstance(drawing, QueuedDrawing) for drawing in self.drawings)
        return not waits or time.monotonic() > self.stop_at

    # ---- the queue ----

    def _take_jobs(self) -> None:
        """Take one more video, if there is room: other workers take the next ones meanwhile."""
        now = time.monotonic()
        is_full = len(self.batch.sessions) >= self.settings.batch
        if self.stop_at is not None or is_full or (self.drawings and now < self.looked):
            return
        videos = self.jobs.claim(1)
        if not videos:
            self.looked = now + LOOK
        for video in videos:
            self._begin(video)

    def _begin(self, video: Video) -> None:
        try:
            with acting_for(video.owner):
                made = QueuedDrawing(video, self.jobs, self.batch, self.place)
            self.drawings.append(made)
        except ConnectionError:  # the server is gone
            raise
        except (ValueError, OSError) as error:
            message = " ".join(str(error).split())
            is_refused = isinstance(error, Refused)
            code = "content_policy_violation" if is_refused else "invalid_request"
            self.jobs.fail(video.id, code, message)

    def _advance(self, session: Any, chunk: Any) -> None:
        """Use what has been drawn for one video."""
        drawing = next(each for each in self.drawings if each.session is session)
        try:
            goes_on = drawing.take(chunk)
        except ConnectionError:  # the server is gone
            raise
        except OSError as error:  # the disk is full: others may still be finished
            self._fail(drawing, str(error))
            goes_on = False
        if not goes_on:
            self._end(drawing)
        elif isinstance(drawing, LiveDrawing):
            self._change(drawing)

    def _fail(self, drawing: Drawing, message: str) -> None:
        log("failed", worker=self.name, message=message)
        if isinstance(drawing, QueuedDrawing):
            self.jobs.fail(drawing.video.id, "server_error", "it could not be written")

    def _end(self, drawing: Drawing) -> None:
        self.drawings.remove(drawing)
        if drawing.session in self.batch.sessions:
            self.batch.leave(drawing.session)
        drawing.close()
        self.looked = 0.0  # there is room for another one

    # ---- messages ----

    def _listen(self, seconds: float) -> None:
        """Do what the server asks for; wait so long for the first message."""
        while self.pipe.poll(seconds):
            message = self.pipe.recv()
            getattr(self, f"_on_{message[0]}")(*message[1:])
            seconds = 0.0

    def _on_wake(self) -> None:
        self.looked = 0.0

    def _on_stop(self, seconds: float) -> None:
        self.stop_at = time.monotonic() + seconds

    def _on_open(self, name: str, client: str, request: dict[str, Any]) -> None:
        try:
            wanted = VideoRequest.from_json(request)
            with acting_for(client):
                session = start_session(self.batch, wanted, self.place, None)
        except ValueError as error:
            self.pipe.send(("ended", name, " ".join(str(error).split())))
            return
        send = partial(self._send_drawn, name)
        mark = self.place.signing.new_mark()
        self.drawings.append(LiveDrawing(name, session, wanted, mark, send))

    def _send_drawn(self, name: str, pictures: list[bytes], sound: bytes) -> None:
        self.pipe.send(("pictures", name, pictures, sound))

    def _on_change(self, name: str, prompt: str | None, given: dict[str, str]) -> None:
        if (drawing := self._live(name)) is None:
            return
        drawing.prompt = prompt or drawing.prompt
        drawing.given |= given
        if self.batch.is_between_frames(drawing.session):
            self._change(drawing)

    def _on_taken(self, name: str) -> None:
        if (drawing := self._live(name)) is None:
            return
        drawing.credits += 1
        if drawing.session not in self.batch.sessions:
            self.batch.join(drawing.session)

    def _on_close(self, name: str) -> None:
        if (drawing := self._live(name)) is not None:
            self._end(drawing)

    def _live(self, name: str) -> LiveDrawing | None:
        lives = (each for each in self.drawings if isinstance(each, LiveDrawing))
        return next((each for each in lives if each.name == name), None)

    def _change(self, drawing: LiveDrawing) -> None:
        """Between two latent frames: another sentence, and a rest while the watcher is behind."""
        canvas = self.place.model.canvas(drawing.request.fps, drawing.request.frames)
        try:
            drawing.given = parse_values(drawing.given, canvas, lambda line: None)
            drawing.change()
        except ValueError as error:
            drawing.given = {}
            self.pipe.send(("refused", drawing.name, " ".join(str(error).split())))
        if drawing.credits < 1 and drawing.session in self.batch.sessions:
            self.batch.leave(drawing.session)
