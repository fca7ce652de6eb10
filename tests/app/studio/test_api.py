"""The studio as OpenAI's client and other programs see it."""

import base64
import io
import re
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient
from kinetoscope.app.provenance.options import Rules
from kinetoscope.app.provenance.policy import allow, refuse
from kinetoscope.app.studio.gallery import Gallery
from kinetoscope.app.studio.launch import Place, listen
from kinetoscope.app.studio.models import Models
from kinetoscope.app.studio.server import create_app
from kinetoscope.data.video import probe, read_clip
from kinetoscope.generator import VideoGenerator
from PIL import Image

from ..serve.test_uploads import bomb
from .conftest import HOST, Studio, open_studio

PATIENCE = 60.0  # seconds


def picture(colour: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (12, 8), colour).save(content, "PNG")
    return content.getvalue()


@pytest.fixture(scope="module")
def model(generator: VideoGenerator, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "debug"
    generator.save_pretrained(folder, half=False)
    return str(folder)


class NoBombs:
    """A policy."""

    def __call__(self, request: Any) -> Any:
        return refuse("no bombs") if "bomb" in (request.prompt or "") else allow(request)


@pytest.fixture(scope="module")
def studio(model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    rules = Rules(policy=f"{__name__}.NoBombs")
    yield from open_studio(tmp_path_factory.mktemp("studio"), Models([model], rules=rules))


@pytest.fixture(scope="module")
def place(model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Gallery]]:
    """A studio that listens on the loopback address, and its gallery."""
    place = listen(None, None)
    gallery = Gallery(tmp_path_factory.mktemp("gallery"))
    app = create_app(gallery, Models([model]), place.hosts)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [place.listener]}, daemon=True)
    thread.start()
    yield place, gallery
    server.should_exit = True
    thread.join(timeout=30)


def ask(studio: Studio, **fields: Any) -> dict[str, Any]:
    answer = studio.client.post("/v1/videos", json={"prompt": "a red ball", **fields})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def ended(studio: Studio, video: str) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = dict(studio.client.get(f"/v1/videos/{video}").json())
        if found["status"] in ("completed", "failed"):
            return found
        time.sleep(0.02)
    raise AssertionError(f"still {found['status']} after {PATIENCE} s")


def error(studio: Studio, status: int, **fields: Any) -> dict[str, Any]:
    answer = studio.client.post("/v1/videos", json={"prompt": "a red ball", **fields})
    assert answer.status_code == status, answer.text
    return dict(answer.json()["error"])


def test_openais_client_makes_a_video_that_the_gallery_shows(
    place: tuple[Place, Gallery], tmp_path: Path
) -> None:
    openai = pytest.importorskip("openai", reason="OpenAI's client is not installed")
    warnings.simplefilter("ignore", DeprecationWarning)
    (address, gallery) = (place[0].address, place[1])
    client = openai.OpenAI(base_url=f"{address}v1", api_key="none", max_retries=0)
    video = client.videos.create(
        prompt="a red ball rolls", seconds="1", extra_body={"seed": 4, "guidance": 1.5}
    )
    assert (video.object, video.model, video.seconds, video.size) == (
        "video",
        "debug",
        "1",
        "384x256",
    )
    assert video.status in ("queued", "in_progress")
    video = client.videos.poll(video.id, poll_interval_ms=50)
    assert (video.status, video.progress, video.error) == ("completed", 100, None)
    assert 0 <= video.completed_at - video.created_at < PATIENCE
    client.videos.download_content(video.id).write_to_file(tmp_path / "video.mp4")
    assert read_clip(tmp_path / "video.mp4").video.shape == (3, 12, 256, 384)
    record = gallery.record(video.id)
    settings = record["settings"]
    assert settings["conditions"] == {"prompt": "a red ball rolls"}
    assert (settings["seed"], settings["sampling"]) == (4, {"guidance": 1.5})
    others = [client.videos.create(prompt="a blue cube", extra_body={"frames": 1}) for _ in "abc"]
    for each in others:
        client.videos.poll(each.id, poll_interval_ms=50)
    listed = [each.id for each in client.videos.list(limit=2)]  # page after page
    assert listed == sorted([each.id for each in others] + [video.id])[::-1]
    assert client.videos.delete(video.id).deleted
    assert [each["id"] for each in gallery.videos(deleted=True)] == [video.id]
    with pytest.raises(openai.NotFoundError, match="there is no video"):
        client.videos.retrieve(video.id)
    with pytest.raises(openai.BadRequestError, match="size must be one of") as caught:
        client.videos.create(prompt="a red ball", size="720x1280")
    assert (caught.value.param, caught.value.type) == ("size", "invalid_request_error")


def test_the_program_of_the_documentation_makes_a_video(
    place: tuple[Place, Gallery], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openai", reason="OpenAI's client is not installed")
    warnings.simplefilter("ignore", DeprecationWarning)
    page = (Path(__file__).parents[3] / "docs/studio.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```py\n(.*?)```", page, re.S)
    monkeypatch.chdir(tmp_path)
    code = code.replace("http://127.0.0.1:8765/", place[0].address)
    exec(code.replace(" rolls to the left", ""), {})  # the debug model takes six words
    assert read_clip("ball.mp4").video.shape[1] == 33


def test_page_and_programs_see_the_same_videos(studio: Studio) -> None:
    order = studio.make(conditions={"prompt": "a blue cube"}, frames=5, seed=2, count=2)
    for seed, video in zip(order["seeds"], order["videos"]):
        found = studio.client.get(f"/v1/videos/{video}").json()
        told = {name: found[name] for name in ("status", "prompt", "frames", "seed", "size")}
        assert told == {
            "status": "completed",
            "prompt": "a blue cube",
            "frames": 5,
            "seed": seed,
            "size": "384x256",
        }
    made = ask(studio, frames=5, seed=2, size="24x16", prompt="a blue cube")
    assert ended(studio, made["id"])["size"] == "24x16"
    path = studio.gallery.path(made["id"])
    assert (probe(path).width, probe(path).height) == (24, 16)
    assert probe(studio.gallery.path(order["videos"][0])).width == 384
    again = studio.make(**studio.gallery.record(made["id"])["settings"])
    codes = [studio.gallery.path(v, ".safetensors") for v in (made["id"], again["videos"][0])]
    assert codes[0].read_bytes() == codes[1].read_bytes()
    listed = [each["id"] for each in studio.client.get("/api/videos").json()["videos"]]
    assert made["id"] in listed
    assert studio.client.get("/v1/models").json()["data"][0]["id"] == "debug"


def test_a_part_of_the_content(studio: Studio) -> None:
    video = ended(studio, ask(studio, frames=5)["id"])["id"]
    whole = studio.client.get(f"/v1/videos/{video}/content")
    assert whole.headers["content-type"] == "video/mp4"
    part = studio.client.get(f"/v1/videos/{video}/content", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"


def test_going_on_from_a_picture_of_a_form_or_of_json(studio: Studio) -> None:
    form = studio.client.post(
        "/v1/videos",
        data={"prompt": "a ball", "frames": "5", "guidance_scale": "1.5"},
        files={"input_reference": ("../../evil.exe", picture(), "text/html")},
    )
    assert form.status_code == 200, form.text
    url = "data:image/png;base64," + base64.b64encode(picture()).decode()
    json = ask(studio, frames=5, input_reference={"image_url": url})
    for video in (form.json(), json):
        assert ended(studio, video["id"])["error"] is None
        given = studio.gallery.record(video["id"])["settings"]["conditions"]["init"]
        assert given["name"] == "init.png"
        assert studio.gallery.given(given["file"]).read_bytes() == picture()
    settings = studio.gallery.record(form.json()["id"])["settings"]
    assert studio.make(**settings)["error"] == ""  # the page gives back what it was told


def test_files_that_cannot_be_read_are_mistakes_of_the_client(studio: Studio) -> None:
    for content, says in (
        (b"#EXTM3U\nfile:///etc/passwd\n", "init: the file must be one of .png"),
        (b"PK\x03\x04" + bytes(60), "init: the file must be one of .png"),
        (picture()[:40], "init: "),
        (bytes(4) + b"ftypisom" + bytes(2000), "init: "),
        (bomb(40_000), "init: "),
    ):
        url = "data:image/png;base64," + base64.b64encode(content).decode()
        told = error(studio, 400, init=url, frames=5)
        assert told["message"].startswith(says) and told["param"] == "init"
        assert str(studio.gallery.folder) not in told["message"]
    told = error(studio, 400, init="http://localhost/x.png")
    assert "nothing is fetched from elsewhere" in told["message"]


def test_a_video_is_cancelled_or_deleted_in_its_middle(studio: Studio) -> None:
    running = ask(studio, frames=4001)["id"]
    waiting = ask(studio, frames=4001)["id"]
    other = ask(studio, frames=1)["id"]
    while not studio.client.get(f"/v1/videos/{running}").json()["frames"]:
        time.sleep(0.02)
    early = studio.client.get(f"/v1/videos/{running}/content")
    assert early.status_code == 409 and early.json()["error"]["code"] == "video_not_ready"
    assert studio.client.get(f"/v1/videos/{waiting}").json()["status"] == "queued"
    assert studio.client.delete(f"/v1/videos/{waiting}").json()["deleted"]
    cancelled = studio.client.post(f"/v1/videos/{running}/cancel").json()
    assert (cancelled["status"], cancelled["error"]["code"]) == ("failed", "cancelled")
    assert ended(studio, other)["status"] == "completed"
    assert studio.client.get(f"/v1/videos/{waiting}").status_code == 404
    assert studio.client.get(f"/v1/videos/{running}").json()["status"] == "failed"
    listed = [each["id"] for each in studio.client.get("/v1/videos").json()["data"]]
    assert waiting not in listed and running in listed
    kept = [record["id"] for record in studio.gallery.videos()]
    assert not {running, waiting} & set(kept)
    again = studio.client.post(f"/v1/videos/{other}/cancel").json()
    assert again["status"] == "completed"


def test_mistakes_have_the_shape_that_clients_read(studio: Studio) -> None:
    for fields, status, param, says in (
        ({"frames": 0}, 400, "frames", "frames must be at least 1; got 0"),
        ({"frames": 20_001}, 400, "frames", "at most 20000 frames here; got 20001"),
        ({"seed": 2**40}, 400, "seed", "seed must be from 0 to 2147483647 here; got 1099511627776"),
        ({"model": "x"}, 404, "model", "there is no model 'x' here; there is debug"),
        ({"heat": 1}, 400, "heat", "there is no field 'heat'; see /docs"),
        ({"priority": 1}, 400, "priority", "priority must be 0 here; got 1"),
        ({"prompt": "a bomb"}, 400, "prompt", "this is not drawn: no bombs"),
        ({"weights": {"mood": 1}}, 400, "weights", "this model takes no 'mood'"),
    ):
        told = error(studio, status, **fields)
        assert told["param"] == param and says in told["message"]
        assert told["type"] == ("not_found_error" if status == 404 else "invalid_request_error")
    nothing = studio.client.get("/v1/videos/..%2F..%2Fsecret")
    assert nothing.status_code == 404 and nothing.json()["error"]["message"]
    assert studio.client.get("/v1/nothing").json()["error"]["type"] == "not_found_error"
    wrong = studio.client.get("/v1/videos?limit=0")
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "limit")
    late = ask(studio, prompt="a ball " * 40, frames=1)  # too long for this model
    assert ended(studio, late["id"])["error"]["code"] == "invalid_request"


def test_a_request_that_is_sent_again_stays_one_video(studio: Studio) -> None:
    fields = {"prompt": "a ball", "frames": 1}
    ids = set()
    for key in ("a", "a", "b"):
        answer = studio.client.post("/v1/videos", json=fields, headers={"Idempotency-Key": key})
        ids.add(answer.json()["id"])
    assert len(ids) == 2


def test_a_full_queue_says_when_to_come_back(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kinetoscope.app.studio.maker.MOST_WAITING", 0)
    answer = studio.client.post("/v1/videos", json={"prompt": "a ball"})
    assert answer.status_code == 503 and answer.headers["retry-after"] == "30"
    assert answer.json()["error"]["code"] == "queue_full"


def test_the_documentation_is_a_page_of_its_own(studio: Studio) -> None:
    page = studio.client.get("/docs")
    assert "POST /v1/videos" in page.text and "/api/" not in page.text
    assert "style-src 'unsafe-inline'" in page.headers["content-security-policy"]
    schema = studio.client.get("/openapi.json").json()
    body = schema["paths"]["/v1/videos"]["post"]["requestBody"]["content"]["application/json"]
    fields = body["schema"]["properties"]
    assert {"prompt", "frames", "init", "guidance"} <= set(fields)
    assert (
        fields["model"]["description"]
        == "one of debug, stage-256, physics-64; the first by default"
    )


def test_other_sites_cannot_use_it_and_a_request_has_a_size(studio: Studio) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        answer = studio.client.post("/v1/videos", json={"prompt": "a ball"}, headers=headers)
        assert answer.status_code in (403, 421)
        assert answer.json()["error"]["type"] in ("permission_error", "invalid_request_error")
    large = {"content-length": str(65 * 10**6), "content-type": "application/json"}
    answer = studio.client.post("/v1/videos", content=b"{}", headers=large)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


def test_on_other_addresses_the_token_is_the_key(model: str, tmp_path: Path) -> None:
    app = create_app(Gallery(tmp_path), Models([model]), None, "secret")
    with TestClient(app, base_url=f"http://{HOST}") as client:
        refused = client.get("/v1/videos")
        assert refused.status_code == 401
        assert refused.json()["error"]["type"] == "authentication_error"
        key = {"Authorization": "Bearer secret"}
        assert client.get("/v1/videos", headers=key).json()["data"] == []
