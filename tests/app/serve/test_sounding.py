"""Videos with sound, of a model that draws some."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from kinetoscope.data.video import probe
from kinetoscope.data.video.sound import read_sound
from kinetoscope.generator import VideoGenerator

from .test_live import send, watch

PROMPT = "a red ball"


@pytest.fixture(scope="module")
def folder(sounding: VideoGenerator, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "sounding"
    sounding.save_pretrained(folder, half=False)
    return str(folder)


def test_the_file_has_the_sound_that_python_draws(run_server, folder, sounding, tmp_path: Path):
    server = run_server(model=folder)
    made = [server.make(PROMPT, frames=7, seed=3)["id"] for _ in "ab"]
    silent = server.make(PROMPT, frames=7, seed=3, sound=False)["id"]
    drawn = sounding.generate(PROMPT, 7, seed=3, sound=True)[1][0]
    for video in (*made, silent):
        assert server.wait(video)["error"] is None
        (tmp_path / "a.mp4").write_bytes(server.client.get(f"/v1/videos/{video}/content").content)
        assert probe(tmp_path / "a.mp4").has_audio == (video != silent)
        if video != silent:
            found = read_sound(tmp_path / "a.mp4")[1000:12_000]
            likeness = torch.nn.functional.cosine_similarity(found, drawn[1000:12_000], dim=0)
            assert likeness > 0.9
    wrong = server.client.post("/v1/videos", json={"prompt": PROMPT, "fps": 24})
    message = wrong.json()["error"]["message"]
    assert message.startswith("fps must be 12, for which this model draws sound")
    slow = server.make(PROMPT, frames=2, fps=24, sound=False)
    assert server.wait(slow["id"])["error"] is None


def test_sound_comes_with_the_pictures_of_a_live_video(run_server, folder, sounding):
    server = run_server(model=folder)
    drawn = sounding.generate(PROMPT, 7, seed=3, sound=True)[1][0]
    with watch(server) as socket:
        send(socket, prompt=PROMPT, seed=3, frames=7)
        heard = b""
        states = []
        while not states or states[-1] != {"state": "ended"}:
            message = socket.recv(timeout=60)
            if message[0] == 3:
                heard += message[1:]
            if message[0] == 2:
                states.append(json.loads(message[1:]))
    assert states[0] == {"state": "sound", "rate": 24_000}
    found = torch.from_numpy(np.frombuffer(heard, "<i2") / 32767)
    assert found.shape == drawn.shape and (found - drawn).abs().max() < 1e-3


def test_a_model_without_sound_has_no_such_field(run_server):
    answer = run_server().client.post("/v1/videos", json={"prompt": PROMPT, "sound": True})
    assert answer.json()["error"]["code"] == "unknown_field"
