"""What the studio makes and keeps, asked over HTTP as its page does."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.studio.models import Models
from kinetoscope.data.video import probe, read_metadata
from kinetoscope.generator import SamplingParams, VideoGenerator
from kinetoscope.generator.training.lora import LoraSize, add_lora, lora_weights, save_adapter
from kinetoscope.tokenizer import VideoCodes

from ..mood import Mood
from .conftest import HOST, Studio, open_studio

BALL = {"prompt": "a large red ball rolls to the right"}
CUBE = {"prompt": "a big blue cube slides to the left"}


def codes(studio: Studio, video: str) -> torch.Tensor:
    return VideoCodes.load(studio.gallery.path(video, ".safetensors")).indices


def test_a_video_lies_beside_what_it_was_made_from(studio: Studio) -> None:
    order = studio.make(conditions=BALL, frames=9, seed=3, count=2)
    assert (order["state"], order["done"], order["error"]) == ("done", 9, "")
    assert order["seeds"] == [3, 4]
    for seed, video in zip(order["seeds"], order["videos"]):
        record = studio.client.get(f"/api/videos/{video}").json()
        settings = record["settings"]
        assert settings["conditions"] == BALL
        assert (settings["seed"], settings["model"], settings["count"]) == (seed, "physics-64", 1)
        assert (record["frames"], record["width"], record["height"]) == (9, 64, 64)
        path = studio.gallery.path(video)
        assert (probe(path).frames, probe(path).width) == (9, 256)
        tags = read_metadata(path)
        assert tags["prompt"] == BALL["prompt"] and tags["seed"] == str(seed)
        assert "generative model" in tags["comment"]
        content = studio.client.get(f"/api/videos/{video}/video.mp4")
        assert content.content == path.read_bytes()
        part = studio.client.get(f"/api/videos/{video}/video.mp4", headers={"range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, path.read_bytes()[10:20])
        assert studio.client.get(f"/api/videos/{video}/picture.jpg").content[:2] == b"\xff\xd8"
    listed = studio.client.get("/api/videos", params={"search": "red ball"}).json()
    assert [record["id"] for record in listed["videos"][:2]] == sorted(order["videos"])[::-1]


def test_what_goes_on_is_what_a_longer_video_would_have_been(studio: Studio) -> None:
    whole = studio.make(conditions=BALL, frames=17, seed=5)["videos"][0]
    short = studio.make(conditions=BALL, frames=9, seed=5)["videos"][0]
    assert torch.equal(codes(studio, whole)[:, :3], codes(studio, short))
    origin = {"video": short, "verb": "go on", "frame": 9}
    longer = studio.make(conditions=BALL, frames=17, seed=5, origin=origin)["videos"][0]
    assert torch.equal(codes(studio, longer), codes(studio, whole))
    assert studio.gallery.record(longer)["settings"]["origin"] == origin


def test_what_changes_keeps_the_frames_before(studio: Studio) -> None:
    first = studio.make(conditions=BALL, frames=17, seed=5)["videos"][0]
    origin = {"video": first, "verb": "change", "frame": 7}  # two latent frames, five frames
    other = studio.make(conditions=CUBE, frames=17, seed=5, origin=origin)["videos"][0]
    (before, after) = (codes(studio, first), codes(studio, other))
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.equal(before[:, 2:], after[:, 2:])


def test_pixels_and_settings_are_those_of_the_library(studio: Studio) -> None:
    sampling = {"temperature": 0.5, "guidance": 3, "guidance_frames": 5, "window": 9}
    video = studio.make(conditions=CUBE, frames=9, seed=1, sampling=sampling)["videos"][0]
    generator = VideoGenerator.from_pretrained("physics-64")
    params = SamplingParams(temperature=0.5, guidance=3, guidance_frames=5, window=9).in_latents(4)
    session = generator.session(CUBE["prompt"], 1, params)
    for _ in range(3):
        next(session)
    past = torch.stack(session.engine.past, 1).unflatten(2, (8, 8))
    assert torch.equal(codes(studio, video), past)


def test_a_picture_that_is_given_is_kept_by_its_content(studio: Studio, write_clip: Any) -> None:
    path = write_clip(studio.gallery.folder.parent / "holiday.mp4")
    sent = studio.client.post("/api/files", params={"name": path.name}, content=path.read_bytes())
    given = sent.json()
    assert given["name"] == "holiday.mp4" and given["file"].endswith(".mp4")
    order = studio.make(conditions={**BALL, "init": given}, frames=13, seed=1)
    assert order["state"] == "done", order["error"]
    record = studio.gallery.record(order["videos"][0])
    assert record["settings"]["conditions"]["init"] == given
    order = studio.make(conditions={**BALL, "init": given}, frames=9, seed=1)
    assert order["state"] == "failed"
    assert order["error"].startswith("init: 'holiday.mp4' has 9 frames to go on from")
    empty = studio.client.post("/api/files", params={"name": "x.png"}, content=b"")
    assert (empty.status_code, "empty" in empty.json()["error"]) == (400, True)


@pytest.mark.parametrize("keep", [False, True])
def test_an_order_can_be_stopped_with_or_without_what_is_there(studio: Studio, keep: bool) -> None:
    before = len(studio.gallery.videos())
    number = studio.client.post("/api/orders", json={"conditions": BALL, "frames": 4001}).json()[
        "order"
    ]
    waiting = studio.client.post("/api/orders", json={"conditions": BALL}).json()["order"]
    assert studio.client.delete(f"/api/orders/{waiting}").json()["state"] == "cancelled"
    while studio.wait(number, "drawing")["done"] < 5:
        pass
    studio.client.delete(f"/api/orders/{number}", params={"keep": keep})
    order = studio.wait(number)
    assert order["state"] == ("done" if keep else "cancelled")
    assert len(studio.gallery.videos()) == before + keep
    if keep:
        frames = studio.gallery.record(order["videos"][0])["frames"]
        assert frames == order["done"] == probe(studio.gallery.path(order["videos"][0])).frames
        assert order["notes"] == [f"stopped after {frames} frames"]
    else:
        assert not studio.gallery.path(order["videos"][0]).exists()
    assert studio.client.delete("/api/orders/999").json() == {"error": "there is no order 999"}


def test_mistakes_say_what_to_do(studio: Studio) -> None:
    for settings, message in (
        ({}, 'conditions: it must be an object such as {"prompt": "a red ball"}'),
        ({"conditions": {}}, "prompt: it must be given: what the video shows, in a sentence"),
        (
            {"conditions": BALL, "frames": 0},
            "frames: it must be a whole number from 1 to 20000; got 0",
        ),
        ({"conditions": BALL, "frames": 2.5}, "frames: it must be a whole number"),
        ({"conditions": BALL, "count": 9}, "count: it must be a whole number from 1 to 8; got 9"),
        ({"conditions": BALL, "seed": -1}, "seed: it must be a whole number from 0"),
        ({"conditions": BALL, "seed": True}, "seed: it must be a whole number from 0"),
        ({"conditions": BALL, "model": "x"}, "model: there is no 'x' here; there is physics-64"),
        ({"conditions": BALL, "adapter": "x"}, "adapter: there is no 'x' here; there is none"),
        (
            {"conditions": BALL, "sampling": {"top_p": 3}},
            "top_p must be above 0 and at most 1 (all codes); got 3",
        ),
        ({"conditions": BALL, "sampling": {"heat": 3}}, "sampling: there is no 'heat'; there is g"),
        ({"conditions": BALL, "sampling": {"top_p": "x"}}, "top_p: it must be a number; got 'x'"),
        ({"conditions": BALL, "sampling": {"top_k": 1.5}}, "top_k: it must be a whole number"),
        ({"conditions": BALL, "sampling": {"accelerate": 3}}, "accelerate: it must be one of exac"),
        (
            {"conditions": BALL, "sampling": {"weights": {"heat": 1}}},
            "weights: it must be an object of numbers by prompt, negative, init",
        ),
        (
            {"conditions": BALL, "sampling": {"weights": {"init": "x"}}},
            "weights.init: it must be a number from 0 to 1000; got 'x'",
        ),
        ({"conditions": {**BALL, "init": "/etc/passwd"}}, "init: it takes a file; got str"),
        (
            {"conditions": {**BALL, "init": {"file": "../../x"}}},
            "init: this is no file of the gallery; give it again",
        ),
        ({"conditions": BALL, "origin": {"video": "x", "verb": "again"}}, "there is no video 'x'"),
        ({"conditions": BALL, "origin": {"video": "x"}}, "origin: it must have a verb"),
        ({"conditions": BALL, "length": 3}, "length: unknown; a request has conditions, model"),
    ):
        assert studio.error(**settings).startswith(message)
    assert "no JSON" in studio.client.post("/api/orders", content=b"{").json()["error"]
    assert studio.client.post("/api/orders", content=b" " * (2 << 20)).status_code == 413
    order = studio.make(conditions=BALL, size=65, frames=1)
    assert order["state"] == "failed" and "must be a multiple of 8" in order["error"]


def test_no_request_reaches_a_path_outside(studio: Studio) -> None:
    (studio.gallery.folder.parent / "secret.mp4").write_bytes(b"secret")
    for path in (
        "/api/videos/..%2Fsecret/video.mp4",
        "/api/videos/%2e%2e%2fsecret/video.mp4",
        "/page/..%2Fserver.py",
        "/page/../server.py",
        "/page/%2e%2e/server.py",
        "/api/models/..%2F..%2Fsecret",
    ):
        answer = studio.client.get(path)
        assert answer.status_code in (400, 404) and answer.content != b"secret"
    assert "cannot be had" not in studio.client.get("/").text


def test_delete_undo_and_disk(studio: Studio) -> None:
    video = studio.make(conditions=BALL, frames=1)["videos"][0]
    assert studio.client.delete(f"/api/videos/{video}").json() == {"deleted": video}
    found = studio.client.get("/api/videos").json()["videos"]
    assert video not in [record["id"] for record in found]
    assert studio.client.post(f"/api/videos/{video}/restore").json()["id"] == video
    disk = studio.client.get("/api/disk").json()
    assert disk["bytes_used"] > 1000 and disk["when_full"] == "stop"
    rule = {"limit_gb": 1e-6, "when_full": "stop"}
    assert studio.client.put("/api/disk", json=rule).json()["limit_gb"] == 1e-6
    assert "raise the limit" in studio.error(conditions=BALL)
    wrong = studio.client.put("/api/disk", json={"limit_gb": 0, "when_full": "stop"})
    assert wrong.json() == {"error": "limit_gb must be above 0 and below 1000000; got 0"}
    studio.client.put("/api/disk", json={"limit_gb": 5, "when_full": "stop"})


def test_the_page_sees_the_video_latent_by_latent(studio: Studio) -> None:
    with studio.client.websocket_connect(f"ws://{HOST}/live") as socket:
        socket.send_json({"have": 0})
        number = studio.client.post(
            "/api/orders", json={"conditions": BALL, "frames": 9, "seed": 0}
        ).json()["order"]
        (frames, done, order) = ([], set(), {"state": ""})
        while order["state"] != "done" or len(frames) < 9:
            message = socket.receive_bytes()
            if message[0] == 3:
                states = json.loads(message[1:])["states"]
                order = states.get(f"order-{number}") or order
                done.add(order.get("done"))
                continue
            sequence = int.from_bytes(message[1:5], "big")
            socket.send_json({"have": sequence})
            if int.from_bytes(message[5:9], "big") == number:
                frames.append(int.from_bytes(message[10:14], "big"))
    assert frames == list(range(9))
    assert {9} <= done


def test_a_made_up_condition_is_a_field_of_the_page_and_a_part_of_the_request(
    moody: Path, tmp_path: Path
) -> None:
    for studio in open_studio(tmp_path / "gallery", Models([str(moody)])):
        assert studio.client.get("/api/models").json()["models"][:2] == ["moody", "stage-256"]
        about = studio.client.get("/api/models/moody").json()
        field = {each["name"]: each for each in about["fields"]}["mood"]
        assert (field["help"], field["kind"]) == (Mood.help, "choice")
        assert field["choices"] == ["calm", "wild"]
        made = {}
        for mood in (None, "calm", "wild"):
            order = studio.make(
                model="moody", conditions={"prompt": "red ball", "mood": mood}, frames=5, seed=1
            )
            assert order["state"] == "done", order["error"]
            made[mood] = codes(studio, order["videos"][0])
        assert not torch.equal(made["calm"], made["wild"])
        message = studio.error(model="moody", conditions={"prompt": "red ball", "mood": "sad"})
        assert message == "mood: it must be one of calm, wild; got 'sad'"
        plain = studio.error(model="physics-64", conditions={**BALL, "mood": "calm"})
        assert plain == "mood: this model takes no 'mood'; it takes prompt, negative, init"


def test_an_adapter_is_offered_by_its_name_and_changes_what_is_drawn(
    generator: VideoGenerator, tmp_path: Path
) -> None:
    generator.save_pretrained(tmp_path / "tiny")
    model = VideoGenerator.from_pretrained(tmp_path / "tiny")
    base = model.id
    torch.manual_seed(4)
    size = LoraSize(rank=2)
    add_lora(model.decoder, size)
    weights = {
        name: torch.randn_like(weight)
        for name, weight in lora_weights(model.decoder.state_dict()).items()
    }
    save_adapter(tmp_path / "tin toy", weights, size, "tiny", base)
    models = Models([str(tmp_path / "tiny")], [str(tmp_path / "tin toy")])
    for studio in open_studio(tmp_path / "gallery", models):
        assert studio.client.get("/api/models").json()["adapters"] == {"tin toy": "tiny"}
        made = [
            studio.make(conditions={"prompt": "red ball"}, frames=5, seed=1, adapter=adapter)
            for adapter in (None, "tin toy")
        ]
        assert [order["error"] for order in made] == ["", ""]
        plain, adapted = (codes(studio, order["videos"][0]) for order in made)
        assert not torch.equal(plain, adapted)
        record = studio.gallery.record(made[1]["videos"][0])
        assert record["settings"]["adapter"] == "tin toy"
        wrong = studio.make(model="physics-64", conditions=BALL, frames=1, adapter="tin toy")
        assert "belongs to model 'tiny'" in wrong["error"]
