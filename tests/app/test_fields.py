"""What a page, an HTTP interface and a storyboard ask for is what the condition classes say."""

import json
from pathlib import Path
from typing import Any

import pytest
from kinetoscope.app.cli.parser import build_parser
from kinetoscope.app.cli.sample import sample
from kinetoscope.app.fields import Field, condition_fields, parse_values, read_values
from kinetoscope.generator.conditions import CONDITIONS, Canvas
from kinetoscope.generator.model.config import DecoderConfig

from .mood import Mood

CANVAS = Canvas(16, 24, 12.0, 33, 4)
SIZES = {"vocab_size": 12, "grid": (2, 3), "text_dim": 10, "dim": 32, "heads": 4, "kv_heads": 2}


@pytest.fixture
def fields(monkeypatch: pytest.MonkeyPatch) -> list[Field]:
    monkeypatch.setitem(CONDITIONS, "mood", Mood())
    sizes = (("actions", 4), ("regions", 5), ("mood", 2))
    return condition_fields(DecoderConfig(**SIZES, conditions=sizes))


def test_every_condition_of_a_model_is_a_field(fields: list[Field]) -> None:
    assert [field.name for field in fields] == [
        "prompt",
        "negative",
        "init",
        "actions",
        "regions",
        "mood",
    ]
    by_name = {field.name: field.to_json() for field in fields}
    assert json.loads(json.dumps(by_name["mood"])) == {
        "name": "mood",
        "label": "Mood",
        "help": "how the video feels",
        "kind": "choice",
        "required": False,
        "choices": ["calm", "wild"],
        "limits": None,
        "endings": [],
        "guidance": 1.0,
        "is_file": False,
    }
    assert by_name["init"]["label"] == "Picture or clip to go on from"
    assert by_name["prompt"]["required"] and not by_name["init"]["required"]
    assert by_name["actions"]["limits"] == (-1, 3)
    assert by_name["init"]["is_file"]
    assert {".png", ".mp4"} <= set(by_name["init"]["endings"])


def test_a_condition_that_is_made_up_is_an_option_of_sample_too(fields: list[Field]) -> None:
    text = build_parser("sample", sample).format_help()
    assert "--mood CHOICE" in text and Mood.help in text


def test_a_model_without_further_conditions_takes_sentence_and_beginning() -> None:
    assert [f.name for f in condition_fields(DecoderConfig(**SIZES))] == [
        "prompt",
        "negative",
        "init",
    ]


def test_values_of_a_request_become_what_a_session_takes(
    fields: list[Field], write_clip: Any, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "3f2a.mp4")
    raw = {"prompt": " a ball ", "init": clip, "actions": [0, 2.0], "mood": "calm", "regions": None}
    texts = read_values(fields, raw)
    assert texts == {"prompt": "a ball", "init": str(clip), "actions": "0,2", "mood": "calm"}
    told: list[str] = []
    values = parse_values(texts, CANVAS, told.append)
    assert values["actions"] == [0, 2] and values["mood"] == "calm"
    assert values["init"].shape == (1, 3, 9, 16, 24) and told == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prompt": "  "}, "prompt: it must be given: what the video shows, in a sentence"),
        ({"prompt": 3}, "prompt: it must be text; got int"),
        ({"mood": "sad"}, "mood: it must be one of calm, wild; got 'sad'"),
        ({"actions": [0, 4]}, "actions: it must be -1 to 3; got 4"),
        ({"actions": [True]}, "actions: it must be a number or a list of numbers; got list"),
        ({"init": "/etc/passwd"}, "init: it takes a file; got str"),
        ({"mood": Path("calm")}, "mood: it takes text and no file; got PosixPath"),
        (
            {"init": Path("no.mp4")},
            "init: 'no.mp4' does not exist; init takes a video or a picture",
        ),
        (
            {"style": "x"},
            "style: this model takes no 'style'; "
            "it takes prompt, negative, init, actions, regions, mood",
        ),
    ],
)
def test_a_mistake_names_its_field(
    fields: list[Field], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError) as error:
        read_values(fields, {"prompt": "a ball"} | given)
    assert str(error.value) == message


def test_a_file_is_called_as_its_owner_calls_it(fields: list[Field], tmp_path: Path) -> None:
    path = tmp_path / "9c1e.mp4"
    path.write_bytes(b"no video")
    texts = read_values(fields, {"prompt": "a ball", "init": path})
    with pytest.raises(ValueError) as error:
        parse_values(texts, CANVAS, names={"init": "holiday.mp4"})
    assert str(error.value).startswith("init: 'holiday.mp4'") and str(tmp_path) not in str(error)
    with pytest.raises(ValueError, match=r"^actions: actions must be whole numbers"):
        parse_values({"actions": "left"}, CANVAS)
