"""What a request may ask for, and what it is told when it may not."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from kinetoscope.app.serve.errors import ApiError
from kinetoscope.app.serve.request import VideoRequest, read_request, request_schema
from kinetoscope.app.serve.served_model import ServedModel
from kinetoscope.generator import VideoGenerator
from kinetoscope.generator.conditions import CONDITIONS, Condition
from kinetoscope.generator.model.config import DecoderConfig


@pytest.fixture(scope="module")
def model(model_folder: Path) -> ServedModel:
    return ServedModel.read(str(model_folder))


def read(served: ServedModel, **raw: Any) -> tuple[VideoRequest, int]:
    return read_request({"prompt": "a red ball", **raw}, {}, served, request_schema(served))


def test_a_model_is_known_by_its_config(model, generator: VideoGenerator):
    assert (model.name, model.height, model.width) == ("debug-8", *generator.size)
    assert model.frames_per_latent == 4
    assert model.sizes()[:2] == ["12x8", "24x16"]


def test_a_model_that_draws_several_codes_a_cell_is_known_as_well():
    served = ServedModel.read("stage-256")
    generator = VideoGenerator.from_pretrained("stage-256")
    assert (served.height, served.width) == generator.size
    assert (served.sound_fps is None) == (generator.sound is None)


def test_names_of_ours_and_of_openai(model):
    (request, priority) = read(model, frames="9", fps=10, seed=5, guidance="1.5", priority=2)
    assert (request.frames, request.fps, request.seed, priority) == (9, 10.0, 5, 2)
    assert request.sampling == {"guidance": 1.5}
    (request, _) = read(model, seconds="2", size="24x16", num_frames=None, guidance_scale=3)
    assert (request.frames, request.scale, request.sampling) == (24, 2, {"guidance": 3.0})
    assert VideoRequest.from_json(request.to_json()) == request


def test_seeds_are_random_unless_given(model):
    assert len({read(model)[0].seed for _ in range(4)}) > 1


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("prompt", "  ", "prompt: it must be given"),
        ("prompt", "x" * 2001, "at most 2000 letters; got 2001"),
        ("frames", 0, "frames must be at least 1; got 0"),
        ("frames", "many", "frames: Input should be a valid integer"),
        ("seconds", -1, "seconds must be above 0 and at most 1000000; got -1"),
        ("seconds", 1e7, r"at most 1000000; got 1e\+07"),
        ("fps", 0, "fps must be from"),
        ("seed", -1, "seed must be from 0"),
        ("size", "640x480", "size must be one of 12x8, 24x16"),
        ("temperature", -1, "temperature must be 0"),
        ("top_p", 7, "top_p must be above 0"),
        ("window", 4000, "window must be 1 to"),
        ("weights", {"sound": 2.0}, "this model takes no 'sound'"),
        ("accelerate", "fast", "accelerate must be one of"),
        ("steps", 40, "there is no field 'steps'"),
        ("init", "/etc/passwd", "init: send it as a file of a form"),
        ("model", "sora-2", "this server draws with 'debug-8' only"),
    ],
)
def test_mistakes_name_their_field(model, field, value, message):
    with pytest.raises(ApiError, match=message) as caught:
        read(model, **{field: value})
    assert caught.value.param == field


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ({"frames": 9, "seconds": 2}, "give frames or seconds, not both"),
        ({"frames": 9, "num_frames": 5}, "give frames or num_frames, not both"),
    ],
)
def test_two_names_of_one_thing_are_refused(model, pair, message):
    with pytest.raises(ApiError, match=message):
        read(model, **pair)


class Mood(Condition):
    """A condition that nobody has ever heard of."""

    name = "mood"
    help = "how it feels"
    kind = "choice"
    port = "header"
    shape = "a word"
    choices = ("calm", "wild")

    def parse(self, text, canvas, say=print):
        return text

    def features(self, value, videos, model):
        raise NotImplementedError


def test_a_new_condition_is_a_part_of_the_request(model, monkeypatch):
    monkeypatch.setitem(CONDITIONS, "mood", Mood())
    config = DecoderConfig(vocab_size=12, text_dim=4, conditions=(("mood", 2),))
    from kinetoscope.app.fields import condition_fields

    moody = dataclasses.replace(model, fields=tuple(condition_fields(config)))
    (request, _) = read(moody, mood="wild")
    assert request.texts == {"mood": "wild"}
    assert request_schema(moody).model_fields["mood"].description == "how it feels"
    with pytest.raises(ApiError, match="must be one of calm, wild; got 'sad'"):
        read(moody, mood="sad")
