"""The FastAPI application: routes, health, metrics, and what begins and ends with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from fastapi import FastAPI, WebSocket
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

from ..provenance.generation import package_version
from .api.docs_page import docs_page
from .api.error_answers import add_errors
from .api.queued_videos import QueuedVideos
from .api.routes import make_router
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
    app.include_router(make_router(QueuedVideos(state)))
    _add_health(app, state)
    add_errors(app)

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
