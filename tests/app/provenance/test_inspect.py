"""`kinetoscope inspect`: what it finds, what it never says, and its exit status."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from kinetoscope.app.cli.main import main
from kinetoscope.app.provenance.generation import Generation
from kinetoscope.app.provenance.identity import own_identity
from kinetoscope.app.provenance.options import Disclosure
from kinetoscope.app.provenance.writer import GeneratedVideoWriter

Make = Callable[..., GeneratedVideoWriter]


def test_a_signed_video_tells_all(
    here: Path, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    make(here / "clip.mp4")
    assert main(["inspect", "clip.mp4"]) == 0
    printed = capsys.readouterr().out
    first = printed.splitlines()[0]
    assert (
        first == "clip.mp4: a model made it, by its content credentials, which your own key signed"
    )
    for words in (
        "48 x 32, 6 frames at 12 a second (0.50 s), no sound",
        "valid: whole since it was signed",
        "trainedAlgorithmicMedia, written by Kinetoscope",
        "tiny 0123456789ab",
        "prompt a violet walrus waltzes, seed 7, top_k 9",
        "(anybody can write or remove these)",
    ):
        assert words in printed


def test_its_words_for_programs_hold_the_same(
    here: Path, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    make(here / "clip.mkv")
    assert main(["inspect", "clip.mkv", "no.mp4", "--json"]) == 2
    (found, missing) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (found["status"], found["made_by_a_model"]) == (0, True)
    assert (found["width"], found["height"], found["frames"], found["fps"]) == (48, 32, 6, 12)
    assert found["credentials"]["state"] == "valid"
    assert found["credentials"]["own_key"] is True
    assert found["credentials"]["place"] == "clip.c2pa"
    assert found["credentials"]["details"]["prompt"] == "a violet walrus waltzes"
    assert found["metadata"]["seed"] == "7"
    assert missing["status"] == 2 and "no.mp4" in missing["error"]


def test_nothing_found_is_no_verdict_of_real(
    here: Path, make: Make, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(clip)]) == 1
    printed = capsys.readouterr().out
    assert "no sign of a model was found, which does not mean that none made it" in printed
    assert " real" not in printed and "authentic" not in printed
    make(here / "bare.mp4", disclosure=Disclosure(no_credentials=True, no_watermark=True))
    assert main(["inspect", "bare.mp4"]) == 1
    assert "but nothing that can be checked does" in capsys.readouterr().out


def test_broken_credentials_and_unreadable_files_have_their_own_status(
    here: Path, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = make(here / "clip.mp4").path
    content = bytearray(whole.read_bytes())
    content[-100] ^= 1
    Path("changed.mp4").write_bytes(content)
    Path("half.mp4").write_bytes(content[: len(content) // 2])
    Path("empty.mp4").write_bytes(b"")
    Path("text.mp4").write_text("this is no video\n" * 50)
    assert main(["inspect", "changed.mp4"]) == 3
    assert "credentials are broken: the file was changed after signing" in capsys.readouterr().out
    for name in ("half.mp4", "empty.mp4", "text.mp4", "no.mp4"):
        assert main(["inspect", name]) == 2
        errors = capsys.readouterr().err
        assert len(errors.splitlines()) == 1 and name in errors
        assert "Traceback" not in errors


def test_a_folder_is_searched_and_the_worst_counts(
    here: Path, make: Make, write_clip: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    make(here / "films/a.mp4")
    make(here / "films/deep/b.webm")
    (here / "films/notes.txt").write_text("none")
    assert main(["inspect", "films"]) == 0
    assert "2 files" in capsys.readouterr().err
    write_clip(here / "films/c.mp4")
    assert main(["inspect", "films"]) == 1
    assert "exit status 1" in capsys.readouterr().err
    (here / "films/d.mp4").write_text("no film")
    assert main(["inspect", "films"]) == 2
    (here / "none").mkdir()
    assert main(["inspect", "none"]) == 2
    assert "no videos and pictures in 'none'" in capsys.readouterr().err


def test_a_trust_list_makes_trusted(
    here: Path, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    make(here / "clip.mp4")
    Path("mine.pem").write_text(own_identity().chain)
    assert main(["inspect", "clip.mp4", "--trust", "mine.pem"]) == 0
    assert "trusted: whole" in capsys.readouterr().out
    assert main(["inspect", "clip.mp4", "--trust", "clip.mp4"]) == 2
    assert "holds no certificates" in capsys.readouterr().err


def test_what_a_file_says_cannot_steer_a_terminal(
    here: Path, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    make(here / "clip.mp4", Generation("tiny\x1b[2J", None, "a\x1b]0;b\x07"))
    assert main(["inspect", "clip.mp4"]) == 0
    printed = capsys.readouterr().out
    assert all(letter.isprintable() for line in printed.splitlines() for letter in line)
