"""Where nobody names a model, an adapter is drawn with its own one."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.app.serve import main as serving
from kinetoscope.app.storyboard.read import read_file
from kinetoscope.app.studio.gallery import Gallery
from kinetoscope.app.studio.models import Models
from kinetoscope.app.studio.settings import read_settings
from kinetoscope.app.wanted_model import wanted_model
from kinetoscope.data.video import read_metadata
from kinetoscope.generator import VideoGenerator
from kinetoscope.generator.training.lora import LoraSize, add_lora, lora_weights, save_adapter
from kinetoscope.pretrained import DEFAULT_MODEL


@pytest.fixture
def tiny(generator: VideoGenerator, tmp_path: Path) -> Path:
    """The folder of a small model."""
    generator.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def adapter(tiny: Path, tmp_path: Path) -> Path:
    """An adapter of the small model."""
    model = VideoGenerator.from_pretrained(tiny)
    id = model.id
    add_lora(model.decoder, LoraSize(2))
    weights = lora_weights(model.decoder.state_dict())
    torch.manual_seed(4)
    drawn = {name: torch.randn_like(weight) for name, weight in weights.items()}
    save_adapter(tmp_path / "toy", drawn, LoraSize(2), str(tiny), id)
    return tmp_path / "toy"


def test_a_named_model_comes_first_then_the_adapters_own(tiny: Path, adapter: Path) -> None:
    assert wanted_model(None, None) == DEFAULT_MODEL
    assert wanted_model(None, str(adapter)) == str(tiny)
    assert wanted_model("physics-64", str(adapter)) == "physics-64"


def test_sample_draws_with_the_adapters_model(adapter: Path, tmp_path: Path) -> None:
    words = ["sample", "a red ball", "--adapter", str(adapter), "--frames", "1", "--seed", "0"]
    clip = tmp_path / "ball.mp4"
    assert main([*words, "--out", str(clip)]) == 0
    told = read_metadata(clip)
    assert (told["model"], told["adapter"]) == ("tiny", "toy")


def test_serve_draws_with_the_adapters_model(
    tiny: Path, adapter: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    monkeypatch.setattr(serving, "run_server", lambda settings, *_: started.append(settings) or 0)
    assert main(["serve", "--adapter", str(adapter)]) == 0
    assert main(["serve"]) == 0
    assert [each.model for each in started] == [str(tiny), DEFAULT_MODEL]


def test_a_storyboard_is_drawn_with_the_adapters_model(
    tiny: Path, adapter: Path, tmp_path: Path
) -> None:
    path = tmp_path / "story.yaml"
    shots = "shots: [{say: a red ball, for: 5 frames}]\n"
    path.write_text(f"adapter: toy\n{shots}")
    assert read_file(path).model == str(tiny)
    path.write_text(shots)
    assert read_file(path).model == DEFAULT_MODEL
    path.write_text(f"model: physics-64\nadapter: toy\n{shots}")
    assert read_file(path).model == "physics-64"


def test_the_studio_draws_with_the_adapters_model(
    tiny: Path, adapter: Path, tmp_path: Path
) -> None:
    gallery = Gallery(tmp_path / "gallery")
    asked = {"conditions": {"prompt": "red ball"}, "frames": 5, "adapter": "toy"}
    models = Models(["physics-64", str(tiny)], [str(adapter)])
    assert read_settings(asked, models, gallery).model == "tiny"
    assert read_settings(asked | {"adapter": None}, models, gallery).model == "physics-64"
    assert read_settings(asked | {"model": "physics-64"}, models, gallery).model == "physics-64"
    with pytest.raises(ValueError, match=r"adapter: 'toy' belongs to model .*; start the studio"):
        read_settings(asked, Models(["physics-64"], [str(adapter)]), gallery)


def test_a_model_that_moved_is_told_with_the_way_out(
    tiny: Path, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "moved"
    shutil.move(tiny, moved)
    words = ["sample", "a red ball", "--adapter", str(adapter), "--frames", "1"]
    words += ["--out", str(tmp_path / "ball.mp4")]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "belongs to model" in line and "not to be found here; name the place" in line
    assert "--model" in line
    story = tmp_path / "story.yaml"
    story.write_text("adapter: toy\nshots: [{say: a red ball}]\n")
    with pytest.raises(ValueError, match=r"story\.yaml.*line 1.*not to be found here"):
        read_file(story)
    assert main([*words, "--model", str(moved)]) == 0


def test_an_adapter_that_is_not_there_is_called_an_adapter() -> None:
    with pytest.raises(ValueError, match=r"^unknown adapter 'nowhere'; give a folder or a hub id"):
        wanted_model(None, "nowhere")
