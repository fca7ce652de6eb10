"""What is heard, and when."""

from pathlib import Path

import pytest
import torch
from kinetoscope.app.storyboard.plan import make_plan
from kinetoscope.app.storyboard.read import read_file
from kinetoscope.app.storyboard.sound import RATE, Sounds, mixed
from torch import Tensor

from .conftest import tone

PICTURES = """
shots:
  - {show: x.png, for: 1 s}
  - {show: x.png, for: 2 s, narration: {file: one.wav, at: 0.5 s}}
  - {show: x.png, for: 1 s}
"""


def heard(folder: Path, text: str = PICTURES, music: str = "") -> tuple[Tensor | None, list[str]]:
    from PIL import Image

    Image.new("RGB", (16, 16)).save(folder / "x.png")
    tone(folder / "one.wav", (500, 1.0))
    tone(folder / "music.wav", (2000, 0.5))
    path = folder / "story.yaml"
    path.write_text(music + text, encoding="utf-8")
    sounds = Sounds()
    plan = make_plan(read_file(path), 12.0, sounds.seconds, None, lambda say, given, n: say)
    told: list[str] = []
    return mixed(plan, sounds, told.append), told


def loudness(sound: Tensor, start: float, end: float) -> float:
    return float(sound[:, round(start * RATE) : round(end * RATE)].abs().max())


def test_a_narration_is_heard_at_its_time(tmp_path: Path) -> None:
    sound, told = heard(tmp_path)
    assert sound is not None and sound.shape == (2, 4 * RATE) and told == []
    assert loudness(sound, 0, 1.49) == 0 == loudness(sound, 2.51, 4)
    assert loudness(sound, 1.51, 2.49) == pytest.approx(0.4, abs=0.02)


def test_music_goes_on_for_all_of_it_and_gives_way_to_a_voice(tmp_path: Path) -> None:
    music = "music: {file: music.wav, volume: 0.5}\n"
    alone, _ = heard(tmp_path)
    both, _ = heard(tmp_path, music=music)
    assert alone is not None and both is not None
    below = both - alone
    assert loudness(below, 0.2, 1.0) == pytest.approx(0.2, abs=0.02)
    assert loudness(below, 1.6, 2.4) == pytest.approx(0.07, abs=0.01)
    assert loudness(below, 3.95, 4) < 0.02


def test_nothing_is_heard_of_silent_pictures(tmp_path: Path) -> None:
    text = "shots:\n  - {show: x.png, for: 1 s}\n"
    assert heard(tmp_path, text) == (None, [])


def test_two_voices_at_once_are_a_mistake_and_a_late_end_is_said(tmp_path: Path) -> None:
    shot = "  - {show: x.png, for: 0.5 s, narration: one.wav}\n"
    with pytest.raises(ValueError, match=r"line 3: it begins while something else is still"):
        heard(tmp_path, f"shots:\n{shot}{shot}")
    sound, told = heard(tmp_path, f"shots:\n{shot}")
    assert sound is not None and sound.shape[1] == RATE // 2
    assert told == ["one.wav is cut off: it goes on for 0.50 s after the last picture"]


def test_what_is_too_loud_is_made_softer_and_said(tmp_path: Path) -> None:
    text = "shots:\n  - {show: x.png, for: 1 s, narration: {file: one.wav, volume: 5}}\n"
    sound, told = heard(tmp_path, text)
    assert sound is not None and loudness(sound, 0, 1) == pytest.approx(0.99, abs=0.01)
    assert len(told) == 1 and "too loud by a factor of 2.0" in told[0]
    assert torch.isfinite(sound).all()
