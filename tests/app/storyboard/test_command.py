"""`kinetoscope compose`: storyboards and slides to videos, and how it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.app.provenance.inspection import inspect_file
from kinetoscope.data.video import probe, read_clip, read_metadata
from kinetoscope.data.video.sound import read_sound
from kinetoscope.data.video.tracks import read_chapters, read_cues

from .conftest import page_colour, tone, write_pdf

SMALL = ("--height", "180")
TITLES = ("Introduction", "What was measured", "The end")


def pages_of(path: Path) -> list[int]:
    """Which page each frame of a video shows, from 1, by its colour."""
    blues = read_clip(path).video[2, :, -10:, -10:].float().mean((1, 2))
    colours = torch.tensor([float(page_colour(number)[2]) for number in range(3)])
    return [1 + int((colours - blue).abs().argmin()) for blue in blues]


def changes_of(path: Path) -> list[float]:
    """Seconds at which another page is shown."""
    pages = pages_of(path)
    fps = probe(path).fps
    return [n / fps for n in range(1, len(pages)) if pages[n] != pages[n - 1]]


def test_a_storyboard_becomes_one_video(
    here: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tone(here / "one.wav", (400, 0.5))
    (here / "story.yaml").write_text(
        f"""
model: {model}
captions: both
size: [120, 160]
shots:
  - {{say: a red ball rolls, for: 9 frames, chapter: One, title: A ball}}
  - {{say: a blue cube, for: 0.5 s, join: crossfade 0.25 s, narration: one.wav, caption: куб}}
""",
        encoding="utf-8",
    )
    assert main(["compose", "story.yaml"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "story.mp4: 0:01.25, 15 frames of 160 x 120\n"
    assert "2 of 2 pieces drawn, 0 taken from story.shots" in printed.err
    told = probe("story.mp4")
    assert (told.frames, told.width, told.height, told.has_audio) == (15, 160, 120, True)
    assert [cue.text for cue in read_chapters("story.mp4")] == ["One"]
    assert [(cue.start, cue.text) for cue in read_cues("story.mp4")] == [(0.75, "куб")]
    heard = read_sound("story.mp4", 8000)
    assert heard[:5600].abs().max() < 0.02 < 0.3 < heard[6400:].abs().max()
    about = inspect_file(Path("story.mp4"))
    assert about.credentials.state == "valid" and about.mark is not None
    assert "compositeWithTrainedAlgorithmicMedia" in about.credentials.source_types[0]
    assert main(["compose", "story.yaml", "--out", "again.mp4", "--kept", "story.shots"]) == 0
    assert "0 of 2 pieces drawn, 2 taken from story.shots" in capsys.readouterr().err


def test_pictures_alone_say_that_no_model_drew_them(here: Path) -> None:
    write_pdf(here / "slides.pdf", TITLES)
    assert main(["compose", "slides.pdf", *SMALL, "--fps", "4"]) == 0
    about = inspect_file(Path("slides.mp4"))
    assert about.credentials.state == "none"
    assert "no model drew any of it" in read_metadata("slides.mp4")["comment"]


def test_slides_change_at_the_pauses_of_a_voice(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pdf(here / "slides.pdf", TITLES)
    pieces = [(300, 1.0), (0, 0.5), (320, 1.0), (0, 0.1), (310, 0.5), (0, 0.7), (330, 0.8)]
    tone(here / "talk.wav", *pieces)
    words = ["--voice", "talk.wav", "--story-out", "talk.yaml", *SMALL]
    assert main(["compose", "slides.pdf", *words]) == 0
    told = capsys.readouterr().err
    assert "slide 2 at 0:01.25, in a pause from 0:01.00 to 0:01.50" in told
    assert "these times are in slides.timings.txt" in told
    for found, wanted in zip(changes_of(Path("slides.mp4")), (1.25, 3.45), strict=True):
        assert abs(found - wanted) <= 1 / 24
    assert [cue.text for cue in read_chapters("slides.mp4")] == list(TITLES)
    assert probe("slides.mp4").seconds == pytest.approx(4.6, abs=1 / 24)

    text = Path("slides.timings.txt").read_text(encoding="utf-8")
    Path("slides.timings.txt").write_text(text.replace("0:01.25", "0:02.00"), encoding="utf-8")
    assert main(["compose", "slides.pdf", "--voice", "talk.wav", *SMALL]) == 2
    assert "with other times; give it with --timings, or remove it" in capsys.readouterr().err
    words = ["--voice", "talk.wav", "--timings", "slides.timings.txt", *SMALL]
    assert main(["compose", "slides.pdf", *words]) == 0
    assert abs(changes_of(Path("slides.mp4"))[0] - 2.0) <= 1 / 24
    words += ["--out", "again.mp4", "--story-out", "again.yaml"]
    assert main(["compose", "slides.pdf", *words]) == 0
    assert f"chapter: {TITLES[1]}\n" in Path("again.yaml").read_text(encoding="utf-8")

    assert main(["compose", "talk.yaml"]) == 0  # the storyboard that was written
    assert abs(changes_of(Path("talk.mp4"))[0] - 1.25) <= 1 / 24


def test_slides_change_where_the_next_voice_begins(here: Path) -> None:
    write_pdf(here / "slides.pdf", TITLES)
    (here / "voices").mkdir()
    for number, seconds in enumerate((0.61, 1.23, 0.4)):
        tone(here / "voices" / f"{number}.wav", (300 + number, seconds))
    assert main(["compose", "slides.pdf", "--voice", "voices", *SMALL]) == 0
    found = changes_of(Path("slides.mp4"))
    assert all(abs(one - two) <= 1 / 24 for one, two in zip(found, (0.61, 1.84), strict=True))


def test_without_pauses_slides_share_the_time_evenly_and_that_is_said(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pdf(here / "slides.pdf", TITLES)
    tone(here / "talk.wav", (300, 3.0))
    assert main(["compose", "slides.pdf", "--voice", "talk.wav", *SMALL]) == 0
    assert "0 pauses for 2 changes of slides, so the slides share" in capsys.readouterr().err
    assert changes_of(Path("slides.mp4")) == pytest.approx([1.0, 2.0], abs=1 / 24)


def test_slides_are_legible_and_still(here: Path) -> None:
    from kinetoscope.app.storyboard.slides.pages import Slides

    write_pdf(here / "slides.pdf", TITLES)
    tone(here / "talk.wav", (300, 0.5))
    assert main(["compose", "slides.pdf", "--voice", "talk.wav"]) == 0
    video = read_clip("slides.mp4").video.float()
    with Slides(Path("slides.pdf")) as slides:
        page = slides.picture(0, (720, 1280)).float()
    error = (video[:, 3] - page).square().mean()
    assert video.shape[2:] == (720, 1280)
    assert 10 * torch.log10(255**2 / error) > 35
    assert (video[:, 0] - video[:, 3]).abs().mean() < 1


@pytest.mark.parametrize(
    ("timings", "message"),
    [
        ("0:00 1\nsoon 2\n", "t.txt, line 2: 'soon' is no time"),
        ("0:00 1\n0:01 9\n", "t.txt, line 2: there is no page 9; there are 3"),
        ("0:00 1\n0:02 2\n0:01 3\n", "t.txt, line 3: 0:01.00 does not come after"),
        ("0:01 1\n", "t.txt: the first slide must begin at 0:00"),
        ("0:00 1\n0:09 2\n", "t.txt: the last slide begins at 9.00 s, and the voice ends at 3.0"),
    ],
)
def test_a_mistake_in_the_timings_is_named_with_its_line(
    here: Path, capsys: pytest.CaptureFixture[str], timings: str, message: str
) -> None:
    write_pdf(here / "slides.pdf", TITLES)
    tone(here / "talk.wav", (300, 3.0))
    Path("t.txt").write_text(timings, encoding="utf-8")
    assert main(["compose", "slides.pdf", "--voice", "talk.wav", "--timings", "t.txt"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no.yaml"], "the storyboard 'no.yaml' does not exist"),
        (["no.pdf"], "the slides 'no.pdf' do not exist"),
        (["bad.pdf"], "'bad.pdf' cannot be read as a PDF"),
        (["a.yaml", "--voice", "x.wav"], "--voice is for slides (.pdf)"),
        (["a.yaml", "--out", "a.gif"], "its name must end in .mp4"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    Path("bad.pdf").write_bytes(b"%PDF-1.4 and no more")
    assert main(["compose", *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(here.glob("*.mp4"))


def kept_pieces(folder: Path) -> list[Path]:
    """Those that are whole."""
    found = folder.glob("story.shots/*.safetensors")
    return [path for path in found if ".begun" not in path.name]


@pytest.mark.slow
def test_a_command_that_is_killed_goes_on(here: Path) -> None:
    text = "shots:\n" + "".join(
        f"  - {{say: a large red ball rolls to the right, for: 3 s, seed: {n}}}\n" for n in range(3)
    )
    (here / "story.yaml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "kinetoscope.app.cli.main", "compose", "story.yaml"]
    environment: Any = os.environ | {"OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 100
    while not kept_pieces(here) and time.monotonic() < end:
        time.sleep(0.1)
    running.send_signal(signal.SIGKILL)
    running.wait()
    kept = len(kept_pieces(here))
    assert 0 < kept < 3 and not (here / "story.mp4").exists()
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"{3 - kept} of 3 pieces drawn, {kept} taken" in again.stderr
    assert probe(here / "story.mp4").frames == 108
