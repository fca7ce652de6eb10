"""The studio as programs see it: `/v1/videos` of `kinetoscope serve` over the orders and the
gallery of the page.

A request becomes an order beside those of the page, under the same rules, and its video is one of
the gallery. What waits or has failed is known as long as the studio runs.
"""

from __future__ import annotations

import dataclasses
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from ...files.atomic import write_whole
from ..decode_apart import KNOWN, decode_apart, file_ending
from ..limited_process import Limits
from ..provenance.generation import package_version
from ..runs.jobs import LARGEST_SEED
from ..serve.api.docs_page import docs_page
from ..serve.api.error_answers import add_errors
from ..serve.api.queued_videos import check_policy
from ..serve.api.routes import make_router
from ..serve.api.service import ShownVideo
from ..serve.errors import ApiError, wrong_field
from ..serve.guards import Guard
from ..serve.request import VideoRequest, read_request, request_schema
from ..serve.served_model import ServedModel
from ..serve.store.keys import Client
from ..serve.workers.uploads import take_files
from .gallery import Gallery
from .maker import Maker, NoRoom
from .models import Models
from .order import Order
from .settings import MOST_FRAMES, Settings
from .shown import is_cancelled, shown_order, shown_record

MOST_BYTES = 64 * 10**6  # of a request, which is held in memory
MOST_RETRY_KEYS = 1000


def api_app(maker: Maker, gallery: Gallery, models: Models, limits: Limits) -> FastAPI:
    """An application with the routes of `/v1` and their documentation, to be mounted into that of
    the studio, which says who may ask."""
    app = FastAPI(
        title="Kinetoscope",
        version=package_version().split()[-1],
        summary="Videos from sentences, over HTTP.",
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(make_router(StudioVideos(maker, gallery, models, limits)))
    add_errors(app)

    @app.get("/docs", response_class=HTMLResponse, include_in_schema=False)
    def docs() -> str:
        return docs_page(app.openapi())

    app.add_middleware(Guard, None, MOST_BYTES, limits.seconds, None)
    return app


class StudioVideos:
    """The `VideoService` of a studio. All who may ask see the same videos."""

    def __init__(self, maker: Maker, gallery: Gallery, models: Models, limits: Limits) -> None:
        self.maker = maker
        self.gallery = gallery
        self.offered = models
        self.limits = limits
        self._served: dict[str, ServedModel] = {}
        self._retries: dict[str, str] = {}  # the video of each retry key
        self._deleted: set[str] = set()  # videos that were deleted before they were there
        self._lock = threading.Lock()

    def client(self, authorization: str | None) -> Client:
        return Client()  # the guard of the studio has looked at it

    def count(self, client: Client) -> None:
        return

    def models(self) -> list[str]:
        return list(self.offered.models)

    def body_schema(self) -> dict[str, Any]:
        """Of the first model; others may take other conditions."""
        first = next(iter(self.offered.models), None)
        if first is None:
            return {"type": "object", "properties": {}}
        schema = request_schema(self._model(first)).model_json_schema()
        offered = ", ".join(self.offered.models)
        schema["properties"]["model"]["description"] = f"one of {offered}; the first by default"
        del schema["properties"]["priority"]  # the queue has one
        return schema

    # ---- making ----

    def accept(
        self,
        client: Client,
        raw: Mapping[str, Any],
        files: Mapping[str, bytes],
        retry_key: str | None,
    ) -> ShownVideo:
        model = self._asked_model(raw.get("model"))
        (rest, contents) = take_files(raw, files, model.fields)
        names = {name: f"0{_ending(name, content)}" for name, content in contents.items()}
        (request, priority) = read_request(rest, names, model, request_schema(model))
        if request.frames > MOST_FRAMES:
            message = f"a video may have at most {MOST_FRAMES} frames here; got {request.frames}"
            raise wrong_field("frames", message)
        if priority != 0:
            raise wrong_field("priority", f"priority must be 0 here; got {priority}")
        if request.seed >= LARGEST_SEED:
            message = f"seed must be from 0 to {LARGEST_SEED - 1} here; got {request.seed}"
            raise wrong_field("seed", message)
        check_policy(self.offered.gate, request.prompt, client)
        self._check_files(request, contents, model)
        with self._lock:
            known = self._retries.get(retry_key) if retry_key is not None else None
            if known is not None and (before := self.get(client, known)) is not None:
                return before
            try:
                self.maker.make_room(sum(map(len, contents.values())))
                order = self.maker.order(self._settings(request, contents, model))
            except NoRoom as error:
                raise ApiError(503, str(error), code="queue_full", retry_after=30) from None
            if retry_key is not None:
                self._remember(retry_key, order.videos[0])
        return shown_order(order, 0, self._model(order.settings.model))

    def _asked_model(self, name: Any) -> ServedModel:
        if name is None:
            name = next(iter(self.offered.models), "")
        if not isinstance(name, str) or name not in self.offered.models:
            known = ", ".join(self.offered.models)
            message = f"there is no model '{str(name)[:100]}' here; there is {known}"
            raise ApiError(404, message, "model", "model_not_found")
        return self._model(name)

    def _check_files(
        self, request: VideoRequest, contents: Mapping[str, bytes], model: ServedModel
    ) -> None:
        """Decode the files once, so that a mistake is said at once."""
        with tempfile.TemporaryDirectory() as folder:
            texts = {}
            for number, (name, content) in enumerate(contents.items()):
                path = Path(folder) / f"{number}{_ending(name, content)}"
                write_whole(path, content)
                texts[name] = str(path)
            canvas = model.canvas(request.fps, request.frames)
            try:
                decode_apart(texts, canvas, self.limits, say=lambda line: None)
            except ValueError as error:
                message = str(error)
                raise wrong_field(message.partition(":")[0], message) from None

    def _settings(
        self, request: VideoRequest, contents: Mapping[str, bytes], model: ServedModel
    ) -> Settings:
        """The same as the page asks for it; files are kept in the gallery."""
        given: dict[str, Any] = {"prompt": request.prompt, **request.texts}
        for name, content in contents.items():
            called = f"{name}{_ending(name, content)}"
            given[name] = {"file": self.gallery.keep([content], called), "name": called}
        scale = None if request.scale == model.usual_scale else request.scale
        return Settings(
            conditions=given,
            model=model.name,
            frames=request.frames,
            fps=request.fps,
            seed=request.seed,
            sampling=dict(request.sampling),
            scale=scale,
            sound=request.sound,
        )

    def _remember(self, retry_key: str, video: str) -> None:
        self._retries[retry_key] = video
        while len(self._retries) > MOST_RETRY_KEYS:
            del self._retries[next(iter(self._retries))]

    # ---- what there is ----

    def get(self, client: Client, video_id: str) -> ShownVideo | None:
        order = self._order(video_id)
        if order is not None and (order.state != "done" or is_cancelled(order)):
            if video_id in self._deleted:
                return None
            model = self._model(order.settings.model)
            return shown_order(order, order.videos.index(video_id), model)
        try:
            record = self.gallery.record(video_id)
        except ValueError:
            return None
        return None if record.get("deleted") else shown_record(record)

    def page(
        self, client: Client, limit: int, after: str | None, newest_first: bool
    ) -> list[ShownVideo]:
        ids = {str(record["id"]) for record in self.gallery.videos()}
        for order in list(self.maker.orders.values()):
            if order.makes_videos:
                ids.update(order.videos)
        listed = sorted(ids, reverse=newest_first)  # names begin with the time
        if after is not None:
            if self.get(client, after) is None:
                message = f"no video '{after[:64]}' to go on after"
                raise ApiError(404, message, "after", "not_found")
            is_later: Callable[[str], bool] = after.__gt__ if newest_first else after.__lt__
            listed = [video for video in listed if is_later(video)]
        shown: list[ShownVideo] = []
        for video in listed:
            if len(shown) < limit and (found := self.get(client, video)) is not None:
                shown.append(found)
        return shown

    def path(self, video_id: str) -> Path:
        return self.gallery.path(video_id)

    def cancel(self, client: Client, video_id: str) -> ShownVideo | None:
        order = self._order(video_id)
        if order is not None and not order.ended:
            self.maker.cancel(order.number, keep=False)
        return self.get(client, video_id)

    def delete(self, client: Client, video_id: str) -> bool:
        order = self._order(video_id)
        if order is not None and order.state != "done":
            self._deleted.add(video_id)
            if not order.ended:
                self.maker.cancel(order.number, keep=False)
            return True
        try:
            self.gallery.delete(video_id)
        except ValueError:
            return False
        self.maker.changed()
        return True

    # ---- what is known ----

    def _order(self, video_id: str) -> Order | None:
        """The order that makes a video, as long as it is remembered."""
        orders = list(self.maker.orders.values())
        found = (each for each in orders if each.makes_videos and video_id in each.videos)
        return next(found, None)

    def _model(self, name: str) -> ServedModel:
        """What is known of a model, under the name that the studio has for it."""
        if name not in self._served:
            read = ServedModel.read(self.offered.models[name])
            self._served[name] = dataclasses.replace(read, name=name)
        return self._served[name]


def _ending(name: str, content: bytes) -> str:
    """What a file is called after its name.

    Raises:
        ApiError: 400, if it is no picture, video or sound.
    """
    ending = file_ending(content)
    if ending is None:
        raise wrong_field(name, f"{name}: the file must be one of {KNOWN}")
    return ending
