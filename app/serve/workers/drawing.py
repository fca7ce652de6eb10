"""Videos in the making, as a worker sees them: one from the queue, or one that somebody watches.

Legend: B = 1 video, f Y X frames and pixels of a latent frame.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ....generator.batch import VideoBatch
from ....generator.conditions import CONDITIONS
from ....generator.session import VideoSession
from ...fields import parse_values
from ...heard import drawn, pcm
from ...provenance.generation import Generation, Ingredient
from ...provenance.watermark import Mark
from ...provenance.writer import Signing
from ..request import VideoRequest
from ..served_model import ServedModel
from ..store.places import upload_path, video_path
from ..store.queue import Video
from .jobs import Jobs
from .uploads import load_values

AHEAD = 2  # latent frames that are drawn before a watcher has taken those before them


class Drawing(Protocol):
    """A video that grows in a batch."""

    session: VideoSession

    def take(self, chunk: Any) -> bool:
        """Use the next latent frame, as a session gives it; whether the video goes on."""
        ...

    def close(self) -> None:
        """Let go of files; what is unfinished is dropped."""
        ...


class QueuedDrawing:
    """A video from the queue, written to a file latent by latent.

    Raises:
        ValueError: the model cannot take what is asked for.
    """

    def __init__(
        self,
        video: Video,
        jobs: Jobs,
        batch: VideoBatch,
        place: DrawingPlace,
    ) -> None:
        self.video = video
        self.jobs = jobs
        self.request = VideoRequest.from_json(video.request)
        self._open = contextlib.ExitStack()
        about = generation(self.request, place, video.id)
        rate = batch.generator.sound_rate if self.request.sound else None
        writer = place.signing.writer(
            place.video_path(video.id), self.request.fps, about, self.request.scale, sound_rate=rate
        )
        self._writer = self._open.enter_context(writer)
        try:
            self.session = start_session(batch, self.request, place, video.id)
        except BaseException:
            self.close()
            raise

    def take(self, chunk: Any) -> bool:
        (pixels, samples) = drawn(chunk, self.request.frames - self._writer.frames)
        self._writer.write(pixels[0])
        if samples is not None:
            self._writer.write_sound(samples[0])
        done = self._writer.frames
        if done < self.request.frames:
            return self.jobs.renew(self.video.id, done)
        self._open.close()  # the file gets its name
        self.jobs.deliver(self.video.id)
        return False

    def close(self) -> None:
        with contextlib.suppress(_Dropped):
            self._open.__exit__(_Dropped, _Dropped(), None)


class _Dropped(Exception):
    """Ends the writing of a file that nobody wants any more."""


class DrawingPlace:
    """What the drawings of a worker have in common.

    Args:
        folder: of the server.
        model: that is served.
        fingerprint: of its weights.
        signing: writes the videos.
    """

    def __init__(self, folder: str, model: ServedModel, fingerprint: str, signing: Signing) -> None:
        self.folder = Path(folder)
        self.model = model
        self.fingerprint = fingerprint
        self.signing = signing

    def video_path(self, video_id: str) -> Path:
        return video_path(self.folder, video_id)

    def upload_path(self, video_id: str) -> Path:
        return upload_path(self.folder, video_id)


class LiveDrawing:
    """A video that somebody watches while it is drawn. It waits when they are behind.

    Args:
        name: of the connection.
        mark: is drawn into the pixels, as into files.
        send: takes encoded pictures of a latent frame, and its sound as 16-bit PCM.
    """

    def __init__(
        self,
        name: str,
        session: VideoSession,
        request: VideoRequest,
        mark: Mark | None,
        send: Callable[[list[bytes], bytes], object],
    ) -> None:
        self.name = name
        self.session = session
        self.request = request
        self.credits = AHEAD
        self.prompt: str | None = None  # to go on under, from the next latent frame on
        self.given: dict[str, Any] = {}  # likewise
        self._mark = mark
        self._send = send

    def take(self, chunk: Any) -> bool:
        (videos, samples) = drawn(chunk)
        pixels = videos[0]
        if self._mark is not None:
            pixels = self._mark(pixels)
        sound = b"" if samples is None else pcm(samples[0].numpy())
        self._send(encode_pictures(pixels, self.request.scale), sound)
        self.credits -= 1
        return True

    def close(self) -> None:
        return

    def change(self) -> None:
        """Go on under what has been given since the last frame.

        Raises:
            ValueError: the model cannot take it.
        """
        prompt = self.prompt
        self.prompt = None
        given = self.given
        self.given = {}
        if prompt is not None:
            self.session.set_prompt(prompt)
        for name, value in given.items():
            self.session.give(name, value)


def start_session(
    batch: VideoBatch, request: VideoRequest, place: DrawingPlace, video_id: str | None
) -> VideoSession:
    """A session that begins in a batch.

    Raises:
        ValueError: the model cannot take what is asked for.
    """
    model = place.model
    canvas = model.canvas(request.fps, request.frames)
    values = parse_values(request.texts, canvas, lambda line: None)
    if request.uploads and video_id is not None:
        values |= load_values(place.upload_path(video_id))
    params = batch.generator.params(**request.sampling)
    return batch.session(request.prompt, request.seed, params, sound=request.sound, **values)


def generation(request: VideoRequest, place: DrawingPlace, video_id: str) -> Generation:
    """What the file says of how it came about."""
    folder = place.upload_path(video_id)
    ingredients = [
        Ingredient(folder / file, name, is_shown=CONDITIONS[name].port == "past")
        for name, file in request.uploads.items()
    ]
    settings: Mapping[str, object] = {**request.sampling, **request.texts}
    model = place.model.name
    return Generation(model, place.fingerprint, request.prompt, request.seed, settings, ingredients)


def encode_pictures(pixels_3FYX: Tensor, scale: int) -> list[bytes]:
    """Each frame as a file: PNG if it is small, JPEG otherwise."""
    from PIL import Image

    pictures = []
    for frame in pixels_3FYX.permute(1, 2, 3, 0).contiguous().numpy():
        image = Image.fromarray(frame)
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
        content = io.BytesIO()
        if max(frame.shape[:2]) <= 128:
            image.save(content, "PNG", compress_level=1)
        else:
            image.save(content, "JPEG", quality=92, subsampling=0)
        pictures.append(content.getvalue())
    return pictures
