"""What the page asks about its storyboard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, Response

from ..gallery import Gallery
from ..maker import Maker
from ..models import Models
from .story import keep_story, kept_story, poster_path, read_story

ReadJson = Callable[[Request], Awaitable[Any]]


def add_direct(
    app: FastAPI, maker: Maker, models: Models, gallery: Gallery, read_json: ReadJson
) -> None:
    """Add the routes of the storyboard to the application."""

    @app.get("/api/story")
    def story() -> dict[str, Any]:
        return kept_story(gallery)

    @app.put("/api/story")
    async def keep(request: Request) -> dict[str, Any]:
        raw = await read_json(request)
        await run_in_threadpool(keep_story, gallery, raw)
        return {"kept": True}

    @app.post("/api/story/orders", status_code=201)
    async def draw(request: Request) -> dict[str, Any]:
        raw = await read_json(request)
        order = await run_in_threadpool(_order, raw, maker, models, gallery)
        return order

    @app.get("/api/story/pieces/{piece}.jpg")
    def picture(piece: str) -> Response:
        path: Path = poster_path(gallery, piece)
        if not path.is_file():
            raise ValueError("there is no such piece any more")
        return FileResponse(path)


def _order(raw: Any, maker: Maker, models: Models, gallery: Gallery) -> dict[str, Any]:
    """Order shots or the video; ValueError names what is wrong."""
    if not isinstance(raw, Mapping) or not set(raw) <= {"story", "only", "film"}:
        raise ValueError("the request must be an object with story, and perhaps only and film")
    story = read_story(raw.get("story"), models, gallery)
    only = raw.get("only")
    if only is not None and not (isinstance(only, int) and 1 <= only <= len(story.shots)):
        raise ValueError(f"only: it must be the number of a shot, 1 to {len(story.shots)}")
    given = raw["story"]
    return maker.order_story(story, given, only, raw.get("film") is True).to_json()
