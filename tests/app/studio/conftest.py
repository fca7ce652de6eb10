"""A studio with a small model that ships, and one whose model takes a condition that is made up."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from kinetoscope.app.studio.gallery import Gallery
from kinetoscope.app.studio.launch import Place, listen
from kinetoscope.app.studio.live import Channel
from kinetoscope.app.studio.models import Models
from kinetoscope.app.studio.server import create_app

HOST = "127.0.0.1:8000"
QUICK = "physics-64"  # the first model of these studios, which draws sooner than the default one
PATIENCE = 120.0  # seconds
CHROMIUM = (
    os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
)
PHONE = {"width": 390, "height": 844}
WIDE = {"width": 1280, "height": 860}
BROWSER_PATIENCE = 60_000  # milliseconds


class Studio:
    """A studio to ask."""

    def __init__(self, client: TestClient, gallery: Gallery) -> None:
        self.client = client
        self.gallery = gallery

    def make(self, **settings: Any) -> dict[str, Any]:
        """Order videos, and what is said of them when they are there."""
        answer = self.client.post("/api/orders", json=settings)
        assert answer.status_code == 201, answer.text
        return self.wait(answer.json()["order"])

    def wait(self, number: int, *states: str) -> dict[str, Any]:
        """What is said of an order when it has ended, or is in one of these states."""
        maker = self.client.app.state.maker  # type: ignore[attr-defined]
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            order = maker.orders[number]
            if order.ended or order.state in states:
                return dict(order.to_json())
            time.sleep(0.02)
        raise AssertionError(f"order {number} is {order.state} after {PATIENCE} s")

    def error(self, **settings: Any) -> str:
        answer = self.client.post("/api/orders", json=settings)
        assert answer.status_code == 400
        return str(answer.json()["error"])


def open_studio(folder: Path, models: Models) -> Iterator[Studio]:
    gallery = Gallery(folder)
    app = create_app(gallery, models, {HOST})
    with TestClient(app, base_url=f"http://{HOST}") as client:
        yield Studio(client, gallery)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    yield from open_studio(tmp_path_factory.mktemp("studio"), Models([QUICK]))


class Served:
    """A studio that listens on a port, for a browser."""

    def __init__(self, folder: Path, *models: str, adapters: Sequence[str] = ()) -> None:
        import uvicorn

        self.channel = Channel()
        self.gallery = Gallery(folder)
        self.place: Place = listen(None, None)
        app = create_app(
            self.gallery,
            Models(models or [QUICK], adapters),
            self.place.hosts,
            channel=self.channel,
        )
        self.server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
        )
        self.thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": [self.place.listener]}, daemon=True
        )
        self.thread.start()

    @property
    def address(self) -> str:
        return self.place.address

    def end(self) -> None:
        self.server.should_exit = True
        self.thread.join(timeout=30)


# ---- a browser ----


Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if not CHROMIUM:
        pytest.skip("there is no Chromium; install it, or name it in CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        sound = "--autoplay-policy=no-user-gesture-required"
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", sound])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    studio = Served(tmp_path_factory.mktemp("gallery"))
    yield studio
    studio.end()


@pytest.fixture
def open_page(browser: Any, served: Served) -> Iterator[Open]:
    """Opens the page; in the end nothing may have been loaded from elsewhere, and nothing may
    have gone wrong in it."""
    contexts = []
    wrong: list[str] = []

    def open_it(address: str = served.address, before: Any = None, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": WIDE} | options)
        context.set_default_timeout(BROWSER_PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda told: wrong.append(told.text) if told.type == "error" else None)
        page.on("request", lambda asked: wrong.append(asked.url) if elsewhere(asked.url) else None)
        if before is not None:
            before(page)
        page.goto(address)
        page.wait_for_selector("body[data-open=true][data-ready=true]")
        return page

    def elsewhere(url: str) -> bool:
        return not url.startswith((served.address[:17], "blob:", "data:"))

    yield open_it
    for context in contexts:
        context.close()
    refused = "status of 400"  # a mistake that a test makes on purpose
    assert [line for line in wrong if refused not in line] == []
