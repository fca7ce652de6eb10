"""The FastAPI application: routes, health, metrics, and what begins and ends with it."""

from __future__ import annotations

import asyncio
import contextlib
import html
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from ..provenance.generation import package_version
from .api import make_router
from .errors import ApiError, wrong_field
from .guards import LOOPBACK, Guard
from .live import live
from .logs import log
from .metrics import TYPE
from .server_state import ServerState, alone_in
from .settings import ServeSettings
from .store.queue import VideoQueue
from .webhooks.events import Webhooks
from .workers.pool import WorkerPool


def create_app(
    settings: ServeSettings,
    hosts: tuple[str, ...] | None = LOOPBACK,
    make_pool: Callable[[ServeSettings, VideoQueue], WorkerPool] = WorkerPool,
) -> FastAPI:
    """An ASGI application; its workers start with it.

    Args:
        hosts: names under which it may be asked; None for any, and then a key is needed.
        make_pool: where the workers are.

    Raises:
        ValueError: there is no such model, or another server uses the folder.
    """
    state = ServerState.create(settings, make_pool, needs_key=hosts is None)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with alone_in(state.folder):
            webhooks = Webhooks(state.queue.database, settings.webhook)
            await asyncio.to_thread(webhooks.start)
            # what a server drew that was killed
            given_back = await asyncio.to_thread(state.queue.hand_back)
            log("server started", model=state.model.name, given_back=given_back)
            state.pool.start()
            tidy = asyncio.create_task(state.keep_tidy())
            telling = asyncio.create_task(webhooks.run())
            try:
                yield
            finally:
                tidy.cancel()
                telling.cancel()
                await asyncio.to_thread(state.pool.stop, settings.grace)
                log("server stopped")

    app = FastAPI(
        title="Kinetoscope",
        version=package_version().split()[-1],
        summary="Videos from sentences, over HTTP.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.server = state
    app.include_router(make_router(state))
    _add_health(app, state)
    _add_errors(app)

    @app.websocket("/v1/videos/live")
    async def watch(socket: WebSocket) -> None:
        await live(socket, state)

    @app.get("/docs", response_class=HTMLResponse, include_in_schema=False)
    def docs() -> str:
        return docs_page(app.openapi())

    arguments = (hosts, settings.max_upload, settings.upload_time, state.metrics.count)
    app.add_middleware(Guard, *arguments)
    return app


def _add_health(app: FastAPI, state: ServerState) -> None:
    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        """Whether a video that is asked for now will be drawn."""
        state.queue.counts()
        is_ready = state.pool.ready > 0
        told = {"status": "ok" if is_ready else "starting", "workers": state.pool.ready}
        return JSONResponse(told, 200 if is_ready else 503)

    @app.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> PlainTextResponse:
        """Numbers for Prometheus."""
        return PlainTextResponse(state.metrics.text(), media_type=TYPE)


def _add_errors(app: FastAPI) -> None:
    """All errors in one shape."""

    def answer(error: ApiError) -> JSONResponse:
        return JSONResponse(error.body(), error.status, error.headers())

    @app.exception_handler(ApiError)
    async def refused(_: Request, error: ApiError) -> JSONResponse:
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        name = str(first["loc"][-1])
        return answer(wrong_field(name, f"{name}: {first['msg']}"))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        return answer(ApiError(error.status_code, str(error.detail)))

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> JSONResponse:
        log("error", message=f"{type(error).__name__}: {error}")
        return answer(ApiError(500, "something went wrong here; the log says what"))


def docs_page(schema: dict[str, Any]) -> str:
    """The interface as a page that loads nothing from elsewhere."""
    style = "body{font:16px/1.5 system-ui;max-width:60em;margin:2em auto;padding:0 1em}"
    style += "td{padding:.2em 1em .2em 0;vertical-align:top}code{font-size:95%}"
    body = "".join(_paths(schema))
    title = f"{schema['info']['title']} {schema['info']['version']}"
    head = f'<meta charset="utf-8"><title>{title}</title><style>{style}</style>'
    machine = '<p>For programs: <a href="/openapi.json">openapi.json</a></p>'
    return f'<!doctype html><html lang="en">{head}<h1>{title}</h1>{machine}{body}</html>'


def _paths(schema: dict[str, Any]) -> Iterator[str]:
    for path, methods in schema["paths"].items():
        for method, about in methods.items():
            place = html.escape(f"{method.upper()} {path}")
            yield f"<h2><code>{place}</code></h2><p>{html.escape(about.get('description', ''))}</p>"
            rows = {
                each["name"]: each.get("description", "") for each in about.get("parameters", [])
            }
            content = about.get("requestBody", {}).get("content", {})
            if body := content.get("application/json"):
                fields = body["schema"]["properties"]
                rows |= {name: field.get("description", "") for name, field in fields.items()}
            lines = (
                f"<tr><td><code>{html.escape(name)}</code></td><td>{html.escape(text)}</td></tr>"
                for name, text in rows.items()
            )
            yield f"<table>{''.join(lines)}</table>"
