"""Shots of a model that draws sound are heard."""

import json
from pathlib import Path

import pytest
import torch
from kinetoscope.app.provenance.options import Disclosure
from kinetoscope.app.provenance.writer import Signing
from kinetoscope.app.storyboard.compose import Composer
from kinetoscope.app.storyboard.read import read_file
from kinetoscope.data.video import probe
from kinetoscope.data.video.sound import read_sound, resample_sound
from kinetoscope.generator import VideoGenerator
from PIL import Image

from .conftest import Compose, tone

RATE = 24_000
PLAIN = Disclosure(no_credentials=True, no_watermark=True)


@pytest.fixture(scope="module")
def folder(sounding: VideoGenerator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "sounding"
    sounding.save_pretrained(folder, half=False)
    return folder


def composed(composer: Composer, out: Path) -> torch.Tensor | None:
    """The sound of the video."""
    composer.draw()
    composer.compose(out, Signing(PLAIN, print))
    return read_sound(out, RATE) if probe(out).has_audio else None


def likeness(found: torch.Tensor, drawn: torch.Tensor) -> float:
    shared = slice(1000, min(len(found), len(drawn)) - 1000)
    return float(torch.nn.functional.cosine_similarity(found[shared], drawn[shared], dim=0))


def test_a_shot_has_the_sound_that_python_draws_where_it_is_seen(
    composer: Compose, folder: Path, sounding: VideoGenerator, tmp_path: Path
) -> None:
    text = "shots:\n- {say: a ball, for: 1 s, sound: off}\n- {say: a red ball, for: 13 frames}\n"
    made = composer(f"seed: 3\nfps: 12\n{text}", folder)
    found = composed(made, tmp_path / "a.mp4")
    assert found is not None
    drawn = sounding.generate("a red ball", 13, seed=3, sound=True)[1][0]
    assert found[: RATE - 1000].abs().max() < 0.01
    assert likeness(found[RATE:], drawn) > 0.9
    again = composer(f"seed: 3\nfps: 12\n{text}", folder)
    assert again.draw() == (0, 2)  # nothing is drawn again, and its sound is there
    kept = composed(again, tmp_path / "b.mp4")
    assert kept is not None and torch.equal(kept, found)


def test_what_continues_sounds_as_one_video(
    composer: Compose, folder: Path, sounding: VideoGenerator, tmp_path: Path
) -> None:
    shots = "- {say: a red ball, for: 9 frames}\n- {say: a red ball, for: 8 frames, join: continue}"
    found = composed(composer(f"seed: 3\nfps: 12\nshots:\n{shots}\n", folder), tmp_path / "a.mp4")
    assert found is not None
    drawn = sounding.generate("a red ball", 17, seed=3, sound=True)[1][0]
    assert likeness(found, drawn) > 0.9


def test_it_is_softer_while_somebody_speaks(
    composer: Compose, folder: Path, tmp_path: Path
) -> None:
    tone(tmp_path / "voice.wav", (0.0, 1.0))  # a silent one, to hear the rest
    plain = "shots:\n- {say: a red ball, for: 2 s}\n"
    loud = composed(composer(f"seed: 3\n{plain}", folder), tmp_path / "a.mp4")
    soft = composed(composer(f"seed: 3\nnarration: voice.wav\n{plain}", folder), tmp_path / "b.mp4")
    assert loud is not None and soft is not None
    during = slice(2000, RATE - 2000)
    assert 0.25 < soft[during].std() / loud[during].std() < 0.45
    later = slice(round(1.5 * RATE), round(1.9 * RATE))
    assert soft[later].std() / loud[later].std() > 0.9


def test_a_clip_that_is_laid_on_a_picture_is_heard_while_it_is_seen(
    composer: Compose, folder: Path, sounding: VideoGenerator, tmp_path: Path
) -> None:
    Image.new("RGB", (96, 64)).save(tmp_path / "x.png")
    tone(tmp_path / "voice.wav", (0.0, 1.4))  # a silent one, to hear the rest

    def told(more: str, whole: str = "") -> torch.Tensor | None:
        inset = (
            "{say: a red ball, box: [0.5, 0.5, 0.4, 0.4], at: 1 s, for: 1.084 s"  # 13 frames
            f"{more}}}"
        )
        shots = f"shots:\n- {{show: x.png, for: 3 s, inset: {inset}}}\n"
        return composed(composer(f"seed: 3\nfps: 12\n{whole}{shots}", folder), tmp_path / "a.mp4")

    drawn = sounding.generate("a red ball", 13, seed=3, sound=True)[1][0]
    found = told("")
    assert found is not None
    assert found[: RATE - 1000].abs().max() < 0.01
    assert likeness(found[RATE:], drawn) > 0.9
    assert found[RATE + len(drawn) + 1000 :].abs().max() < 0.01
    soft = told("", "narration: voice.wav\n")
    assert soft is not None
    (during, later) = (
        slice(round(begin * RATE), round(end * RATE)) for begin, end in ((1.05, 1.35), (1.85, 2.0))
    )
    shares = [float(soft[part].std() / found[part].std()) for part in (during, later)]
    assert 0.25 < shares[0] / shares[1] < 0.45
    assert told(", sound: off") is None


def test_another_rate_is_silent_and_that_is_said(
    composer: Compose, folder: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    made = composer("model_fps: 24\nshots:\n- {say: a ball, for: 1 s}\n", folder, say=told.append)
    assert composed(made, tmp_path / "a.mp4") is None
    assert read_file(tmp_path / "story.yaml").model_fps == 24
    assert told[0] == (
        "the shots are silent: this model draws sound for 12 frames a second, and model_fps is 24"
    )


def test_the_rate_is_that_of_the_sound(sounding: VideoGenerator, tmp_path: Path) -> None:
    folder = tmp_path / "faster"
    sounding.save_pretrained(folder, half=False)
    config = folder / "sound" / "config.json"
    told = json.loads(config.read_text())
    told["rate"] *= 2
    config.write_text(json.dumps(told))
    story = tmp_path / "story.yaml"
    story.write_text(f"model: {folder}\nshots:\n- {{say: a ball, for: 1 s}}\n")
    assert read_file(story).model_fps == 24


def test_sound_at_another_rate_is_the_same_sound() -> None:
    times = torch.arange(24_000) / 24_000
    wave = torch.sin(2 * torch.pi * 440 * times)
    found = resample_sound(wave, 24_000, 48_000)
    wanted = torch.sin(2 * torch.pi * 440 * torch.arange(48_000) / 48_000)
    assert found.shape == wanted.shape
    assert (found - wanted)[500:-500].abs().max() < 0.01
