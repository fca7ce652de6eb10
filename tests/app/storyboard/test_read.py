"""A storyboard file: what it says, and mistakes that are named with their line."""

from pathlib import Path
from typing import Any

import pytest
from kinetoscope.app.fields import condition_fields
from kinetoscope.app.storyboard.located import from_json
from kinetoscope.app.storyboard.read import Reader, read_file
from kinetoscope.app.storyboard.schema import Join, Length, Line
from kinetoscope.app.storyboard.times import seconds_of
from kinetoscope.generator.model.config import DecoderConfig

from .conftest import tone


def story(folder: Path, text: str) -> Path:
    path = folder / "story.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_all_that_a_storyboard_says_is_read(tmp_path: Path, write_clip: Any) -> None:
    tone(tmp_path / "one.wav", (200, 0.5))
    write_clip(tmp_path / "clip.mp4")
    text = """
seed: 7
fps: 24
size: [120, 160]
music: {file: one.wav, volume: 0.25}
captions: track
shots:
  - say: a red ball rolls
    for: 1:02.5
    camera: pans left
    seed: 3
    title: {text: One, at: 0.5 s, for: 2 s}
    then: {say: a ball falls, for: 8 frames}
  - say: a blue cube falls
    join: crossfade 0.25 s
    narration: one.wav
    caption: [first, {text: second, at: 300 ms}]
  - show: clip.mp4
    for: 2
    sound: off
    join: fade
    chapter: The clip
"""
    told = read_file(story(tmp_path, text))
    first, second, third = told.shots
    assert (told.seed, told.fps, told.size, told.captions) == (7, 24, (120, 160), "track")
    assert told.music is not None and told.music.volume == 0.25
    assert told.music.file == tmp_path / "one.wav"
    assert first.length == Length(62.5) and first.seed == 3 and first.camera == "pans left"
    assert first.title == Line("One", 0.5, 2.0)
    assert first.then[0].length == Length(8, "frames")
    assert second.join == Join("crossfade", 0.25) and second.length is None
    assert second.captions == (Line("first"), Line("second", 0.3))
    assert third.show == tmp_path / "clip.mp4" and not third.hears and third.chapter == "The clip"
    assert third.join == Join("fade", 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'{path}' is empty; write a list of shots under 'shots:'"),
        ("shots: [", "'{path}' cannot be read as YAML, line 2, column 1: "),  # where it ends
        ("shots:\n  - say: a ball\n", "line 2: a shot needs a length, such as 'for: 3 s'"),
        ("shots:\n  - say: a ball\n    for: soon\n", "line 3: for must be a time such as 2.5 s"),
        ("shots:\n  - say: a ball\n    for: 0 s\n", "line 3: for must be above 0"),
        (
            "shots:\n  - say: a ball\n    for: 1.5 frames\n",
            "line 3: for must be 1 to 10000000 whole frames",
        ),
        (
            "shots:\n  - say: a ball\n    fro: 3 s\n",
            "line 3: a shot has no key 'fro'; did you mean 'for'?",
        ),
        (
            "shots:\n  - say: a\n    for: 1\n  - say: b\n    for: 1\n    for: 2\n",
            "line 6: the key 'for' stands here for the second time",
        ),
        ("shots:\n  - for: 3 s\n", "line 2: a shot has one of say"),
        (
            "shots:\n  - say: a\n    show: b.png\n    for: 1\n",
            "line 2: a shot has one of say (a sentence), show",
        ),
        (
            "shots:\n  - say: a\n    for: 1\n    picture: no.png\n",
            "line 4: picture: '{folder}/no.png' does not exist",
        ),
        ("shots:\n  - page: 1\n    for: 1 s\n", "line 2: there are no slides; name a PDF"),
        (
            "shots:\n  - say: a\n    for: 1\n    join: continue\n",
            "line 4: the first shot cannot continue; there is none before it",
        ),
        ("shots:\n  - say: a\n    for: 1\n    join: wipe\n", "line 4: join must be cut, continue"),
        ("size: [120, 161]\nshots:\n  - say: a\n    for: 1\n", "line 1: size must be two even"),
        ("fps: yes\nshots:\n  - say: a\n    for: 1\n", "line 1: fps must be a number; got True"),
        (
            "sampling: {temperature: -1}\nshots:\n  - say: a\n    for: 1\n",
            "line 1: temperature must be 0 (the likeliest code) or more; got -1",
        ),
        (
            "shots:\n  - say: a\n    for: 1\n    caption: {text: b, for: 9 frames}\n",
            "line 4: for must be a time such as 2.5 s or 1:02.5; got '9 frames'",
        ),
        (
            "slides: story.yaml\nshots:\n  - page: 1\n    for: 1\n    sound: off\n",
            "line 5: a page has no sound; leave this out",
        ),
        ("model: nowhere-9\nshots:\n  - say: a\n    for: 1\n", "line 1: "),
        ("shots: &a\n  - *a\n", "line 1: "),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = story(tmp_path, text)
    with pytest.raises(ValueError) as error:
        read_file(path)
    wanted = message.format(path=path, folder=tmp_path)
    assert wanted in str(error.value) and "\n" not in str(error.value)
    assert wanted.startswith("'") or str(error.value).startswith("story.yaml, ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bytes(range(128, 256)), "no text in UTF-8"),
        (b"my password is hunter2\n", "no file of settings"),
        (b"- hunter2\n", "no file of settings"),
        (b"a: hunter2\n\x01\n", "control characters are not allowed"),
        (b"hunter2: " + b"[" * 999, "nested more than 100 levels deep"),
        (b"shots: *hunter2\n", "line 1, column 8: undefined alias"),
        (b"seed: 1\nshots: !hunter2 x\n", "line 2: a storyboard has no values with such a tag"),
        (b"seed: 1\nshots: 2001-02-99 # hunter2\n", "line 2: this is no date, time or number"),
        (b"seed: 1\n? [hunter2]\n: x\n", "line 2: a key must be a word"),
        (b"seed: 1\n--- \nhunter2: 2\n", "cannot be read as a storyboard, line 2"),
    ],
)
def test_what_is_no_storyboard_is_not_printed_back(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "story.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_file(path)
    said = str(error.value)
    assert "story.yaml" in said and message in said and "\n" not in said
    assert "hunter2" not in said


def test_a_condition_that_is_made_up_is_a_key(moody: Path, tmp_path: Path) -> None:
    text = f"model: {moody}\nshots:\n  - say: a red ball\n    for: 1 s\n    mood: "
    told = read_file(story(tmp_path, text + "wild\n"))
    assert told.shots[0].conditions == {"mood": "wild"}
    with pytest.raises(ValueError) as error:
        read_file(story(tmp_path, text + "sad\n"))
    assert str(error.value) == "story.yaml, line 5: mood: it must be one of calm, wild; got 'sad'"


def test_a_page_is_told_shot_and_key() -> None:
    sizes: dict[str, Any] = {"vocab_size": 12, "grid": (2, 3), "text_dim": 10, "dim": 32}
    fields = condition_fields(DecoderConfig(**sizes, heads=4, kv_heads=2))
    reader = Reader(lambda given, what: given.fail("no file"), lambda model: fields)
    shots = [{"say": "a ball", "for": "1 s"}, {"say": "a cube", "for": "later"}]
    with pytest.raises(ValueError, match=r"^shot 2, for: for must be a time"):
        reader.storyboard(from_json({"shots": shots}))
    shots[1]["for"] = 2  # type: ignore[assignment]
    assert reader.storyboard(from_json({"shots": shots})).shots[1].length == Length(2.0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2.5", 2.5),
        ("2.5 s", 2.5),
        (".5s", 0.5),
        ("300 ms", 0.3),
        ("2 min", 120.0),
        ("1:02.5", 62.5),
        ("01:00:07", 3607.0),
        ("00:00:01,250", 1.25),
        ("soon", None),
        ("3 h", None),
    ],
)
def test_times_as_people_write_them(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds
