"""The storyboard of the page: it is kept, drawn shot by shot, and becomes one video."""

from pathlib import Path
from typing import Any

import pytest
from kinetoscope.app.studio.models import Models
from kinetoscope.data.video import probe

from .conftest import Studio, open_studio

SHOTS = [
    {"say": "a red ball", "for": "5 frames"},
    {"say": "a blue ball", "for": "5 frames", "join": "continue"},
    {"say": "a blue cube", "for": "0.75 s", "join": "crossfade 0.25 s"},
]


@pytest.fixture
def small(moody: Path, tmp_path: Path) -> Any:
    yield from open_studio(tmp_path / "gallery", Models([str(moody)]))


def story(*shots: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "moody", "shots": list(shots or SHOTS), **more}


def draw(studio: Studio, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = studio.client.post("/api/story/orders", json={"story": value, **more})
    assert answer.status_code == 201, answer.text
    return studio.wait(answer.json()["order"])


def mistake(studio: Studio, value: Any, **more: Any) -> str:
    answer = studio.client.post("/api/story/orders", json={"story": value, **more})
    assert answer.status_code == 400, answer.text
    return str(answer.json()["error"])


def pieces(studio: Studio) -> set[str]:
    return {path.stem for path in (studio.gallery.folder / "shots").glob("*.safetensors")}


def test_shots_are_drawn_and_only_the_changed_one_again(small: Studio) -> None:
    order = draw(small, story())
    assert order["state"] == "done" and order["error"] == ""
    assert [shot["state"] for shot in order["shots"]] == ["drawn"] * 3
    first = [shot["piece"] for shot in order["shots"]]
    assert set(first) == pieces(small) and len(set(first)) == 3
    for piece in first:
        answer = small.client.get(f"/api/story/pieces/{piece}.jpg")
        assert answer.status_code == 200 and answer.content.startswith(b"\xff\xd8")
    changed = [SHOTS[0], SHOTS[1], {**SHOTS[2], "seed": 9}]
    again = [shot["piece"] for shot in draw(small, story(*changed))["shots"]]
    assert again[:2] == first[:2] and again[2] != first[2] and len(pieces(small)) == 4
    assert not small.gallery.videos()


def test_one_shot_is_drawn_alone_with_what_it_goes_on_from(small: Studio) -> None:
    order = draw(small, story(), only=2)
    assert [shot["state"] for shot in order["shots"]] == ["waiting", "drawn", "waiting"]
    assert len(pieces(small)) == 2


def test_the_video_is_in_the_gallery_with_its_storyboard(small: Studio) -> None:
    value = story(captions="track")
    order = draw(small, value, film=True)
    assert order["state"] == "done", order
    record = small.gallery.record(order["videos"][0])
    assert record["settings"]["story"] == value and record["frames"] == 19
    assert probe(small.gallery.path(record["id"])).frames == 19
    assert small.client.get(f"/api/videos/{record['id']}/picture.jpg").status_code == 200
    assert small.client.get("/api/videos?search=storyboard").json()["total"] == 1


def test_a_condition_that_is_made_up_is_a_key_of_a_shot(small: Studio) -> None:
    one, two = (story({**SHOTS[0], "mood": mood}) for mood in ("calm", "wild"))
    assert draw(small, one)["shots"] != draw(small, two)["shots"]
    wrong = mistake(small, story({**SHOTS[0], "mood": "sad"}))
    assert wrong == "shot 1, mood: mood: it must be one of calm, wild; got 'sad'"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (story({"say": "a ball"}), "shot 1: a shot needs a length"),
        (story(SHOTS[0], {"say": "", "for": "1 s"}), "shot 2, say: say must be a text; got ''"),
        (story({**SHOTS[0], "picture": "/etc/passwd"}), "shot 1, picture: picture takes a file"),
        (story({**SHOTS[0], "narration": "x.wav"}), "shot 1, narration: narration takes a file"),
        (
            story({**SHOTS[0], "picture": {"file": "../x"}}),
            "shot 1, picture: this is no file of the gallery",
        ),
        ({"shots": []}, "shots: shots must be a list with at least one entry"),
        ({**story(), "model": "../x"}, "model: there is no '../x' here"),
        ({**story(), "adapter": "../x"}, "adapter: there is no '../x' here"),
        ([], "the storyboard: the storyboard must be a table of keys"),
        ("x", "the storyboard: the storyboard must be a table of keys"),
    ],
)
def test_a_mistake_is_named_with_its_shot(small: Studio, value: Any, message: str) -> None:
    assert mistake(small, value).startswith(message)


def test_other_requests_are_refused(small: Studio) -> None:
    assert mistake(small, story(), only=7).startswith("only: it must be the number of a shot")
    assert small.client.put("/api/story", json=[]).status_code == 400
    assert small.client.get("/api/story/pieces/..%2fstory.jpg").status_code in (400, 404)
    assert small.client.get(f"/api/story/pieces/{'0' * 32}.jpg").status_code == 400


def test_what_is_written_is_kept_with_its_mistakes(small: Studio) -> None:
    first = small.client.get("/api/story").json()
    assert first["story"]["shots"]
    unfinished = {"story": {"shots": [{"say": ""}]}, "pieces": ["0" * 32, "../x"]}
    assert small.client.put("/api/story", json=unfinished).status_code == 200
    assert small.client.get("/api/story").json() == unfinished | {"pieces": ["0" * 32, None]}


def test_a_file_of_the_storyboard_stays_when_the_bin_is_emptied(
    small: Studio, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kinetoscope.app.studio.gallery.YOUNG", 0.0)
    answer = small.client.post("/api/files?name=clip.mp4", content=clip.read_bytes()).json()
    shot = {**SHOTS[0], "for": "1 s", "picture": answer}
    small.client.put("/api/story", json={"story": story(shot)})
    small.gallery.empty_bin()
    assert draw(small, story(shot))["state"] == "done"
    small.client.put("/api/story", json={"story": story()})
    small.gallery.empty_bin()
    assert "not in the gallery any more" in mistake(small, story(shot))


def test_an_order_that_is_cancelled_keeps_what_was_drawn(small: Studio) -> None:
    long = story({"say": "a red ball", "for": "2000 frames"})
    answer = small.client.post("/api/story/orders", json={"story": long}).json()
    small.wait(answer["order"], "drawing")
    small.client.delete(f"/api/orders/{answer['order']}")
    assert small.wait(answer["order"])["state"] == "cancelled"
    assert draw(small, story())["state"] == "done"  # the thread goes on
    assert small.gallery.bytes_used() > 0
