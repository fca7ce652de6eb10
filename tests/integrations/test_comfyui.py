"""The ComfyUI node pack: every node's schema and run, in a stand-in of ComfyUI's loader."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.provenance.inspection import Status, inspect_file
from kinetoscope.data.video import probe, read_clip
from kinetoscope.generator import VideoGenerator
from kinetoscope.generator.conditions import CONDITIONS

from .comfy_stand_in import ProgressBar, comfy, load_pack, read_workflow, run

PACK = Path(__file__).parents[2] / "integrations/comfyui"
IDS = ["LoadModel", "Sample", "Encode", "Decode", "Save"]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


@pytest.fixture
def nodes(tmp_path: Path, output: Path) -> Iterator[dict[str, Any]]:
    """The pack, copied as a user does."""
    shutil.copytree(PACK, tmp_path / "custom_nodes/kinetoscope")
    with comfy(output):
        yield load_pack(tmp_path / "custom_nodes/kinetoscope")


@pytest.fixture
def model(generator: VideoGenerator, tmp_path: Path) -> str:
    generator.save_pretrained(tmp_path / "model", half=False)
    return str(tmp_path / "model")


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": f"Kinetoscope{kind}", "inputs": inputs}


def drawing(nodes: dict[str, Any], model: str, **more: Any) -> dict[str, Any]:
    """A workflow that draws five frames with every widget at its default."""
    schema = nodes["KinetoscopeSample"].define_schema()
    usual = {each.id: each.default for each in schema.inputs if each.default not in (None, "")}
    inputs = usual | {"model": ["1", 0], "prompt": "a red ball", "frames": 5} | more
    return {"1": node("LoadModel", model=model, size=0), "2": node("Sample", **inputs)}


def test_every_setting_and_condition_is_an_input(nodes: dict[str, Any]) -> None:
    assert list(nodes) == [f"Kinetoscope{name}" for name in IDS]
    inputs = {each.id: each for each in nodes["KinetoscopeSample"].define_schema().inputs}
    assert set(CONDITIONS) <= set(inputs)
    settings = ("guidance", "top_k", "min_p")
    assert [inputs[name].default for name in settings] == [-1, -1, -1]  # the model's own
    assert inputs["accelerate"].widget["options"] == ["exact", "distribution", "off"]
    assert all(inputs[name].optional for name in CONDITIONS if name != "prompt")
    assert inputs["init"].io_type == "IMAGE" and inputs["negative"].io_type == "STRING"
    assert "follow the sentence" in inputs["guidance"].tooltip


def test_a_new_condition_is_an_input(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Weather(type(CONDITIONS["negative"])):  # type: ignore[misc]
        name = "weather"
        kind = "choice"
        choices = ("sun", "rain")

    monkeypatch.setitem(CONDITIONS, "weather", Weather())
    with comfy(output):
        inputs = load_pack(PACK)["KinetoscopeSample"].define_schema().inputs
    weather = next(each for each in inputs if each.id == "weather")
    assert (weather.io_type, weather.widget["options"]) == ("COMBO", ["sun", "rain"])


def test_a_video_is_drawn_as_in_python(
    nodes: dict[str, Any], model: str, generator: VideoGenerator
) -> None:
    ProgressBar.told.clear()
    frames, origin = run(drawing(nodes, model, seed=7), nodes)["2"].args
    assert frames.shape == (5, 8, 12, 3) and 0 <= frames.min() <= frames.max() <= 1
    video = VideoGenerator.from_pretrained(model).generate("a red ball", 5, 7)
    assert torch.allclose(frames, video[0].permute(1, 2, 3, 0) / 2 + 0.5, atol=1e-6)
    assert ProgressBar.told == [1, 4]
    assert (origin.prompt, origin.seed, origin.model) == ("a red ball", 7, "model")


def test_a_video_goes_on_from_pictures_of_any_size(nodes: dict[str, Any], model: str) -> None:
    workflow = drawing(nodes, model, frames=9)
    load = nodes["KinetoscopeLoadModel"].execute(model, 0).args[0]
    pictures = torch.full((7, 30, 20, 3), 0.8)
    inputs = workflow["2"]["inputs"] | {"model": load, "init": pictures}
    frames, origin = nodes["KinetoscopeSample"].execute(**inputs).args
    assert frames.shape == (9, 8, 12, 3)
    assert origin.is_composite


def test_what_a_model_does_not_take_is_said(nodes: dict[str, Any], model: str) -> None:
    with pytest.raises(ValueError, match="this model takes no 'actions'; it takes prompt"):
        run(drawing(nodes, model, actions="1,2"), nodes)
    with pytest.raises(ValueError, match="frames: 0 is beyond the min 1"):
        run(drawing(nodes, model, frames=0), nodes)


def test_codes_come_back_as_pictures(nodes: dict[str, Any], model: str) -> None:
    workflow = drawing(nodes, model)
    workflow["3"] = node("Encode", model=["1", 0], frames=["2", 0])
    workflow["4"] = node("Decode", model=["1", 0], codes=["3", 0])
    done = run(workflow, nodes)
    assert done["3"].args[0].num_frames == 5
    assert done["4"].args[0].shape == done["2"].args[0].shape
    workflow["4"]["inputs"]["codes"] = ["2", 0]
    with pytest.raises(ValueError, match="codes takes KINETOSCOPE_CODES, not IMAGE"):
        run(workflow, nodes)


def test_a_saved_video_says_that_a_model_made_it(
    nodes: dict[str, Any], model: str, output: Path
) -> None:
    workflow = drawing(nodes, model)
    settings = {"filename_prefix": "films/ball", "fps": 10.0, "format": "mp4"}
    workflow["3"] = node("Save", frames=["2", 0], origin=["2", 1], **settings)
    workflow["4"] = node("Save", frames=["2", 0], **settings)
    done = run(workflow, nodes)
    saved = [done[number].ui["images"][0]["filename"] for number in ("3", "4")]
    assert saved == ["ball_00001_.mp4", "ball_00002_.mp4"]
    made, plain = (output / "films" / name for name in saved)
    assert probe(made).frames == 5 and abs(probe(made).fps - 10) < 0.01
    found = [inspect_file(path).status for path in (made, plain)]
    assert found == [Status.MADE_BY_A_MODEL, Status.NOTHING_FOUND]
    shown = read_clip(plain).video[:, 0].float() / 255
    drawn = done["2"].args[0][0].permute(2, 0, 1)
    assert (shown.mean(0) - drawn.mean(0)).abs().mean() < 0.1  # colours are stored coarser


def test_the_policy_is_asked(
    nodes: dict[str, Any], model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/words.txt").write_text("ball\n")
    monkeypatch.setenv("KINETOSCOPE_POLICY", f"lists:{tmp_path / 'rules'}")
    with pytest.raises(ValueError, match=r"words\.txt"):
        run(drawing(nodes, model), nodes)


@pytest.mark.slow
def test_the_example_runs(nodes: dict[str, Any], output: Path) -> None:
    done = run(read_workflow(PACK / "example.json"), nodes)
    assert done["2"].args[0].shape == (33, 64, 64, 3)
    assert [file.name for file in (output / "video").iterdir()] == ["Kinetoscope_00001_.mp4"]
