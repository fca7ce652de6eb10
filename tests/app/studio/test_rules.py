"""Nothing that the page can ask for goes past the policy of the one who started the studio."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kinetoscope.app.provenance.options import Rules
from kinetoscope.app.provenance.policy_lists import hash_text, picture_hash
from kinetoscope.app.studio.models import Models
from kinetoscope.data.video import read_clip, to_float

from .conftest import Studio, open_studio

RED = {"prompt": "a large red ball rolls to the right"}
BLUE = {"prompt": "a blue ball"}
WORD = "this is not drawn: a word in it is not allowed here (words.txt, line 1)"
PICTURE = "this is not drawn: a picture in it is not allowed here (pictures.txt, line 1)"
Start = Callable[[], Any]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "words.txt").write_text("blue\n")
    return folder


@pytest.fixture
def start(tmp_path: Path, rules: Path) -> Start:
    """Starts a studio under the rules as they are then, over one gallery."""

    @contextmanager
    def start() -> Iterator[Studio]:
        models = Models(["physics-64"], rules=Rules(policy=f"lists:{rules}"))
        yield from open_studio(tmp_path / "gallery", models)

    return start


def forbid(rules: Path, path: Path, frame: int) -> None:
    """Put a frame of a video on the list of pictures."""
    picture = to_float(read_clip(path).video[:, frame])
    (rules / "pictures.txt").write_text(hash_text(picture_hash(picture)) + "\n")


def refused(order: dict[str, Any], reason: str) -> None:
    assert (order["state"], order["error"]) == ("failed", reason)


def test_words_of_every_kind_of_order(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    with start() as studio, caplog.at_level(logging.WARNING, "kinetoscope.policy"):
        refused(studio.make(conditions=BLUE, frames=5), WORD)
        negative = {**RED, "negative": "something blue"}
        refused(studio.make(conditions=negative, frames=5), WORD)
        assert not studio.gallery.videos()
        made = studio.make(conditions=RED, frames=9, seed=1)
        assert made["state"] == "done"
        (video,) = made["videos"]
        for verb in ("go on", "change"):
            origin = {"video": video, "verb": verb, "frame": 9}
            refused(studio.make(conditions=BLUE, frames=17, origin=origin), WORD)
        shots = [{"say": RED["prompt"], "for": "5 frames"}, {"say": "a blue cube", "for": "1 s"}]
        story = {"model": "physics-64", "shots": shots}
        asked = studio.client.post("/api/story/orders", json={"story": story, "film": True})
        order = studio.wait(asked.json()["order"])
        assert order["state"] == "failed" and order["error"].endswith(WORD)
        assert [record["id"] for record in studio.gallery.videos()] == [video]
    assert "words.txt" in caplog.text and "blue" not in caplog.text


def test_pictures_that_are_given_and_frames_that_a_video_goes_on_from(
    start: Start, rules: Path, write_clip: Any
) -> None:
    clip = write_clip(rules.parent / "holiday.mp4")
    with start() as studio:
        (video,) = studio.make(conditions=RED, frames=9, seed=1)["videos"]
        path = studio.gallery.path(video)
    forbid(rules, clip, 4)
    with start() as studio:
        sent = studio.client.post(
            "/api/files", params={"name": clip.name}, content=clip.read_bytes()
        )
        given = {**RED, "init": sent.json()}
        refused(studio.make(conditions=given, frames=13), PICTURE)
        origin = {"video": video, "verb": "go on", "frame": 9}
        assert studio.make(conditions=RED, frames=17, origin=origin)["state"] == "done"
    forbid(rules, path, 8)
    with start() as studio:
        refused(studio.make(conditions=RED, frames=17, origin=origin), PICTURE)
        assert len(studio.gallery.videos()) == 2
