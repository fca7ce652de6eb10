"""Every command of docs/compose.md, and its storyboards."""

import re
import shlex
from pathlib import Path

import pytest
from kinetoscope.app.cli.main import main
from kinetoscope.app.storyboard.read import SHOT, TABLE
from kinetoscope.data.video import probe
from kinetoscope.data.video.tracks import read_chapters, read_cues
from PIL import Image

from .conftest import tone, write_pdf

PAGE = (Path(__file__).parents[3] / "docs" / "compose.md").read_text(encoding="utf-8")
STORIES = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)


def commands() -> list[list[str]]:
    """Each command once, in the order of the page."""
    found = re.findall(r"^    kinetoscope (.*)$", PAGE, re.M)
    return [shlex.split(line) for line in dict.fromkeys(found)]


def test_every_key_is_explained() -> None:
    told = set(re.findall(r"`(\w+)`", PAGE)) | {"say", "shots"}
    assert set(SHOT) | set(TABLE) <= told


@pytest.mark.slow
def test_every_command_of_the_page_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pdf(here / "slides.pdf", ("Introduction", "What was measured", "The end"))
    tone(here / "talk.wav", (300, 0.6), (0, 0.4), (310, 0.5), (0, 0.5), (320, 0.5))
    tone(here / "music.wav", (500, 1.0))
    tone(here / "one.wav", (250, 1.0))
    (here / "voices").mkdir()
    for number in range(3):
        tone(here / "voices" / f"{number}.wav", (300, 0.5))
    (here / "talk.srt").write_text("1\n00:00:00,100 --> 00:00:00,900\nHello\n", encoding="utf-8")
    Image.new("RGB", (320, 180), "teal").save(here / "photo.png")
    (here / "story.yaml").write_text(STORIES[0], encoding="utf-8")
    for words in commands():
        assert main(words) == 0, words
    assert probe("story.mp4").seconds == pytest.approx(2 + 25 / 12 + 1.5 + 1, abs=0.1)
    assert [cue.text for cue in read_chapters("story.mp4")] == ["The ball", "The cube"]
    assert [cue.text for cue in read_cues("talk.mp4")] == ["Hello"]
    assert len(read_chapters("own.mp4")) == 3

    (here / "more.yaml").write_text(STORIES[1], encoding="utf-8")
    assert main(["compose", "more.yaml"]) == 0
    assert probe("more.mp4").seconds == 5.0

    wrong = STORIES[0].replace("for: 2 s", "for: soon")
    (here / "story.yaml").write_text(wrong, encoding="utf-8")
    capsys.readouterr()
    assert main(["compose", "story.yaml"]) == 2
    told = re.search(r"^    (story.yaml, line 7: .*)$", PAGE, re.M)
    assert told is not None
    line = next(n for n, text in enumerate(wrong.splitlines(), 1) if "soon" in text)
    assert told[1].replace("line 7", f"line {line}") in capsys.readouterr().err
