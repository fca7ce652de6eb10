"""`kinetoscope demo`: what a model's folder says is what is drawn, at its length and under its
seed."""

import os
from pathlib import Path

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.app.runs.demo import suggested
from kinetoscope.app.runs.jobs import read_prompts
from kinetoscope.app.runs.prompt_sections import read_sections
from kinetoscope.data.video import probe, read_clip
from kinetoscope.data.video.sound import read_sound
from kinetoscope.files.model_folder import shipped_models
from kinetoscope.generator import VideoGenerator
from kinetoscope.pretrained import DEFAULT_MODEL

PLAIN = ["--no-credentials", "--no-watermark"]
FILE = """# Nothing of this is shown.

## Rolling & falling
# Two things,
# one after the other.
red ball
# left out
blue cube

## Longer | 11 frames
a ball falls
## Nothing
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, sounding: VideoGenerator) -> Path:
    """A model that draws sound, whose folder says what its demo shows."""
    folder = tmp_path_factory.mktemp("model") / "sounding"
    sounding.save_pretrained(folder, half=False)
    (folder / "prompts.txt").write_text(FILE)
    return folder


def test_a_file_of_sentences_may_have_sections(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text(FILE)
    first, second = read_sections(path)
    assert (first.heading, first.frames) == ("Rolling & falling", None)
    assert first.about == "Two things, one after the other."
    assert first.prompts == ["red ball", "blue cube"]
    assert (second.heading, second.about, second.frames) == ("Longer", "", 11)
    assert read_prompts(path) == [*first.prompts, *second.prompts]


def test_plain_sentences_are_one_section(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("# a remark\nred ball\n\nblue cube | a bar in a sentence\n")
    (section,) = read_sections(path)
    assert (section.heading, section.about, section.frames) == (None, "", None)
    assert section.prompts == read_prompts(path)


@pytest.mark.parametrize("length", ["", "long", "0 frames", "33", "-4 frames"])
def test_a_length_that_is_none_is_said(tmp_path: Path, length: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(f"a ball\n## Longer | {length}\na ball\n")
    with pytest.raises(ValueError, match=rf"list.txt', line 2: .*720 frames'; got '{length}'"):
        read_sections(path)


def test_each_video_has_its_length_seed_sentence_and_sound(
    model: Path, sounding: VideoGenerator, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are drawn in one batch, and each is what it is alone."""
    assert main(["demo", "-m", str(model), "--seed", "4", "-o", "made/demo", *PLAIN]) == 0
    prompts = ["red ball", "blue cube", "a ball falls"]
    names = [f"{i:02}-{prompt.replace(' ', '-')}-{3 + i}" for i, prompt in enumerate(prompts, 1)]
    assert sorted(os.listdir("made/demo")) == [*[f"{name}.mp4" for name in names], "index.html"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        f"made/demo/{names[i]}.mp4" for i in (2, 0, 1)
    ]
    for i, (name, prompt) in enumerate(zip(names, prompts)):
        frames = 11 if i == 2 else 33
        path = Path("made/demo") / f"{name}.mp4"
        assert probe(path).frames == frames
        video, sound = sounding.generate(prompt, frames, seed=4 + i, sound=True)
        shown = read_clip(path, size=(8, 12)).video.float() / 127.5 - 1
        assert (shown - video[0]).abs().mean() < 0.15
        heard = read_sound(path)
        wanted = sound[0]
        assert abs(len(heard) - len(wanted)) <= 1024
        span = slice(1000, 18_000)
        assert torch.nn.functional.cosine_similarity(heard[span], wanted[span], dim=0) > 0.9
    page = Path("made/demo/index.html").read_text("utf-8")
    assert page.count("<video") == page.count("<button") == 3
    assert "<h2>Rolling &amp; falling</h2>\n<p>Two things, one after the other.</p>" in page
    assert "blue cube <small>seed 5</small>" in page and "Nothing" not in page


def test_a_length_that_is_given_holds_for_all(model: Path, here: Path) -> None:
    (here / "list.txt").write_text("a red ball\n## Longer | 11 frames\na blue cube\n")
    words = ["demo", "--prompts", "list.txt", "-m", str(model), "--frames", "2", "-o", "out"]
    assert main([*words, *PLAIN]) == 0
    made = sorted(Path("out").glob("*.mp4"))
    assert [path.name for path in made] == ["01-a-red-ball-0.mp4", "02-a-blue-cube-1.mp4"]
    assert [probe(path).frames for path in made] == [2, 2]


@pytest.mark.parametrize("name", ["physics-64", DEFAULT_MODEL])
def test_shipped_models_have_sentences_that_they_know(name: str) -> None:
    from kinetoscope.generator import TextEncoder

    sentences = read_prompts(suggested(name))
    assert 4 <= len(sentences) <= 24
    assert TextEncoder.from_pretrained(name).unknown_words(sentences) == []


def test_the_default_model_ships_and_its_demo_has_a_minute_five_styles_and_then() -> None:
    assert DEFAULT_MODEL in shipped_models()
    sections = read_sections(suggested(DEFAULT_MODEL))
    assert sum(section.frames is None for section in sections) >= 2
    assert [section.frames for section in sections if section.frames] == [720]
    five = [section.prompts for section in sections if len(section.prompts) == 5]
    alike = [len({prompt.rpartition(",")[0] for prompt in prompts}) == 1 for prompts in five]
    assert any(alike)
    assert any(" then " in prompt for section in sections for prompt in section.prompts)
