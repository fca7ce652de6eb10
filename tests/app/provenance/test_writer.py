"""The one writer: the mark goes into what a model drew, and nowhere else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.app.provenance import credentials
from kinetoscope.app.provenance import writer as writing
from kinetoscope.app.provenance.credentials import read_credentials
from kinetoscope.app.provenance.generation import Generation
from kinetoscope.app.provenance.options import Disclosure
from kinetoscope.app.provenance.watermark import detect
from kinetoscope.app.provenance.writer import GeneratedVideoWriter, Signing
from kinetoscope.data.video import read_clip, write_video
from torch import Tensor

Make = Callable[..., GeneratedVideoWriter]
TINY = Generation("tiny")


@pytest.fixture
def smooth() -> Tensor:
    """uint8 [3, 9, 128, 128] that drifts."""
    noise = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(3)) * 160 + 40
    large = torch.nn.functional.interpolate(noise.transpose(0, 1), (128, 128), mode="bicubic")
    return torch.cat([large.transpose(0, 1).roll(f, 3) for f in range(9)], 1).clamp(0, 255).byte()


def write(path: Path, chunks: list[Tensor], disclosure: Disclosure = Disclosure(), **how) -> Tensor:
    """The frames of the file that was written."""
    drawn = how.pop("drawn", True)
    with Signing(disclosure, print).writer(path, 12, TINY, crf=0, **how) as writer:
        for chunk in chunks:
            writer.write(chunk, drawn)
    return read_clip(path).video


def test_the_mark_is_there_unless_it_is_left_out(tmp_path: Path, smooth: Tensor) -> None:
    marked = write(tmp_path / "marked.mkv", [smooth])
    bare = write(tmp_path / "bare.mkv", [smooth], Disclosure(no_watermark=True))
    assert detect(marked).found
    assert not detect(bare).found
    said = [read_credentials(tmp_path / name) for name in ("marked.mkv", "bare.mkv")]
    assert [each.details["watermark"] for each in said] == ["made by Kinetoscope", "none"]


def test_chunks_and_enlarged_pixels_get_the_mark_of_the_whole(
    tmp_path: Path, smooth: Tensor
) -> None:
    whole = write(tmp_path / "whole.mkv", [smooth], upscale=2)
    chunks = write(
        tmp_path / "chunks.mkv", [smooth[:, :1], smooth[:, 1:5], smooth[:, 5:]], upscale=2
    )
    assert torch.equal(whole, chunks)
    assert whole.shape[2:] == (256, 256)
    assert detect(whole).found


def test_only_what_a_model_drew_is_marked(tmp_path: Path, smooth: Tensor) -> None:
    write_video(tmp_path / "plain.mkv", smooth, 12, crf=0)
    plain = read_clip(tmp_path / "plain.mkv").video
    given = write(tmp_path / "given.mkv", [smooth], drawn=False)
    assert torch.equal(given, plain)
    mask = torch.zeros(128, 128, dtype=torch.bool)
    mask[:, 64:] = True
    half = write(tmp_path / "half.mkv", [smooth], drawn=mask)
    assert torch.equal(half[:, :, :, :60], plain[:, :, :, :60])
    assert not torch.equal(half[:, :, :, 68:], plain[:, :, :, 68:])


def test_the_owners_number_is_read_by_the_holder_of_the_key_alone(
    here: Path, smooth: Tensor, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.key").write_bytes(bytes(range(32)))
    Path("other.key").write_bytes(bytes(range(1, 33)))
    write(here / "clip.mkv", [smooth], Disclosure(mark_owner=("mine.key", "4711")))
    assert main(["inspect", "clip.mkv", "--mark-key", "mine.key"]) == 0
    assert "its owner's number is 4711" in capsys.readouterr().out
    assert main(["inspect", "clip.mkv", "--mark-key", "other.key"]) == 0
    assert "owner's number" not in capsys.readouterr().out


def test_the_mark_alone_says_that_a_model_made_a_video(
    here: Path, smooth: Tensor, capsys: pytest.CaptureFixture[str]
) -> None:
    """A new encoding loses the credentials and keeps the mark."""
    write_video("again.mp4", write(here / "clip.mkv", [smooth]), 12, crf=18)
    assert main(["inspect", "again.mp4"]) == 0
    printed = capsys.readouterr().out
    assert "again.mp4: a model made it, by the mark in its pixels" in printed
    content = bytearray(Path("clip.mkv").read_bytes())
    Path("clip.mkv").write_bytes(content + b"\0")
    assert main(["inspect", "clip.mkv"]) == 3
    assert "a model's mark is in the pixels all the same" in capsys.readouterr().out


def test_a_file_that_was_put_together_afterwards_is_signed_at_the_end(
    tmp_path: Path, smooth: Tensor
) -> None:
    signing = Signing(Disclosure(), print)
    path = tmp_path / "clip.mp4"
    with GeneratedVideoWriter(path, 12, TINY, signing, signs=False) as writer:
        writer.write(smooth)
    assert read_credentials(path).state == "none"
    assert signing.sign(path, TINY, is_marked=True) == path
    assert read_credentials(path).details["watermark"] == "made by Kinetoscope"


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.webp", "frames/%03d.png"])
def test_nothing_unsigned_is_ever_there_under_the_name(
    tmp_path: Path, smooth: Tensor, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the process is killed, there is a signed video or none."""
    sign = credentials.sign
    shown = tmp_path / (name % 0 if "%" in name else name)
    seen = []

    def watched(*arguments: Any) -> Path:
        assert not shown.exists()
        place = sign(*arguments)
        assert not shown.exists()
        seen.append(place)
        return place

    monkeypatch.setattr(writing, "sign", watched)
    with Signing(Disclosure(), print).writer(tmp_path / name, 12, TINY) as writer:
        writer.write(smooth[:, :2])
    assert len(seen) == (2 if "%" in name else 1)
    assert read_credentials(shown).state == "valid"
    assert not list(tmp_path.rglob("*.part"))


def test_an_interrupt_while_signing_leaves_what_was_there(
    tmp_path: Path, smooth: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> Path:
        raise KeyboardInterrupt

    write(tmp_path / "clip.mp4", [smooth[:, :1]])
    before = (tmp_path / "clip.mp4").read_bytes()
    monkeypatch.setattr(writing, "sign", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "clip.mp4", [smooth])
    assert (tmp_path / "clip.mp4").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
