"""`/v1/videos` from the outside, with OpenAI's client too. The worker is a thread of this process
and draws with a debug model."""

import base64
import io
import os
import sys
import threading
import time
import warnings
from pathlib import Path

import httpx
import pytest
from kinetoscope.app.provenance.policy import allow, refuse
from kinetoscope.app.serve.store.keys import Client
from kinetoscope.data.video import read_clip, to_uint8
from PIL import Image


def picture(colour: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (12, 8), colour).save(content, "PNG")
    return content.getvalue()


def test_openais_client_makes_a_video(server, tmp_path):
    openai = pytest.importorskip("openai", reason="OpenAI's client is not installed")
    warnings.simplefilter("ignore", DeprecationWarning)
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
    video = client.videos.create(
        prompt="a red ball rolls", seconds="1", extra_body={"seed": 4, "guidance": 1.5}
    )
    assert (video.object, video.model, video.seconds, video.size) == (
        "video",
        "debug-8",
        "1",
        "384x256",
    )
    video = client.videos.poll(video.id, poll_interval_ms=50)
    assert (video.status, video.progress, video.error) == ("completed", 100, None)
    client.videos.download_content(video.id).write_to_file(tmp_path / "video.mp4")
    assert read_clip(tmp_path / "video.mp4").video.shape == (3, 12, 256, 384)
    others = [client.videos.create(prompt="a blue cube", extra_body={"frames": 1}) for _ in "abc"]
    listed = [each.id for each in client.videos.list(limit=2)]  # page after page
    assert listed == [each.id for each in reversed(others)] + [video.id]
    assert client.videos.delete(video.id).deleted
    with pytest.raises(openai.NotFoundError, match="there is no video"):
        client.videos.retrieve(video.id)
    with pytest.raises(openai.BadRequestError, match="size must be one of") as caught:
        client.videos.create(prompt="a red ball", size="720x1280")
    assert (caught.value.param, caught.value.type) == ("size", "invalid_request_error")


def test_a_served_video_is_the_one_that_the_model_makes_alone(server, generator, tmp_path):
    """Also when others are drawn with it."""
    ids = [
        server.make("a red ball rolls", seed=seed, frames=frames)["id"]
        for seed, frames in ((3, 13), (4, 21), (5, 6))
    ]
    videos = [server.wait(name) for name in ids]
    assert [video["status"] for video in videos] == ["completed"] * 3
    content = server.client.get(f"/v1/videos/{ids[1]}/content").content
    (tmp_path / "video.mp4").write_bytes(content)
    expected = to_uint8(generator.generate("a red ball rolls", 21, seed=4)[0])
    # a pixel of the model is a square of 32 x 32, whose middle the file keeps well
    found = read_clip(tmp_path / "video.mp4").video[:, :, 16::32, 16::32]
    assert found.shape == expected.shape
    error = (found.float() - expected.float()).abs().mean(dim=(0, 2, 3))
    assert error.max() < 8


def test_going_on_from_a_picture_of_a_form_or_of_json(server):
    form = server.client.post(
        "/v1/videos",
        data={"prompt": "a ball", "frames": "5"},
        files={"input_reference": ("../../evil.exe", picture(), "text/html")},
    )
    url = "data:image/png;base64," + base64.b64encode(picture()).decode()
    json = server.client.post(
        "/v1/videos",
        json={"prompt": "a ball", "frames": 5, "input_reference": {"image_url": url}},
    )
    for answer in (form, json):
        assert answer.status_code == 200, answer.text
        assert server.wait(answer.json()["id"])["status"] == "completed"
    assert not list(server.state.folder.glob("uploads/*/*"))  # pictures of others are not kept


def test_ranges_of_a_video(server):
    video = server.wait(server.make(frames=5)["id"])
    place = f"/v1/videos/{video['id']}/content"
    whole = server.client.get(place)
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["content-disposition"].startswith("attachment")
    part = server.client.get(place, headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == whole.content[10:20]
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    beyond = server.client.get(place, headers={"Range": "bytes=99999999-"})
    assert beyond.status_code == 416
    for header in ("bytes=x", "bytes=9-2", "items=0-1", "bytes=", "bytes=0-1,x"):
        wrong = server.client.get(place, headers={"Range": header})
        message = f"Range must be such as bytes=0-99; got '{header}'"
        assert wrong.json()["error"]["message"] == message
    for header in ("bytes=0-", "bytes=-5", "bytes=0-1, 4-5"):
        assert server.client.get(place, headers={"Range": header}).status_code == 206
    server.state.video_path(video["id"]).unlink()
    gone = server.client.get(place)
    assert gone.status_code == 404 and "ask for the video again" in gone.json()["error"]["message"]


def test_a_video_is_cancelled_in_its_middle(server):
    video = server.make(frames=1200)
    place = f"/v1/videos/{video['id']}"
    while not server.client.get(place).json()["progress"]:
        time.sleep(0.02)
    early = server.client.get(f"{place}/content")
    assert early.status_code == 409 and "in_progress" in early.json()["error"]["message"]
    cancelled = server.client.post(f"{place}/cancel").json()
    assert (cancelled["status"], cancelled["error"]["code"]) == ("failed", "cancelled")
    done = server.make(frames=1)
    assert server.wait(done["id"])["status"] == "completed"
    names = [path.name for path in server.state.folder.glob("videos/*")]
    assert names == [f"{done['id']}.mp4"]
    again = server.client.post(f"/v1/videos/{done['id']}/cancel").json()
    assert again["status"] == "completed"


def test_a_deleted_video_leaves_nothing(server):
    running = server.make(frames=1200)
    while not server.client.get(f"/v1/videos/{running['id']}").json()["progress"]:
        time.sleep(0.02)
    done = server.wait(server.make(frames=1)["id"])
    for video in (running, done):
        answer = server.client.delete(f"/v1/videos/{video['id']}").json()
        assert answer == {"id": video["id"], "object": "video.deleted", "deleted": True}
    server.wait(server.make(frames=1)["id"])
    assert len(list(server.state.folder.glob("videos/*"))) == 1


def test_keys_keep_clients_apart(server):
    ada, bob = (server.state.keys.make(Client(name, max_active=1)) for name in ("ada", "bob"))
    headers = [{"Authorization": f"Bearer {key}"} for key in (ada, bob)]
    assert server.client.get("/v1/videos").status_code == 401
    made = server.client.post("/v1/videos", json={"prompt": "a ball"}, headers=headers[0]).json()
    for method, path in (("GET", ""), ("GET", "/content"), ("POST", "/cancel"), ("DELETE", "")):
        place = f"/v1/videos/{made['id']}{path}"
        assert server.client.request(method, place, headers=headers[1]).status_code == 404
    assert server.client.get("/v1/videos", headers=headers[1]).json()["data"] == []
    urgent = {"prompt": "a ball", "priority": 1}
    refused = server.client.post("/v1/videos", json=urgent, headers=headers[1])
    assert refused.json()["error"]["message"] == "priority must be 0 to 0 for you; got 1"


def test_a_request_that_is_sent_again_is_one_video(server):
    headers = {"Idempotency-Key": "the-first"}
    body = {"prompt": "a ball", "frames": 1}
    ids = {server.client.post("/v1/videos", json=body, headers=headers).json()["id"] for _ in "ab"}
    assert len(ids) == 1
    assert len(server.client.get("/v1/videos").json()["data"]) == 1


def test_a_prompt_that_the_model_cannot_read_fails_alone(server):
    long = server.make("a ball " * 20, frames=5)
    fine = server.make(frames=5)
    failed = server.wait(long["id"])
    assert failed["status"] == "failed" and failed["error"]["code"] == "invalid_request"
    assert server.wait(fine["id"])["status"] == "completed"


class NoBalls:
    """A policy of an operator."""

    def __call__(self, request):
        if request.prompt and "ball" in request.prompt:
            return refuse(f"{request.user} asks for a ball")
        return allow(request)


def test_the_policy_is_asked_before_anything_waits(server):
    server.state.gate.policies.append(NoBalls())
    answer = server.client.post("/v1/videos", json={"prompt": "a red ball"})
    error = answer.json()["error"]
    assert answer.status_code == 400 and error["code"] == "content_policy_violation"
    assert error["message"] == "this is not drawn: anybody asks for a ball"
    assert server.wait(server.make("a cube", frames=1)["id"])["status"] == "completed"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=0", "limit: Input should be greater than or equal to 1"),
        ("limit=x", "limit: Input should be a valid integer"),
        ("order=up", "order: Input should be 'asc' or 'desc'"),
        ("after=video_0", "no video 'video_0' to go on after"),
    ],
)
def test_wrong_pages_are_told(server, query, message):
    error = server.client.get(f"/v1/videos?{query}").json()["error"]
    assert message in error["message"] and set(error) == {"message", "type", "param", "code"}


def test_bodies_that_are_none(server):
    def send(content: bytes, kind: str) -> httpx.Response:
        return server.client.post("/v1/videos", content=content, headers={"Content-Type": kind})

    assert send(b"{", "application/json").json()["error"]["code"] == "invalid_json"
    assert send(b"[1]", "application/json").json()["error"]["code"] == "invalid_json"
    assert send(b"[" * 50_000, "application/json").json()["error"]["code"] == "invalid_json"
    half = send(b'{"prompt": "a \\ud83d", "frames": 1}', "application/json")
    assert (
        half.status_code == 400 and "write the letter in UTF-8" in half.json()["error"]["message"]
    )
    whole = send(b'{"prompt": "a \\ud83d\\ude00", "frames": 1}', "application/json")
    assert whole.json()["prompt"] == "a \N{GRINNING FACE}"
    assert len(server.client.get("/v1/videos").json()["data"]) == 1
    assert send(b"<x/>", "text/xml").status_code == 400
    assert send(b"--x\r\nrubbish", "multipart/form-data; boundary=x").status_code == 400
    assert send(b"", "multipart/form-data").status_code == 400


def test_health_metrics_and_pages(server):
    assert server.client.get("/healthz").json() == {"status": "ok"}
    assert server.client.get("/readyz").json() == {"status": "ok", "workers": 1}
    server.wait(server.make(frames=1)["id"])
    metrics = server.client.get("/metrics").text
    assert 'kinetoscope_videos{status="completed"} 1' in metrics
    assert 'kinetoscope_requests_total{method="POST",status="200"} 1' in metrics
    schema = server.client.get("/openapi.json").json()
    body = schema["paths"]["/v1/videos"]["post"]["requestBody"]["content"]["application/json"]
    assert {"prompt", "frames", "init", "guidance"} <= set(body["schema"]["properties"])
    page = server.client.get("/docs").text
    assert "POST /v1/videos" in page and "<script" not in page and "https://" not in page
    assert server.client.get("/v1/models").json()["data"][0]["id"] == "debug-8"


def test_a_log_that_nobody_reads_any_more_stops_nothing(server, monkeypatch):
    (reading, writing) = os.pipe()
    os.close(reading)
    monkeypatch.setattr(sys, "stderr", os.fdopen(writing, "w", buffering=1))
    assert server.wait(server.make(frames=1)["id"])["status"] == "completed"


def test_an_end_hands_back_what_runs(run_server, make_settings):
    first = run_server(grace=0.0)
    long = first.make(frames=1000, seed=1)
    while not first.client.get(f"/v1/videos/{long['id']}").json()["progress"]:
        time.sleep(0.02)
    first.state.pool.stop(0.0)
    waiting = first.state.queue.get(long["id"])
    assert waiting is not None and (waiting.status, waiting.attempts) == ("queued", 0)
    assert not list(first.state.folder.glob("videos/*.mp4"))


def test_videos_of_many_clients_are_drawn_in_one_batch(server):
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.append(server.make(frames=81, size="12x8")["id"]))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    most = 0
    while server.state.queue.counts()["completed"] < 6:
        most = max(most, server.state.queue.counts()["in_progress"])
        time.sleep(0.01)
    assert most > 2


def test_a_folder_has_one_server(server, make_settings):
    from kinetoscope.app.serve.server_state import alone_in

    folder = Path(make_settings().folder)
    with pytest.raises(ValueError, match="another server uses"), alone_in(folder):
        pass
