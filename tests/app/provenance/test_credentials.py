"""Content credentials: in every kind of file, whole until a byte changes, and never in the way."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import pytest
import torch
from kinetoscope.app.provenance import credentials as module
from kinetoscope.app.provenance.credentials import read_credentials
from kinetoscope.app.provenance.generation import Generation, Ingredient, Shot
from kinetoscope.app.provenance.identity import own_identity
from kinetoscope.app.provenance.manifest import COMPOSITE, DRAWN
from kinetoscope.app.provenance.options import Disclosure
from kinetoscope.app.provenance.writer import UNSIGNED, GeneratedVideoWriter, Signing
from kinetoscope.data.video import probe, read_clip, read_metadata
from torch import Tensor

Make = Callable[..., GeneratedVideoWriter]
SENTENCE = "a violet walrus waltzes"  # as in conftest

KINDS = [".mp4", ".mov", ".webp", ".gif", ".mkv", ".webm"]


@pytest.mark.parametrize("end", KINDS)
def test_every_kind_of_file_is_signed_and_shows_the_same_frames(
    tmp_path: Path, make: Make, end: str
) -> None:
    writer = make(tmp_path / f"clip{end}")
    assert writer.signing.status == 0
    is_beside = end in (".mkv", ".webm")
    assert writer.credentials == tmp_path / ("clip.c2pa" if is_beside else f"clip{end}")
    assert ("credentials in" in writer.note) == is_beside
    found = read_credentials(writer.path)
    assert found.state == "valid"
    assert found.source_types == [DRAWN]
    assert found.details["prompt"] == SENTENCE
    assert (found.details["seed"], found.details["model"]) == (7, "tiny")
    assert found.details["fingerprint"] == "0123456789ab"
    assert found.details["settings"] == {"top_k": "9"}
    assert probe(writer.path).frames == 6
    plain = make(tmp_path / f"plain{end}", disclosure=Disclosure(no_credentials=True)).path
    assert torch.equal(read_clip(writer.path).video, read_clip(plain).video)


def test_numbered_pictures_are_signed_one_by_one(tmp_path: Path, make: Make) -> None:
    make(tmp_path / "frames/%05d.png")
    pictures = sorted((tmp_path / "frames").iterdir())
    assert len(pictures) == 6
    assert {read_credentials(path).state for path in pictures} == {"valid"}


@pytest.mark.parametrize("end", KINDS)
def test_one_changed_byte_breaks_them(tmp_path: Path, make: Make, end: str) -> None:
    """A byte in the middle of the video's own data, wherever the manifest lies."""
    path = make(tmp_path / f"clip{end}").path
    plain = make(tmp_path / f"plain{end}", disclosure=Disclosure(no_credentials=True)).path
    content = bytearray(path.read_bytes())
    piece = plain.read_bytes()[-60:-40]
    place = content.rfind(piece)
    assert place > 0
    content[place + 10] ^= 1
    path.write_bytes(content)
    assert read_credentials(path).state == "broken"


def test_no_changed_byte_of_a_manifest_makes_it_say_something_else(
    tmp_path: Path, make: Make
) -> None:
    """Most break it; those between its boxes and behind the signature change nothing."""
    path = make(tmp_path / "clip.mkv").path
    before = read_credentials(path)
    place = tmp_path / "clip.c2pa"
    whole = place.read_bytes()
    states = []
    for index in range(40, len(whole), 47):
        changed = bytearray(whole)
        changed[index] ^= 1
        place.write_bytes(changed)
        found = read_credentials(path)
        assert found.state == "broken" or found == before, index
        states.append(found.state)
    assert states.count("broken") > 30


def test_they_are_lost_and_not_broken_by_a_remux_and_a_new_encoding(
    tmp_path: Path, make: Make
) -> None:
    path = make(tmp_path / "clip.mp4").path
    copy = tmp_path / "remuxed.mp4"
    with av.open(str(path)) as source, av.open(str(copy), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert read_credentials(copy).state == "none"
    shutil.copy(path, tmp_path / "moved.mp4")
    assert read_credentials(tmp_path / "moved.mp4").state == "valid"


def test_the_sentence_can_be_left_out_everywhere(tmp_path: Path, make: Make) -> None:
    shots = [Shot(0, 0.5, prompt=SENTENCE, seed=1)]
    generation = Generation("tiny", None, SENTENCE, 7, shots=shots)
    for end in [*KINDS, ".png"]:
        name = f"clip{end}" if end != ".png" else "frames/%05d.png"
        loud = make(tmp_path / "loud" / name, generation)
        quiet = make(tmp_path / "quiet" / name, generation, Disclosure(no_prompt=True))
        assert loud.credentials and quiet.credentials
    said = [SENTENCE.encode() in p.read_bytes() for p in (tmp_path / "loud").rglob("*.*")]
    assert said.count(True) >= len(KINDS)
    for path in (tmp_path / "quiet").rglob("*.*"):
        assert b"walrus" not in path.read_bytes(), path


def test_what_was_given_is_named_by_hash_and_brings_its_own_manifest(
    tmp_path: Path, make: Make
) -> None:
    signed = make(tmp_path / "first.mp4").path
    unsigned = tmp_path / "song.xyz"
    unsigned.write_bytes(b"la la la")
    given = [Ingredient(signed, "init", is_shown=True), Ingredient(unsigned, "sound")]
    writer = make(tmp_path / "second.mp4", Generation("tiny", ingredients=given))
    found = read_credentials(writer.path)
    assert found.source_types == [COMPOSITE]
    named = {each["name"]: each for each in found.details["ingredients"]}
    assert named["first.mp4"]["sha256"] == given[0].sha256()
    assert (named["song.xyz"]["role"], len(named["song.xyz"]["sha256"])) == ("sound", 64)
    store = whole_store(writer.path)
    assert len(store["manifests"]) == 2  # its own, and that of the clip it goes on from
    active = store["manifests"][store["active_manifest"]]
    relations = {each["title"]: each["relationship"] for each in active["ingredients"]}
    assert relations == {"first.mp4": "componentOf", "song.xyz": "inputTo"}
    assert read_metadata(writer.path)["comment"].endswith("with pictures that were given to it")


def whole_store(path: Path) -> dict:
    import c2pa

    with c2pa.Reader(str(path)) as reader:
        return json.loads(reader.json())


def test_shots_are_actions_with_their_stretch_of_time(tmp_path: Path, make: Make) -> None:
    slide = tmp_path / "slide.txt"
    slide.write_text("a slide")
    shots = [
        Shot(0, 0.25, "a slide that was given", is_drawn=False, ingredient=0),
        Shot(0.25, 0.5, seed=3),
    ]
    given = [Ingredient(slide, "slides", is_shown=True)]
    path = make(tmp_path / "clip.mp4", Generation("tiny", ingredients=given, shots=shots)).path
    store = whole_store(path)
    active = store["manifests"][store["active_manifest"]]
    (actions,) = (
        each["data"]["actions"] for each in active["assertions"] if "actions" in each["label"]
    )
    assert [each["action"] for each in actions] == ["c2pa.created", "c2pa.placed", "c2pa.edited"]
    assert actions[0]["digitalSourceType"] == COMPOSITE
    times = [each["changes"][0]["region"][0]["time"] for each in actions[1:]]
    assert [(t["start"], t["end"]) for t in times] == [("0.000", "0.250"), ("0.250", "0.500")]


def test_trust_is_a_matter_of_whose_certificate_is_known(tmp_path: Path, make: Make) -> None:
    path = make(tmp_path / "clip.mp4").path
    assert read_credentials(path).state == "valid"
    assert read_credentials(path, own_identity().chain).state == "trusted"


def test_a_signing_that_fails_leaves_the_video(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("the moon is\nin the wrong place")

    monkeypatch.setattr(module, "_library", broken)
    said: list[str] = []
    for end in KINDS:
        writer = make(tmp_path / f"clip{end}", say=said.append)
        assert writer.credentials is None
        assert writer.signing.status == UNSIGNED
        assert probe(writer.path).frames == 6
    assert len(said) == len(KINDS)
    assert said[0].endswith("without content credentials: the moon is in the wrong place")
    assert not list(tmp_path.glob(".*"))


def test_without_the_library_videos_are_made_and_a_line_says_so(tmp_path: Path) -> None:
    code = """
import sys
from collections.abc import Callable
sys.modules["c2pa"] = None
import torch
from kinetoscope.app.provenance.generation import Generation
from kinetoscope.app.provenance.options import Disclosure
from kinetoscope.app.provenance.writer import Signing
signing = Signing(Disclosure(), print)
with signing.writer("clip.mp4", 12, Generation("tiny")) as writer:
    writer.write(torch.zeros(3, 2, 16, 16, dtype=torch.uint8))
sys.exit(signing.status)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == UNSIGNED, done.stderr
    assert "c2pa-python is not installed" in done.stdout
    assert os.listdir(tmp_path) == ["clip.mp4"]


def test_no_credentials_writes_none(tmp_path: Path, make: Make) -> None:
    for end in KINDS:
        path = make(tmp_path / f"clip{end}", disclosure=Disclosure(no_credentials=True)).path
        assert read_credentials(path).state == "none"
    assert {path.suffix for path in tmp_path.iterdir()} == {*KINDS}


def test_a_side_car_is_not_taken_for_that_of_another_file(tmp_path: Path, make: Make) -> None:
    first = make(tmp_path / "clip.mkv").path
    second = make(tmp_path / "clip.webm").path
    unsigned = make(tmp_path / "clip.mp4", disclosure=Disclosure(no_credentials=True)).path
    assert read_credentials(first).state == "valid"
    assert read_credentials(second).state == "valid"
    assert read_credentials(unsigned).state == "none"


def test_an_error_of_the_drawing_leaves_nothing(tmp_path: Path, frames: Tensor) -> None:
    signing = Signing(Disclosure(), print)
    with (
        pytest.raises(RuntimeError, match="out of ideas"),
        signing.writer(tmp_path / "clip.mkv", 12, Generation("tiny")) as writer,
    ):
        writer.write(frames)
        raise RuntimeError("out of ideas")
    assert os.listdir(tmp_path) == []
