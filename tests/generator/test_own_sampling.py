"""A model's folder says how it is drawn from; whoever asks for something else gets that."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.app.studio.models import Models
from kinetoscope.files.errors import UnreadableFile
from kinetoscope.generator import SamplingParams, VideoGenerator
from kinetoscope.generator.batch import VideoBatch
from kinetoscope.generator.training.start import start_from
from PIL import Image

OWN = SamplingParams(guidance=1.0, temperature=0.0)


@pytest.fixture
def model(generator: VideoGenerator, tmp_path: Path) -> Path:
    """The debug model, which likes its likeliest codes best."""
    folder = tmp_path / "model"
    generator.save_pretrained(folder)
    (folder / "sampling.json").write_text('{"guidance": 1.0, "temperature": 0.0}')
    return folder


def test_a_model_is_drawn_from_as_its_folder_says(model: Path):
    own = VideoGenerator.from_pretrained(model)
    assert own.sampling == OWN
    video = own.generate("a red ball", 9, seed=1)
    assert torch.equal(video, own.generate("a red ball", 9, 2, OWN))
    assert not torch.equal(video, own.generate("a red ball", 9, 1, SamplingParams()))
    assert torch.equal(next(own.stream("a red ball")), video[:, :, :1])
    batch = VideoBatch(own)
    session = batch.session("a red ball")
    assert torch.equal(next(chunk for made, chunk in batch if made is session), video[:, :, :1])


def test_settings_that_are_given_change_these_alone(model: Path):
    own = VideoGenerator.from_pretrained(model)
    assert own.params() == OWN
    assert own.params(top_k=9, window=8) == replace(OWN, top_k=9, window=2)
    with pytest.raises(ValueError, match="temperature must be 0"):
        own.params(temperature=-1)


def test_it_is_kept_in_the_folder(generator: VideoGenerator, model: Path, tmp_path: Path):
    own = VideoGenerator.from_pretrained(model)
    own.save_pretrained(tmp_path / "copy")
    told = json.loads((tmp_path / "copy/sampling.json").read_text())
    assert told == {"guidance": 1.0, "temperature": 0.0}
    assert VideoGenerator.from_pretrained(tmp_path / "copy").sampling == OWN
    generator.save_pretrained(tmp_path / "copy")  # the usual settings need no file
    assert VideoGenerator.from_pretrained(tmp_path / "copy").sampling == SamplingParams()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"guidence": 1.0}', r"sampling.json': 'guidence' is not a field .* 'guidance'"),
        ('{"temperature": "hot"}', r"sampling.json': temperature must be"),
        ('{"min_p": 2}', r"sampling.json': min_p must be 0"),
        ("[]", "sampling.json"),
    ],
)
def test_a_file_that_is_wrong_is_named(model: Path, text: str, message: str):
    (model / "sampling.json").write_text(text)
    with pytest.raises(UnreadableFile, match=message):
        VideoGenerator.from_pretrained(model)


def test_the_command_line_asks_the_model_and_may_overrule_it(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def sample(name: str, *words: str) -> bytes:
        out = tmp_path / name
        more = ["--model", str(model), "--frames", "1", "--no-credentials", "--no-watermark"]
        assert main(["sample", "a red ball", *more, "--out", str(out), *words]) == 0
        with Image.open(out) as image:
            return image.tobytes()

    likeliest = sample("a.png", "--seed", "1")
    assert sample("b.png", "--seed", "2") == likeliest
    assert sample("c.png", "--seed", "2", "--temperature", "3", "--min-p", "0") != likeliest
    with pytest.raises(SystemExit):
        main(["sample", "--help"])
    assert "the model's own, or 0.8" in " ".join(capsys.readouterr().out.split())


def test_the_page_shows_the_settings_of_the_model(model: Path):
    controls = Models([str(model)], []).about("model")["sampling"]
    values = {each["name"]: each["value"] for each in controls}
    assert (values["guidance"], values["temperature"], values["min_p"]) == (1.0, 0.0, 0.1)


def test_the_page_knows_the_size_of_a_model_of_several_codes_a_cell():
    about = Models([], []).about("stage-256")
    assert about["sizes"][0] == VideoGenerator.from_pretrained("stage-256").size[0]


def test_training_goes_on_with_them(model: Path):
    assert start_from(str(model), {}, None, None).sampling == OWN
