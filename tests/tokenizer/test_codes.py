import dataclasses
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kinetoscope.tokenizer import VideoCodes, frame_count, latent_count
from kinetoscope.tokenizer.codes import CodesFile, CodesWriter
from safetensors.torch import load_file, save_file


@given(st.integers(1, 500), st.integers(1, 8))
def test_latents_are_the_fewest_that_hold_the_frames(frames: int, k: int) -> None:
    latents = latent_count(frames, k)
    assert frame_count(latents, k) >= frames
    assert latents == 1 or frame_count(latents - 1, k) < frames


@pytest.mark.parametrize("shape", [(1, 2, 3, 4), (3, 2, 2, 2), (1, 2, 3, 2, 2)])
def test_saved_codes_come_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    codes = VideoCodes(torch.arange(24).view(shape) * 700, 5, 23, 30, 23.976, "abc", "its-näme")
    codes.save(tmp_path / "codes.safetensors")
    loaded = VideoCodes.load(tmp_path / "codes.safetensors")
    assert torch.equal(loaded.indices, codes.indices) and loaded.indices.dtype == torch.int64
    for field in ("num_frames", "height", "width", "fps", "tokenizer", "model"):
        assert getattr(loaded, field) == getattr(codes, field)
    assert [file.name for file in tmp_path.iterdir()] == ["codes.safetensors"]


def test_a_file_is_written_and_read_in_slices(tmp_path: Path) -> None:
    indices = torch.arange(7 * 6).view(1, 7, 2, 3)
    path = tmp_path / "codes.safetensors"
    with CodesWriter(path, 15, 20, 24, "abc", notes={"why": "a test"}) as writer:
        for part in indices.split([1, 2, 4], dim=1):
            writer.write(part)
        assert not path.exists()
        writer.finish(25)
    # a safetensors file like any other
    assert torch.equal(load_file(path)["indices"], indices.int())
    file = CodesFile.open(path)
    assert (file.shape, file.num_frames, file.fps, file.rates) == ((1, 7, 2, 3), 25, 24, 1)
    assert (file.notes, file.version) == ({"why": "a test"}, version("kinetoscope"))
    assert torch.equal(file.read(2, 5), indices[:, 2:5])


def test_half_written_codes_leave_nothing(tmp_path: Path) -> None:
    path = tmp_path / "codes.safetensors"
    with CodesWriter(path, 8, 8) as writer:
        writer.write(torch.zeros(1, 1, 2, 3))
    for other in (torch.zeros(1, 1, 2, 2), torch.zeros(2, 1, 2, 3)):
        with (
            CodesWriter(path, 8, 8) as writer,
            pytest.raises(ValueError, match="must continue one video"),
        ):
            writer.write(torch.zeros(1, 1, 2, 3))
            writer.write(other)
    with CodesWriter(path, 8, 8) as writer, pytest.raises(ValueError, match="no codes to write"):
        writer.finish(1)
    assert list(tmp_path.iterdir()) == []


def test_the_first_codebooks_are_codes_too() -> None:
    codes = VideoCodes(torch.arange(48).view(1, 2, 2, 4, 3), 5, 16, 32, tokenizer="abc")
    assert (codes.rates, codes.prefix(2).rates) == (3, 2)
    assert torch.equal(codes.prefix(2).indices, codes.indices[..., :2])
    assert codes.prefix(2).tokenizer == "abc"
    with pytest.raises(ValueError, match="have 3 codebooks per cell; got rate 4"):
        codes.prefix(4)


def test_other_files_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.safetensors"
    foreign = tmp_path / "foreign.safetensors"
    text.write_text("no tensors here")
    save_file({"indices": torch.zeros(1, 1, 1, 1)}, foreign)
    with pytest.raises(ValueError, match="not a readable safetensors"):
        VideoCodes.load(text)
    with pytest.raises(ValueError, match="no codes of this format"):
        VideoCodes.load(foreign)
    header = {"format": "kinetoscope-codes-2", "version": "9.8"}
    save_file({"indices": torch.zeros(1, 1, 1, 1)}, foreign, header)
    with pytest.raises(
        ValueError, match=r"in format 2, of kinetoscope 9\.8; this is .* reads format 1: update it"
    ):
        VideoCodes.load(foreign)
    save_file({"indices": torch.zeros(1, 1, 1, 1)}, foreign, {"format": "kinetoscope-codes-1"})
    with pytest.raises(ValueError, match=r"damaged header \('num_frames'\)"):
        VideoCodes.load(foreign)
    with pytest.raises(ValueError, match="does not exist"):
        VideoCodes.load(tmp_path / "absent.safetensors")
    with pytest.raises(ValueError, match="create it first"):
        VideoCodes(torch.zeros(1, 1, 1, 1, dtype=torch.int64), 1, 1, 1).save(
            tmp_path / "absent" / "codes.safetensors"
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"indices": torch.zeros(1, 2, 3, dtype=torch.int64)},
            r"\[B, T, H, W, Q\]; got shape \[1, 2, 3\]",
        ),
        ({"indices": torch.zeros(1, 1, 1, 1)}, "int64; got torch.float32"),
        ({"num_frames": 0}, "num_frames must be at least 1; got 0"),
        ({"width": -3}, "width must be at least 1; got -3"),
        ({"fps": -1.0}, "fps must be 0"),
    ],
)
def test_impossible_codes_are_refused(change: dict, message: str) -> None:
    codes = VideoCodes(torch.zeros(1, 1, 1, 1, dtype=torch.int64), 1, 1, 1)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(codes, **change)
