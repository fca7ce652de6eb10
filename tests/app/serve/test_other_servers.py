"""Requests as clients of vLLM-Omni and of SGLang send them: understood, or refused in one line that
says what to do."""

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image

PROMPT = "a red ball rolls"


def picture() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (12, 8), (200, 30, 30)).save(content, "PNG")
    return content.getvalue()


URL = "data:image/png;base64," + base64.b64encode(picture()).decode()


def error(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 400, answer.text
    told = answer.json()["error"]
    assert set(told) == {"message", "type", "param", "code"} and "\n" not in told["message"]
    return told


def test_a_form_of_vllm_omni(server):
    fields = {
        "prompt": PROMPT,
        "negative_prompt": "a blue cube",
        "width": "24",
        "height": "16",
        "num_frames": "5",
        "fps": "16",
        "guidance_scale": "2.0",
        "seed": "42",
        "generate_sound": "false",
        "user": "ada",
        "image_reference": json.dumps({"image_url": URL}),
    }
    video = server.client.post("/v1/videos", data=fields).json()
    assert (video["size"], video["frames"], video["fps"], video["seed"]) == ("24x16", 5, 16, 42)
    stored = server.state.queue.get(video["id"]).request
    assert stored["texts"] == {"negative": "a blue cube"}
    assert stored["sampling"] == {"guidance": 2.0}
    assert list(stored["uploads"]) == ["init"]
    done = server.wait(video["id"])
    assert (done["status"], done["object"], done["error"]) == ("completed", "video", None)


def test_json_of_sglang(server):
    body = {
        "prompt": PROMPT,
        "size": "24x16",
        "seconds": 1,
        "n": 1,
        "negative_prompt": "a blue cube",
        "reference_url": URL,
        "extra_body": {"seed": 7, "fps": 6},
    }
    video = server.client.post("/v1/videos", json=body).json()
    assert (video["size"], video["frames"], video["seed"]) == ("24x16", 6, 7)
    assert server.wait(video["id"])["status"] == "completed"
    form = {"prompt": PROMPT, "extra_body": json.dumps({"num_frames": 5})}
    files = {"input_reference": ("a.png", picture(), "image/png")}
    answer = server.client.post("/v1/videos", data=form, files=files)
    assert answer.status_code == 200, answer.text
    video = answer.json()
    assert video["frames"] == 5 and server.wait(video["id"])["status"] == "completed"


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"num_inference_steps": 40}, "num_inference_steps", "without steps of diffusion; leave"),
        ({"flow_shift": 5.0}, "flow_shift", "without steps of diffusion; leave it out"),
        ({"guidance_scale_2": 4.0}, "guidance_scale_2", "there is one scale of the sentence"),
        ({"lora": {"name": "x"}}, "lora", "is started with --adapter"),
        ({"n": 2}, "n", "n must be 1; send a request for each video; got 2"),
        ({"width": 24}, "height", "give width and height, or neither"),
        ({"width": 25, "height": 16}, "size", "size must be one of 12x8, 24x16"),
        ({"size": "12x8", "width": 24, "height": 16}, "size", "not both"),
        ({"negative": "a", "negative_prompt": "b"}, "negative_prompt", "not both"),
        ({"generate_sound": True}, "generate_sound", "this model draws no sound; leave"),
        ({"seed": [1, 2]}, "seed", "seed: Input should be a valid integer"),
        ({"extra_body": "x"}, "extra_body", "must be an object of fields"),
        ({"output_path": "/etc"}, "output_path", "there is no field 'output_path'; see /docs"),
        ({"reference_url": "https://example.org/a.png"}, "reference_url", "nothing is fetched"),
        ({"init": URL, "input_reference": URL}, "input_reference", "it is given twice"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_is_not_understood_is_refused_with_the_way_out(server, fields, param, message):
    told = error(server.client.post("/v1/videos", json={"prompt": PROMPT, **fields}))
    assert told["param"] == param and message in told["message"]
    assert told["type"] == "invalid_request_error"


def test_addresses_that_only_others_have(server):
    answer = server.client.post("/v1/videos/sync", data={"prompt": PROMPT})
    assert answer.status_code == 405
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert "see /docs" in answer.json()["error"]["message"]
    answer = server.client.post("/v1/images/generations", json={"prompt": PROMPT})
    assert answer.status_code == 404 and "see /docs" in answer.json()["error"]["message"]
