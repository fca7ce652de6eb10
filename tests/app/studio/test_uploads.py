"""Files that are dropped on the page are decoded in a process that may die."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from fastapi.testclient import TestClient
from kinetoscope.app import decode_apart
from kinetoscope.app.limited_process import Limits
from kinetoscope.app.studio.gallery import Gallery
from kinetoscope.app.studio.models import Models
from kinetoscope.app.studio.server import create_app
from kinetoscope.data.video import read_clip
from PIL import Image

from ..serve.test_uploads import bomb, png
from ..storyboard.conftest import tone
from .conftest import HOST, Studio

PLAYLIST = b"#EXTM3U\nfile:///etc/passwd\n"
LIMITS = Limits(memory=10**9)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    gallery = Gallery(tmp_path_factory.mktemp("gallery"))
    app = create_app(gallery, Models(), {HOST}, limits=LIMITS)
    with TestClient(app, base_url=f"http://{HOST}") as client:
        yield Studio(client, gallery)


def send(studio: Studio, name: str, content: bytes) -> Any:
    return studio.client.post("/api/files", params={"name": name}, content=content)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.png", png()[:40], ""),
        ("x.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, ""),
        ("x.mp4", bytes(4) + b"ftypisom" + bytes(2000), ""),
        ("x.wav", b"RIFF" + bytes(4) + b"WAVEfmt " + bytes(40), ""),
        ("x.txt", bomb(40_000), ""),
        ("x.png", bomb(17_000), ""),
        ("x.png", PLAYLIST, "this is no .png file that can be read; give one of .png"),
        ("x.mkv", b"PK\x03\x04" + bytes(60), "this is no .mkv file"),
        ("x.png", b"", "the file is empty"),
    ],
    ids=["cut", "rubbish", "video", "sound", "bomb", "memory", "playlist", "zip", "empty"],
)
def test_what_cannot_be_read_is_not_kept(
    studio: Studio, name: str, content: bytes, says: str
) -> None:
    answer = send(studio, name, content)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(says) and "/tmp" not in answer.json()["error"]
    assert not list(studio.gallery.folder.glob("given/*"))


def test_a_decoder_that_hangs_is_ended(tmp_path: Any) -> None:
    gallery = Gallery(tmp_path)
    app = create_app(gallery, Models(), {HOST}, limits=Limits(seconds=0.0))
    answer = TestClient(app, base_url=f"http://{HOST}").post("/api/files?name=x.png", content=png())
    assert answer.json() == {"error": "it took too long to read"}


def test_what_only_looks_like_numbers_reaches_no_decoder(studio: Studio) -> None:
    given = send(studio, "x.csv", PLAYLIST).json()
    order = studio.make(conditions={"prompt": "a ball", "init": given}, frames=5)
    assert order["state"] == "failed"
    assert order["error"].startswith("init: 'x.csv' must be one of .png")
    for story in (
        {"shots": [{"say": "a ball", "for": "1 s", "narration": {"file": given}}]},
        {"shots": [{"say": "a ball", "for": "1 s", "picture": given}]},
        {"shots": [{"show": given, "for": "1 s"}]},
        {"slides": given, "shots": [{"page": 1, "for": "1 s"}]},
    ):
        answer = studio.client.post("/api/story/orders", json={"story": story})
        assert answer.status_code == 400
        assert "the file must be one of .png" in answer.json()["error"]


def test_a_picture_is_read_as_it_would_be_in_this_process(studio: Studio) -> None:
    sent = send(studio, "x.png", png(64, 64))
    assert sent.status_code == 200, sent.text
    order = studio.make(conditions={"prompt": "a ball", "init": sent.json()}, frames=5, seed=1)
    assert order["error"] == ""
    record = studio.gallery.record(order["videos"][0])
    assert record["settings"]["conditions"]["init"]["name"] == "x.png"


def draw(studio: Studio, story: dict[str, Any]) -> dict[str, Any]:
    """Order the video of a storyboard, and what is said of it in the end."""
    answer = studio.client.post("/api/story/orders", json={"story": story, "film": True})
    assert answer.status_code == 201, answer.text
    return studio.wait(answer.json()["order"])


def test_no_file_of_a_storyboard_is_decoded_in_the_process_of_the_page(
    studio: Studio, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = tone(tmp_path / "voice.wav", (440, 0.5))
    (shown, still, spoken) = (
        send(studio, name, content).json()
        for name, content in (
            ("clip.mp4", clip.read_bytes()),
            ("x.png", png(64, 48)),
            ("voice.wav", voice.read_bytes()),
        )
    )

    def refuse(place: Any, *more: Any, **named: Any) -> Any:
        assert "/given/" not in str(place), f"{place} is decoded in this process"
        return open_media(place, *more, **named)

    open_media = av.open
    monkeypatch.setattr(av, "open", refuse)
    monkeypatch.setattr(Image, "open", None)
    story = {
        "fps": 12,
        "music": {"file": spoken},
        "shots": [
            {"show": shown, "for": "0.5 s"},
            {"show": still, "for": "0.5 s", "narration": {"file": spoken}},
        ],
    }
    order = draw(studio, story)
    assert (order["state"], order["error"]) == ("done", "")
    film = read_clip(studio.gallery.path(order["videos"][0])).video
    given = read_clip(clip, frames=6, fps=12).video
    assert film.shape[1] == 12
    assert (film[:, :6].float() - given.float()).abs().mean() < 8
    colour = film[:, 8].float().mean(dim=(1, 2))
    assert colour[0] > 60 > 20 > colour[2]  # red, and black beside it


def test_a_clip_that_cannot_be_read_is_said_with_its_shot(
    studio: Studio, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = send(studio, "clip.mp4", clip.read_bytes()).json()
    path = studio.gallery.given(shown["file"])
    path.write_bytes(clip.read_bytes()[:600])  # its beginning was looked at, and then it changes
    order = draw(studio, {"shots": [{"show": shown, "for": "1 s"}]})
    assert order["state"] == "failed" and order["error"].startswith("shot 1, show: the file")
    assert str(studio.gallery.folder) not in order["error"]
    path.write_bytes(clip.read_bytes())
    monkeypatch.setattr(decode_apart, "_seen", _hangs)
    maker: Any = studio.client.app.state.maker  # type: ignore[attr-defined]
    monkeypatch.setattr(maker, "limits", Limits(seconds=1.0))
    order = draw(studio, {"shots": [{"show": shown, "for": "1 s"}]})
    assert order["error"] == "shot 1, show: it took too long to read"


def _hangs(path: str, count: int, fps: float) -> Iterator[Any]:
    time.sleep(60)
    yield {}
