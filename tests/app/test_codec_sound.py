"""`kinetoscope encode`, `decode` and `reconstruct` of videos with sound."""

import os
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.data.video import VideoWriter, probe
from kinetoscope.data.video.sound import read_sound, read_span
from kinetoscope.files.model_folder import shipped_models
from kinetoscope.tokenizer import VideoCodes
from kinetoscope.tokenizer.sound import SoundTokenizer
from kinetoscope.tokenizer.sound.spectra import mel_distance
from kinetoscope.training.progress import Progress
from torch import Tensor

RATE = 24_000
REAL_CLIPS = Path(__file__).parents[2] / "../shared/real-clips"


@pytest.fixture
def model(tmp_path: Path, models: Path) -> str:
    """The folder of a model with a tokenizer of pictures, and that of sound that ships."""
    folder = tmp_path / "model"
    shutil.copytree(models / "one", folder / "tokenizer")
    shutil.copytree(shipped_models()["stage-256"] / "sound", folder / "sound")
    return str(folder)


def noise(seconds: float) -> Tensor:
    """Half a second of it, half a second of silence, and so on."""
    samples = torch.rand(int(seconds * RATE), generator=torch.Generator().manual_seed(0)) - 0.5
    return samples * (torch.arange(len(samples)) // (RATE // 2) % 2 == 0)


def film(path: Path, fps: float = 12, seconds: float = 2.0, silent: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, fps, sound_rate=None if silent else RATE) as writer:
        pictures = torch.arange(round(seconds * fps)).view(1, -1, 1, 1) % 8 * 30
        writer.write(pictures.expand(3, -1, 16, 24).to(torch.uint8))
        if not silent:
            writer.write_sound(noise(seconds))
    return path


def run(*words: str) -> int:
    return main([str(word) for word in words])


def notes(printed: str) -> str:
    """What was said, without lines of progress, which come where a run takes long."""
    return "".join(line for line in printed.splitlines(True) if " per frame" not in line)


def loudness(path: Path, seconds: float) -> list[bool]:
    """Whether each quarter of a second is loud, away from its edges."""
    wave = read_span(path, 0.0, int(seconds * RATE))
    assert wave is not None
    quarters = wave.unflatten(0, (-1, RATE // 4))[:, 1500:-1500]
    return (quarters.square().mean(1).sqrt() > 0.05).tolist()


def test_sound_goes_to_codes_and_back(
    here: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    film(here / "a.mp4")
    assert run("encode", "a.mp4", "-o", "a.safetensors", "--tokenizer", model) == 0
    assert run("decode", "a.safetensors", "-o", "b.mp4", "--tokenizer", model) == 0
    printed = capsys.readouterr()
    assert notes(printed.err) == ""
    assert printed.out.splitlines() == [
        "a.safetensors: 24 frames as 7 x 2 x 3 codes and 7 x 64 of sound, 0.8 kB of information",
        "b.mp4: 24 frames",
    ]
    codes = VideoCodes.load("a.safetensors")
    assert codes.sound is not None and codes.sound.num_samples == 48_000
    assert (
        loudness(Path("a.mp4"), 2.0)
        == loudness(Path("b.mp4"), 2.0)
        == [True, True, False, False] * 2
    )


def test_no_sound_leaves_it_out(here: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    film(here / "a.mp4")
    words = ["a.mp4", "--tokenizer", model]
    assert run("encode", *words, "-o", "mute.safetensors", "--no-sound") == 0
    assert VideoCodes.load("mute.safetensors").sound is None
    assert run("reconstruct", *words, "-o", "mute.mp4", "--no-sound") == 0
    assert not probe("mute.mp4").has_audio
    assert run("encode", *words, "-o", "a.safetensors") == 0
    decode = ["decode", "a.safetensors", "-o", "b.mp4", "--tokenizer", model]
    assert run(*decode, "--no-sound") == 0
    assert not probe("b.mp4").has_audio
    assert run(*decode) == 0
    assert probe("b.mp4").has_audio
    printed = capsys.readouterr()
    assert notes(printed.err) == "" and printed.out.count("of sound") == 1


def test_another_rate_is_said_once_and_has_a_way_out(
    here: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    film(here / "films/a.mp4", fps=25)
    film(here / "films/b.mp4", fps=24)  # no second line for it
    film(here / "films/c.mp4", fps=25, silent=True)
    words = ["films", "--tokenizer", model, "-o"]
    said = f"is read at 25 frames a second, and '{model}' keeps sound at 12: its sound is left out"
    for command, ending in (("encode", "safetensors"), ("reconstruct", "mp4")):
        assert run(command, *words, command) == 0
        assert notes(capsys.readouterr().err) == f"'films/a.mp4' {said}; --fps 12 keeps it\n"
        assert run(command, *words, f"{command}-12", "--fps", "12") == 0
        assert notes(capsys.readouterr().err) == ""
        assert Path(f"{command}/a.{ending}").exists()
    assert VideoCodes.load("encode/a.safetensors").sound is None
    assert VideoCodes.load("encode-12/c.safetensors").sound is None
    for name in ("a", "b"):
        codes = VideoCodes.load(f"encode-12/{name}.safetensors")
        assert codes.sound is not None and codes.num_frames == 24
        assert loudness(Path(f"reconstruct-12/{name}.mp4"), 2.0) == [True, True, False, False] * 2
    assert not probe("reconstruct/a.mp4").has_audio
    assert not probe("reconstruct-12/c.mp4").has_audio


def test_silent_videos_and_tokenizers_without_sound_say_nothing_of_it(
    here: Path, models: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    film(here / "a.mp4")
    film(here / "mute.mp4", silent=True)
    for name, tokenizer in (("mute.mp4", model), ("a.mp4", str(models / "one"))):
        words = [name, "--tokenizer", tokenizer, "-o"]
        assert run("encode", *words, "a.safetensors") == 0
        assert run("decode", "a.safetensors", "-o", "b.mp4", "--tokenizer", tokenizer) == 0
        assert run("reconstruct", *words, "c.mp4") == 0
        printed = capsys.readouterr()
        assert notes(printed.err) == "" and "sound" not in printed.out
        assert not probe("b.mp4").has_audio and not probe("c.mp4").has_audio


def test_codes_whose_sound_cannot_be_read_keep_their_pictures(
    here: Path,
    models: Path,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    film(here / "a.mp4")
    tokenizer = SoundTokenizer.from_pretrained(model)
    assert run("encode", "a.mp4", "-o", "codes/a.safetensors", "--tokenizer", model) == 0
    capsys.readouterr()
    # what ships is found by itself
    decode = ["decode", "codes", "-o", "out", "--tokenizer", str(models / "one")]
    assert run(*decode) == 0
    assert notes(capsys.readouterr().err) == "" and probe("out/a.mp4").has_audio
    monkeypatch.setattr("kinetoscope.app.runs.codec_sound.shipped_models", dict)
    assert run(*decode) == 0
    said = notes(capsys.readouterr().err)
    assert said.count("\n") == 1 and f"written by sound tokenizer {tokenizer.id}, which" in said
    assert "is left out; give --tokenizer the folder of a model that has it" in said
    assert probe("out/a.mp4").frames == 24 and not probe("out/a.mp4").has_audio
    decode[-1] = model  # and once it is there, the video is made again
    assert run(*decode) == 0
    assert notes(capsys.readouterr().err) == "" and probe("out/a.mp4").has_audio
    assert run(*decode) == 0
    assert "1 done before" in capsys.readouterr().out


def test_formats_without_sound_say_so(
    here: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    film(here / "a.mp4")
    assert run("encode", "a.mp4", "-o", "a.safetensors", "--tokenizer", model) == 0
    for words in (["decode", "a.safetensors"], ["reconstruct", "a.mp4"]):
        assert run(*words, "-o", "a.gif", "--tokenizer", model) == 0
        said = "a.gif has no place for sound, which is left out; a name that ends in .mp4 keeps it"
        assert notes(capsys.readouterr().err) == said + "\n"
        assert probe("a.gif").frames == 24
        assert run(*words, "-o", "b.gif", "--tokenizer", model, "--no-sound") == 0
        assert notes(capsys.readouterr().err) == ""


def test_reconstruct_lets_one_hear_what_is_kept(
    here: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    film(here / "a.mp4")
    assert run("reconstruct", "a.mp4", "-o", "b.mp4", "--tokenizer", model) == 0
    pictures, sound, _ = capsys.readouterr().out.splitlines()
    assert pictures.startswith("PSNR ")
    found = re.fullmatch(r"sound: mel distance (\d+\.\d\d) dB   2688 bits per second", sound)
    tokenizer = SoundTokenizer.from_pretrained(model)
    given = read_span("a.mp4", 0.0, 48_000)
    assert given is not None and found is not None
    rebuilt = tokenizer.decode(tokenizer.encode(given[None]))
    assert float(found[1]) == pytest.approx(mel_distance(rebuilt, given[None]).item(), abs=0.02)
    heard = read_span("b.mp4", 0.0, 48_000)
    assert heard is not None
    likeness = torch.nn.functional.cosine_similarity(heard[:44_000], rebuilt[0, :44_000], dim=0)
    assert likeness > 0.95
    assert abs(len(read_sound("b.mp4")) - 48_000) <= 1024


def test_ctrl_c_keeps_the_sound_of_the_frames_so_far(
    here: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    film(here / "a.mp4", seconds=10)
    assert run("encode", "a.mp4", "-o", "a.safetensors", "--tokenizer", model) == 0
    monkeypatch.setattr(Progress, "update", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    for words in (["decode", "a.safetensors"], ["reconstruct", "a.mp4"]):
        assert run(*words, "-o", "b.mp4", "--tokenizer", model) == 130
        frames = probe("b.mp4").frames
        assert 0 < frames < 120
        assert abs(len(read_sound("b.mp4")) - 2_000 * frames) <= 1024
    # a shell lets its background jobs ignore the signal
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert run("encode", "a.mp4", "-o", "c.safetensors", "--tokenizer", model) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert sorted(os.listdir(here)) == ["a.mp4", "a.safetensors", "b.mp4"]


@pytest.mark.skipif(not REAL_CLIPS.is_dir(), reason="no real clips here")
def test_speech_comes_back_when_it_was_spoken(here: Path, model: str) -> None:
    """A program stream of 25 frames a second with MP2 of two channels at 44,100 samples."""
    clip = REAL_CLIPS / "lipnet__GRID_bbaf2n.mpg"
    options = ["--tokenizer", model, "--fps", "12", "--size", "16"]
    assert run("encode", clip, "-o", "a.safetensors", *options) == 0
    assert run("decode", "a.safetensors", "-o", "a.mp4", "--tokenizer", model) == 0
    given, found = (read_span(path, 0.0, 70_000) for path in (clip, Path("a.mp4")))
    assert given is not None and found is not None
    step = RATE // 200  # 5 ms
    one, two = (x[: len(x) // step * step].unflatten(0, (-1, step)) for x in (given, found))
    one, two = (x.square().mean(1).add(1e-7).log() for x in (one, two))
    one, two = one - one.mean(), two - two.mean()
    lags = range(-20, 21)
    inner = one[20:-20]
    fits = [float(inner @ two[20 + lag : len(two) - 20 + lag]) for lag in lags]
    best = max(range(len(lags)), key=fits.__getitem__)
    assert abs(lags[best]) <= 2  # 10 ms
    assert fits[best] / float(one.norm() * two.norm()) > 0.7
