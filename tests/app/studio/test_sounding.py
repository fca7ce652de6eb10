"""Videos with sound, of a model that draws some."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kinetoscope.app.studio.models import Models
from kinetoscope.data.video import probe
from kinetoscope.data.video.sound import read_sound
from kinetoscope.generator import VideoGenerator
from kinetoscope.tokenizer import VideoCodes
from torch import Tensor

from .conftest import Studio, open_studio

BALL = {"prompt": "a red ball"}


@pytest.fixture(scope="module")
def studio(sounding: VideoGenerator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("models") / "sounding"
    sounding.save_pretrained(folder, half=False)
    yield from open_studio(tmp_path_factory.mktemp("studio"), Models([str(folder)]))


def heard(path: Path, drawn: Tensor) -> None:
    """A file has this sound, as far as AAC keeps it."""
    found = read_sound(path)[1000 : len(drawn) - 1000]
    likeness = torch.nn.functional.cosine_similarity(found, drawn[1000:-1000], dim=0)
    assert likeness > 0.9


def sent_sound(studio: Studio, order: int, frames: int) -> Tensor:
    """What the pages were sent of so many frames of an order, silence where nothing came."""
    channel = studio.client.app.state.maker.channel  # type: ignore[attr-defined]
    found = torch.zeros(frames * 2000)
    for message in channel.sounds:
        (number, rate, channels, first) = struct.unpack(">IIBI", message.content[5:18])
        assert (rate, channels) == (24_000, 1)
        if number == order:
            samples = torch.from_numpy(np.frombuffer(message.content[18:], "<i2") / 32767)
            assert not found[first : first + len(samples)].any()  # none comes twice
            found[first : first + len(samples)] = samples
    return found


def test_the_video_and_the_page_have_the_sound_that_python_draws(
    studio: Studio, sounding: VideoGenerator
) -> None:
    order = studio.make(conditions=BALL, frames=7, seed=3, count=2)
    assert (order["state"], order["error"]) == ("done", "")
    _, sounds = sounding.generate([BALL["prompt"]] * 2, 7, seed=3, sound=True)
    for video, drawn in zip(order["videos"], sounds):
        assert probe(studio.gallery.path(video)).has_audio
        heard(studio.gallery.path(video), drawn)
    found = sent_sound(studio, order["order"], 7)
    assert (found - sounds[0]).abs().max() < 1e-3


def test_what_goes_on_sounds_as_a_longer_video_would_have(
    studio: Studio, sounding: VideoGenerator
) -> None:
    first = studio.make(conditions=BALL, frames=7, seed=3)["videos"][0]
    origin = {"video": first, "verb": "go on", "frame": 5}
    order = studio.make(conditions=BALL, frames=13, seed=3, origin=origin)
    assert order["error"] == ""
    heard(
        studio.gallery.path(order["videos"][0]),
        sounding.generate(BALL["prompt"], 13, seed=3, sound=True)[1][0],
    )
    whole = studio.make(conditions=BALL, frames=13, seed=3)["videos"][0]
    codes = [
        VideoCodes.load(studio.gallery.path(video, ".safetensors"))
        for video in (whole, order["videos"][0])
    ]
    assert torch.equal(codes[0].indices, codes[1].indices)
    assert torch.equal(codes[0].sound.indices, codes[1].sound.indices)
    assert codes[0].sound.num_samples == 13 * 2000


def test_no_sound_draws_none(studio: Studio, sounding: VideoGenerator) -> None:
    order = studio.make(conditions=BALL, frames=5, seed=3, sound=False, fps=24)
    video = order["videos"][0]
    assert not probe(studio.gallery.path(video)).has_audio
    assert VideoCodes.load(studio.gallery.path(video, ".safetensors")).sound is None
    message = studio.error(conditions=BALL, fps=24)
    assert message.startswith("fps: this model draws sound for 12 frames a second; ask for that")


def test_programs_get_it_too(studio: Studio, sounding: VideoGenerator) -> None:
    made: Any = studio.client.post(
        "/v1/videos", json={"prompt": BALL["prompt"], "frames": 7, "seed": 3}
    ).json()
    number = max(studio.client.app.state.maker.orders)  # type: ignore[attr-defined]
    assert studio.wait(number)["error"] == ""
    heard(
        studio.gallery.path(made["id"]),
        sounding.generate(BALL["prompt"], 7, seed=3, sound=True)[1][0],
    )


def test_a_page_knows_which_models_draw_sound(studio: Studio) -> None:
    told = {
        model: studio.client.get(f"/api/models/{model}").json()["sound"]
        for model in ("sounding", "physics-64")
    }
    assert told == {"sounding": True, "physics-64": False}


def test_shots_are_heard_while_they_are_drawn(studio: Studio, sounding: VideoGenerator) -> None:
    ball = BALL["prompt"]
    story = {
        "model": "sounding",
        "seed": 3,
        "shots": [
            {"say": ball, "for": "9 frames", "sound": "off"},
            {"say": ball, "for": "9 frames", "seed": 4},
            {"say": ball, "for": "8 frames", "seed": 4, "join": "continue"},
        ],
    }

    def heard_of(**more: Any) -> Tensor:
        answer = studio.client.post("/api/story/orders", json={"story": story, **more})
        assert answer.status_code == 201, answer.text
        order = studio.wait(answer.json()["order"])
        assert order["error"] == ""
        return sent_sound(studio, order["order"], 26)

    drawn = sounding.generate(ball, 17, seed=4, sound=True)[1][0]
    whole = heard_of()
    assert not whole[: 9 * 2000].any()
    assert (whole[9 * 2000 :] - drawn).abs().max() < 1e-3
    again = heard_of(only=3)  # it is there already, and is seen and heard again
    assert (again[: 8 * 2000] - drawn[9 * 2000 :]).abs().max() < 1e-3
    assert not again[8 * 2000 :].any()
    assert not heard_of(only=1).any()
