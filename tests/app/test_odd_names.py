"""Folders of videos with names that people have and shells fear: every one is read, and what is
made of it has its name."""

import csv
import os
import sys
from collections.abc import Callable
from pathlib import Path

import kinetoscope.configs
import pytest
from kinetoscope.app.cli.main import main
from kinetoscope.data.datasets.shards import Shards
from kinetoscope.data.video import read_clip
from kinetoscope.files.atomic import write_whole
from kinetoscope.generator import VideoGenerator
from kinetoscope.generator.training.module import GeneratorModule
from kinetoscope.tokenizer import VideoCodes, VideoTokenizer
from kinetoscope.tokenizer.training.module import TokenizerModule
from kinetoscope.training.cli import run

STEMS = {
    "blanks": " a  b ",
    "quotes": 'it\'s "q" `x` $(y)',
    "a line break": "new\nline",
    "a dash": "-dash",
    "two dashes": "--out",
    "an emoji": "🎈👩‍👧",
    "right to left": "שלום\u202eabc",
    "a colon": "rtsp:clip",
    "a pattern": "100%d [x] *",
    "dots": "a.b..c",
    "many bytes": "ü" * 122,  # 244, and an end of up to 4
}
NO_TEXT = os.fsdecode(b"\xff\xfe")  # no UTF-8


@pytest.fixture
def films(tmp_path: Path, write_clip: Callable[..., Path]) -> Path:
    """A video of every name, and one that is no text."""
    clip = write_clip(tmp_path / "clip.mp4").read_bytes()
    folder = tmp_path / "films"
    folder.mkdir()
    for stem in (*STEMS.values(), NO_TEXT):
        (folder / f"{stem}.mp4").write_bytes(clip)
    return folder


def failures(folder: Path) -> list[str]:
    with (folder / "skipped.csv").open(newline="", encoding="utf-8") as file:
        return [row["file"] for row in csv.DictReader(file)]


def test_encode_names_what_it_makes_as_the_videos_are(
    films: Path, here: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["encode", str(films), "-o", "codes", "--tokenizer", str(models / "one")]
    assert main(words) == 1
    # a safetensors file must have a name in UTF-8, and the end of its name is longer
    long = STEMS["many bytes"]
    made = {path.name.removesuffix(".safetensors") for path in Path("codes").glob("*.safetensors")}
    assert made == set(STEMS.values()) - {long}
    for name in made:
        assert VideoCodes.load(Path("codes") / f"{name}.safetensors").num_frames == 9
    failed = failures(Path("codes"))
    assert len(failed) == 2 and any(long in name for name in failed)
    assert "Traceback" not in capsys.readouterr().err


def test_reconstruct_takes_all_of_them(
    films: Path, here: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["reconstruct", str(films), "-o", "videos", "--tokenizer", str(models / "one")]
    assert main([*words, "--scale", "1"]) == 0, capsys.readouterr().err
    made = {path.name for path in Path("videos").iterdir()}
    assert made == {f"{stem}.mp4" for stem in (*STEMS.values(), NO_TEXT)}
    assert read_clip(Path("videos") / f"{STEMS['a line break']}.mp4").video.shape[1] == 9


def test_prepare_takes_all_of_them(
    films: Path, here: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["prepare", str(films), "shards", "--tokenizer", str(models / "one")]
    assert main([*words, "--size", "16", "--workers", "1"]) == 0, capsys.readouterr().err
    shards = Shards("shards")
    sources = {record["source"] for record in shards.records}
    assert sources == {f"{stem}.mp4" for stem in (*STEMS.values(), NO_TEXT)}
    assert {shards.info(clip).source for clip in range(len(shards))} == sources


def test_a_tokenizer_is_trained_on_all_of_them(
    films: Path, here: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["kinetoscope.tokenizer"])
    config = Path(kinetoscope.configs.__path__[0]) / "tokenizer/folder.yaml"
    words = ["fit", "--config", str(config), f"--data.root={films}", "--data.size=16"]
    words += ["--data.frames=5", "--data.batch_size=4", "--data.validation=0.2"]
    words += [f"--model.init_from={models / 'one'}", "--model.export_dir=made"]
    words += ["--trainer.max_steps=3", "--trainer.accelerator=cpu", "--trainer.logger=false"]
    words += ["--trainer.precision=32-true", "--trainer.enable_progress_bar=false"]
    run(TokenizerModule, [*words, "--trainer.enable_model_summary=false"])
    assert VideoTokenizer.from_pretrained("made").config.patch > 0


def test_a_generator_is_trained_on_all_of_them(
    films: Path, here: Path, parts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Captions lie beside the videos; the ledger of what was learned names every one."""
    monkeypatch.setattr(sys, "argv", ["kinetoscope.generator"])
    for film in list(films.iterdir())[::2]:
        film.with_suffix(".txt").write_text("a ball rolls")
    config = Path(kinetoscope.configs.__path__[0]) / "generator/folder.yaml"
    words = ["fit", "--config", str(config), f"--data.root={films}", "--data.size=16"]
    words += ["--data.frames=5", "--data.rounds=1", "--data.cache_dir=tokens"]
    words += ['--data.stages=[{"steps":9,"latents":2,"batch_size":4}]', "--model.grid=[2,2]"]
    words += [f"--model.{name}={folder}" for name, folder in parts.items()]
    words += ["--model.size.dim=16", "--model.size.heads=1", "--model.size.kv_heads=1"]
    words += ["--model.size.layers=1", "--model.samples_every=0", "--model.export_dir=made"]
    words += ["--trainer.max_steps=3", "--trainer.accelerator=cpu", "--trainer.logger=false"]
    words += ["--trainer.precision=32-true", "--trainer.enable_progress_bar=false"]
    words += ["--trainer.val_check_interval=null", "--trainer.limit_val_batches=0"]
    run(GeneratorModule, [*words, "--trainer.enable_model_summary=false"])
    assert VideoGenerator.from_pretrained("made").generate("a ball", 5).shape[2] == 5
    with open("made/training_data.csv", newline="", encoding="utf-8") as file:
        told = {row["name"] for row in csv.DictReader(file)}
    names = {f"{stem}.mp4" for stem in STEMS.values()} | {r"\udcff\udcfe.mp4"}
    assert told < names and len(names - told) == 1  # one validates


def test_a_name_as_long_as_a_file_system_allows_is_written(tmp_path: Path) -> None:
    """The file beside it has no longer name, and is found again after a kill."""
    for name in ("x" * 255, "ü" * 127, "y" * 240, "y" * 241):
        write_whole(tmp_path / name, "old")
        write_whole(tmp_path / name, name)
        assert (tmp_path / name).read_text() == name
        assert os.listdir(tmp_path) == [name]
        (tmp_path / name).unlink()
