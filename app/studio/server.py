"""The studio's page and what it calls: a thin layer over `Maker`, `Gallery`, `Models`, `Channel`.

Nothing in a request becomes a path: videos and files are named by the gallery, models and adapters
by the command that started the studio.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path
from typing import IO, Any

from fastapi import FastAPI, HTTPException, Request, WebSocket
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from ...data.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from ...generator.conditions import CONDITIONS
from ...training.progress import one_line
from ..decode_apart import HEAD, KNOWN, file_ending, look_apart
from ..fields import SOUNDS, label_of
from ..limited_process import Limits
from ..provenance.options import Disclosure
from .api import api_app
from .direct.routes import add_direct
from .gallery import MOST_UPLOADED, DiskRule, Gallery
from .guard import Guard
from .live import Channel
from .maker import Maker
from .models import Models
from .settings import LONGEST_NAME, read_settings

PAGE = Path(__file__).with_name("page")
MOST_JSON = 1 << 20  # bytes of a request that is no file
MOST_AT_ONCE = 200  # videos of one listing
PATIENCE = 60.0  # seconds without a byte of a request that is under way


def create_app(
    gallery: Gallery,
    models: Models,
    hosts: Collection[str] | None,
    token: str | None = None,
    channel: Channel | None = None,
    disclosure: Disclosure = Disclosure(),
    limits: Limits = Limits(),
) -> FastAPI:
    """The application of one studio.

    Args:
        hosts, token: as for `Guard`.
        channel: the live picture; a new one if not given.
        disclosure: what videos say of where they came from.
        limits: of the process that decodes files which are given.
    """
    live = channel or Channel()
    maker = Maker(gallery, models, live, disclosure, limits)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        maker.start()
        yield
        await run_in_threadpool(maker.end)
        await run_in_threadpool(gallery.empty_bin)

    app = FastAPI(title="Kinetoscope studio", lifespan=lifespan, openapi_url=None)
    app.state.maker = maker
    app.add_middleware(Guard, hosts=hosts, token=token)
    app.add_exception_handler(ValueError, _mistake)
    _add_page(app)
    _add_making(app, maker, models, gallery)
    _add_gallery(app, maker, gallery)
    add_direct(app, maker, models, gallery, _json)

    @app.websocket("/live")
    async def watch(socket: WebSocket) -> None:
        await socket.accept()
        await live.serve(socket)

    # it comes last: it answers all that has no other place
    app.mount("", api_app(maker, gallery, models, limits))
    return app


async def _mistake(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": one_line(error)}, 400)


async def _json(request: Request) -> Any:
    """The body of a request; ValueError if it is no JSON or too long."""
    message = f"a request may have {MOST_JSON >> 20} MiB"
    body = b"".join([chunk async for chunk in _chunks(request, MOST_JSON, message)])
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the request is no JSON") from None


async def _chunks(request: Request, most: int, message: str) -> AsyncIterator[bytes]:
    """The body of a request of at most so many bytes, as long as it goes on coming."""
    stream = request.stream().__aiter__()
    size = 0
    while True:
        try:
            chunk = await asyncio.wait_for(anext(stream), PATIENCE)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise HTTPException(408, "the request stopped in its middle; send it again") from None
        size += len(chunk)
        if size > most:
            raise HTTPException(413, message)
        yield chunk


def _add_page(app: FastAPI) -> None:
    @app.get("/")
    def page() -> Response:
        return FileResponse(PAGE / "index.html", headers={"cache-control": "no-cache"})

    app.mount("/page", StaticFiles(directory=PAGE), name="page")


def _add_making(app: FastAPI, maker: Maker, models: Models, gallery: Gallery) -> None:
    @app.get("/api/models")
    def choices() -> dict[str, Any]:
        labels = {name: label_of(condition) for name, condition in CONDITIONS.items()}
        return {
            "models": list(models.models),
            "adapters": models.models_of_adapters(),
            "labels": labels,
        }

    @app.get("/api/models/{name:path}")
    def about(name: str) -> dict[str, Any]:
        models.check(name, None)
        return models.about(name)

    @app.post("/api/files")
    async def upload(request: Request, name: str) -> dict[str, str]:
        """Keep a file that is given to a condition; its name in the gallery is its content's."""
        message = f"a file may have {MOST_UPLOADED // 10**6} MB; cut or shrink it"
        with tempfile.TemporaryFile() as held:
            async for chunk in _chunks(request, MOST_UPLOADED, message):
                held.write(chunk)
            await run_in_threadpool(_look, held, name, maker.limits)
            await run_in_threadpool(maker.make_room, held.seek(0, os.SEEK_END))
            held.seek(0)
            parts: Iterator[bytes] = iter(lambda: held.read(1 << 20), b"")
            kept = await run_in_threadpool(gallery.keep, parts, name)
        return {"file": kept, "name": name[:LONGEST_NAME]}

    @app.post("/api/orders", status_code=201)
    async def make(request: Request) -> dict[str, Any]:
        raw = await _json(request)
        settings = await run_in_threadpool(read_settings, raw, models, gallery)
        order = await run_in_threadpool(maker.order, settings)
        return order.to_json()

    @app.delete("/api/orders/{number}")
    def cancel(number: int, keep: bool = False) -> dict[str, Any]:
        maker.cancel(number, keep)
        return maker.orders[number].to_json()


def _add_gallery(app: FastAPI, maker: Maker, gallery: Gallery) -> None:
    @app.get("/api/videos")
    def listing(search: str = "", after: int = 0, count: int = 60) -> dict[str, Any]:
        found = gallery.videos(search)
        count = max(1, min(count, MOST_AT_ONCE))
        after = max(0, after)
        shown = found[after : after + count]
        return {"videos": shown, "total": len(found), "damaged": gallery.damaged}

    @app.get("/api/videos/{video}")
    def record(video: str) -> dict[str, Any]:
        return gallery.record(video)

    @app.get("/api/videos/{video}/video.mp4")
    def content(video: str, download: bool = False) -> Response:
        path = _there(gallery.path(video))
        kind = "attachment" if download else "inline"
        return FileResponse(path, filename=path.name, content_disposition_type=kind)

    @app.get("/api/videos/{video}/picture.jpg")
    def picture(video: str) -> Response:
        return FileResponse(_there(gallery.path(video, ".jpg")))

    @app.delete("/api/videos/{video}")
    def delete(video: str) -> dict[str, Any]:
        gallery.delete(video)
        maker.changed()
        return {"deleted": video}

    @app.post("/api/videos/{video}/restore")
    def restore(video: str) -> dict[str, Any]:
        gallery.restore(video)
        maker.changed()
        return gallery.record(video)

    @app.get("/api/disk")
    def disk() -> dict[str, Any]:
        rule = gallery.rule
        used = gallery.bytes_used()
        return {"limit_gb": rule.limit_gb, "when_full": rule.when_full, "bytes_used": used}

    @app.put("/api/disk")
    async def set_disk(request: Request) -> dict[str, Any]:
        raw = await _json(request)
        if not isinstance(raw, dict) or set(raw) != {"limit_gb", "when_full"}:
            raise ValueError("the request must have limit_gb and when_full")
        await run_in_threadpool(gallery.set_rule, DiskRule(**raw))
        return disk()


def _look(held: IO[bytes], name: str, limits: Limits) -> None:
    """ValueError for a picture, video or sound that cannot be read, or not within the limits. Other
    files, such as those of numbers, are looked at by what takes them."""
    held.seek(0)
    ending = file_ending(held.read(HEAD))
    suffix = Path(name).suffix.lower()
    is_called_so = suffix in {*IMAGE_SUFFIXES, *VIDEO_SUFFIXES, *SOUNDS}
    if ending is None and is_called_so and held.tell():
        raise ValueError(f"this is no {suffix} file that can be read; give one of {KNOWN}")
    if ending is None:
        return
    held.seek(0)
    with tempfile.NamedTemporaryFile(suffix=ending) as file:
        shutil.copyfileobj(held, file)
        file.flush()
        look_apart(Path(file.name), limits)


def _there(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"there is no video '{path.stem}' in the gallery")
    return path
