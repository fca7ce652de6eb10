"""`kinetoscope sample` with a model that draws sound."""

from pathlib import Path

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.data.video import probe, read_clip, read_metadata
from kinetoscope.data.video.sound import read_sound
from kinetoscope.generator import VideoGenerator

PLAIN = ["--no-credentials", "--no-watermark"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, sounding: VideoGenerator) -> str:
    folder = tmp_path_factory.mktemp("model") / "sounding"
    sounding.save_pretrained(folder, half=False)
    return str(folder)


def sample(model: str, *more: str) -> int:
    return main(["sample", "a red ball", "--model", model, "--seed", "3", *more, *PLAIN])


def test_a_video_has_the_sound_that_python_draws(
    model: str, sounding: VideoGenerator, here: Path
) -> None:
    assert sample(model, "--frames", "7", "--out", "a.mp4") == 0
    info = probe("a.mp4")
    assert info.has_audio and info.frames == 7
    drawn = sounding.generate("a red ball", 7, seed=3, sound=True)[1][0]
    found = read_sound("a.mp4")
    assert abs(len(found) - 14_000) <= 1024
    found, drawn = found[1000:12_000], drawn[1000:12_000]
    likeness = torch.nn.functional.cosine_similarity(found, drawn, dim=0)
    assert likeness > 0.9
    assert "sound" not in read_metadata("a.mp4").get("settings", "")


def test_no_sound_draws_none(model: str, sounding: VideoGenerator, here: Path) -> None:
    assert sample(model, "--frames", "9", "--out", "a.mp4", "--no-sound") == 0
    assert not probe("a.mp4").has_audio
    assert sample(model, "--frames", "9", "--out", "b.mp4") == 0
    silent, heard = (read_clip(name, size=(8, 12)).video.float() for name in ("a.mp4", "b.mp4"))
    drawn = sounding.generate("a red ball", 9, seed=3)[0] * 127.5 + 127.5
    assert (silent - drawn).abs().mean() < (heard - drawn).abs().mean()


def test_formats_without_sound_say_so(
    model: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sample(model, "--frames", "5", "--out", "a.gif") == 0
    said = capsys.readouterr().err
    assert said.count("a.gif has no place for sound, which is left out") == 1
    assert probe("a.gif").frames == 5
    assert sample(model, "--frames", "5", "--out", "b.gif", "--no-sound") == 0
    assert "place for sound" not in capsys.readouterr().err


def test_frames_of_another_length_are_refused(
    model: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sample(model, "--fps", "24", "--out", "a.mp4") != 0
    said = capsys.readouterr().err
    assert "draws sound for 12 frames a second; give --fps 12, or --no-sound; got --fps 24" in said
    assert not Path("a.mp4").exists()
