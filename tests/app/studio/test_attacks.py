"""What others may try: paths, headers, sizes, slow clients."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kinetoscope.app.studio import server
from kinetoscope.app.studio.gallery import DiskRule
from kinetoscope.app.studio.models import Models

from ..serve.test_uploads import png
from .conftest import Served, Studio, open_studio

OUTSIDE = ("../secret", "..%2fsecret", "%2e%2e%2fsecret", "..\\secret", "/etc/passwd", "x%00")
ROUTES = (
    ("GET", "/api/videos/{}"),
    ("GET", "/api/videos/{}/video.mp4"),
    ("GET", "/api/videos/{}/picture.jpg"),
    ("DELETE", "/api/videos/{}"),
    ("POST", "/api/videos/{}/restore"),
    ("GET", "/api/models/{}"),
    ("GET", "/api/story/pieces/{}.jpg"),
    ("GET", "/page/{}"),
    ("GET", "/v1/videos/{}"),
    ("GET", "/v1/videos/{}/content"),
    ("DELETE", "/v1/videos/{}"),
)


KEPT_APART = b"for nobody else"
BESIDE = ("secret", "secret.jpg", "secret.json", "secret.mp4")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    for name in BESIDE:
        (folder / name).write_bytes(KEPT_APART)
    yield from open_studio(folder / "gallery", Models(["physics-64"]))


def upload(studio: Studio, content: bytes, name: str = "x.png") -> Any:
    return studio.client.post("/api/files", params={"name": name}, content=content)


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_name_becomes_a_path(studio: Studio, name: str) -> None:
    for method, route in ROUTES:
        answer = studio.client.request(method, route.format(name))
        assert answer.status_code in (400, 404, 405), (route, answer.text)
        assert KEPT_APART not in answer.content and b"root:" not in answer.content
        assert "Traceback" not in answer.text
    folder = studio.gallery.folder.parent
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == sorted(BESIDE)


@pytest.mark.parametrize(
    "name", ["../../x.png", "/etc/x.png", "x\0.png", "x.png\r\nA: b", "é" * 999]
)
def test_a_file_is_kept_by_its_content_whatever_it_is_called(studio: Studio, name: str) -> None:
    answer = upload(studio, png(), name)
    assert answer.status_code == 200, answer.text
    path = studio.gallery.given(answer.json()["file"])
    assert path.parent == studio.gallery.folder / "given" and path.read_bytes() == png()
    assert len(answer.json()["name"]) <= 200


def test_what_is_too_large_is_refused_and_leaves_nothing(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_UPLOADED", 10_000)

    def endless() -> Iterator[bytes]:
        yield png()
        for _ in range(10_000):
            yield bytes(10_000)

    before = set(studio.gallery.folder.rglob("*"))
    answer = studio.client.post("/api/files?name=x.png", content=endless())
    assert answer.status_code == 413 and "cut or shrink it" in answer.json()["detail"]
    for path in ("/api/orders", "/api/story/orders"):
        assert studio.client.post(path, content=b"[" * 2_000_000).status_code == 413
        deep = studio.client.post(path, content=b"[" * 500_000)
        assert deep.json() == {"error": "the request is no JSON"}
    assert set(studio.gallery.folder.rglob("*")) == before


def test_uploads_fill_no_more_than_the_gallery_may_take(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(studio, os.urandom(9000), "x.npy")
    used = studio.gallery.bytes_used()
    content = os.urandom(4000)
    for limit, says in ((used + 3000, "delete videos, raise"), (2000, "is more than the")):
        monkeypatch.setattr(studio.gallery, "rule", DiskRule(limit / 10**9))
        answer = upload(studio, content, "x.npy")
        assert answer.status_code == 400 and says in answer.json()["error"]
    files = {"input_reference": ("x.png", png(64, 64), "image/png")}
    program = studio.client.post("/v1/videos", data={"prompt": "a ball"}, files=files)
    assert program.status_code == 503 and "gallery" in program.json()["error"]["message"]
    assert studio.gallery.bytes_used() == used
    monkeypatch.setattr(studio.gallery, "rule", DiskRule())
    assert upload(studio, content, "x.npy").status_code == 200


# ---- a studio that listens ----


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    studio = Served(tmp_path_factory.mktemp("listening"))
    yield studio
    studio.end()


def connect(studio: Served) -> socket.socket:
    made = socket.create_connection(studio.place.listener.getsockname()[:2], timeout=60)
    return made


def host(studio: Served) -> str:
    return studio.address.removeprefix("http://").rstrip("/")


def answer_to(studio: Served, head: str) -> bytes:
    with connect(studio) as link:
        link.sendall(head.replace("\n", "\r\n").encode("latin-1"))
        return link.recv(65536)


@pytest.mark.parametrize(
    "more",
    [
        "Host: attacker.example\n",
        "Origin: http://{host}\nOrigin: https://attacker.example\n",
        "Sec-Fetch-Site: same-origin\nSec-Fetch-Site: cross-site\n",
        "Content-Length: 5\nContent-Length: 6\n",
        "Content-Length: -1\n",
        "Cookie: \xff\xfe; =;;\n Host: attacker.example\n",
        "Name with blanks: x\n",
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_refused(listening: Served, more: str) -> None:
    asked = f"POST /api/orders HTTP/1.1\nHost: {host(listening)}\nConnection: close\n"
    answer = answer_to(listening, asked + more.format(host=host(listening)) + "\n{}")
    assert answer.startswith(b"HTTP/1.1 4"), answer[:200]
    assert not listening.gallery.videos()


def test_a_forwarded_host_is_not_believed(listening: Served) -> None:
    head = "GET /api/disk HTTP/1.1\nHost: attacker.example\nConnection: close\n"
    forwarded = f"X-Forwarded-Host: {host(listening)}\nForwarded: host={host(listening)}\n\n"
    assert b" 421 " in answer_to(listening, head + forwarded)


def test_a_request_that_stops_in_its_middle_is_ended(
    listening: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PATIENCE", 0.5)
    head = f"POST /api/files?name=x.png HTTP/1.1\nHost: {host(listening)}\nContent-Length: 99\n\nx"
    links = [connect(listening) for _ in range(40)]
    try:
        for link in links:
            link.sendall(head.replace("\n", "\r\n").encode())
        quick = f"GET /api/disk HTTP/1.1\nHost: {host(listening)}\nConnection: close\n\n"
        assert b" 200 " in answer_to(listening, quick)  # others are served meanwhile
        for link in links:
            assert b" 408 " in link.recv(65536)
    finally:
        for link in links:
            link.close()


def test_a_page_that_reads_nothing_keeps_nobody_waiting(listening: Served) -> None:
    """A socket of the live picture whose other end never reads, while a video is drawn."""
    upgrade = (
        f"GET /live HTTP/1.1\nHost: {host(listening)}\nUpgrade: websocket\nConnection: Upgrade\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n\n"
    )
    with connect(listening) as link:
        link.sendall(upgrade.replace("\n", "\r\n").encode())
        assert b" 101 " in link.recv(1024)
        link.sendall(b"\x81\x8a\0\0\0\0" + b'{"have":0}')
        begun = time.monotonic()
        channel = listening.channel
        noise = os.urandom(64 * 64 * 3)
        pixels = np.frombuffer(noise, np.uint8).reshape(64, 64, 3)
        for frame in range(2000):
            channel.picture(1, 0, frame, pixels)
        assert time.monotonic() - begun < 30
        assert len(channel.pictures) == 512
        quick = f"GET /api/disk HTTP/1.1\nHost: {host(listening)}\nConnection: close\n\n"
        assert b" 200 " in answer_to(listening, quick)


def test_another_site_cannot_look_at_the_live_picture(listening: Served) -> None:
    upgrade = (
        f"GET /live HTTP/1.1\nHost: {host(listening)}\nUpgrade: websocket\nConnection: Upgrade\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n"
        "Origin: https://attacker.example\n\n"
    )
    assert answer_to(listening, upgrade).startswith(b"HTTP/1.1 403")


def test_what_is_given_is_never_served(studio: Studio, tmp_path: Path) -> None:
    page = b"<script>hacked=1</script>"
    kept = upload(studio, page, "x.html").json()["file"]
    for place in (f"/given/{kept}", f"/api/files/{kept}", f"/page/{kept}", f"/{kept}"):
        answer = studio.client.get(place)
        assert answer.status_code in (404, 405) and page not in answer.content
    assert studio.client.get("/").headers["x-content-type-options"] == "nosniff"
