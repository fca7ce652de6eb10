import dataclasses
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kinetoscope.tokenizer import VideoCodes, frame_count, latent_count
from safetensors.torch import save_file


@given(st.integers(1, 500), st.integers(1, 8))
def test_latents_are_the_fewest_that_hold_the_frames(frames: int, k: int) -> None:
    latents = latent_count(frames, k)
    assert frame_count(latents, k) >= frames
    assert latents == 1 or frame_count(latents - 1, k) < frames


def test_saved_codes_come_back(tmp_path: Path) -> None:
    codes = VideoCodes(torch.arange(24).view(1, 2, 3, 4) * 700, 5, 23, 30, 23.976, "abc")
    codes.save(tmp_path / "codes.safetensors")
    loaded = VideoCodes.load(tmp_path / "codes.safetensors")
    assert torch.equal(loaded.indices, codes.indices) and loaded.indices.dtype == torch.int64
    for field in ("num_frames", "height", "width", "fps", "tokenizer"):
        assert getattr(loaded, field) == getattr(codes, field)
    assert [file.name for file in tmp_path.iterdir()] == ["codes.safetensors"]


def test_other_files_are_refused(tmp_path: Path) -> None:
    text, foreign = tmp_path / "text.safetensors", tmp_path / "foreign.safetensors"
    text.write_text("no tensors here")
    save_file({"indices": torch.zeros(1, 1, 1, 1)}, foreign)
    with pytest.raises(ValueError, match="not a readable safetensors"):
        VideoCodes.load(text)
    with pytest.raises(ValueError, match="no codes of this format"):
        VideoCodes.load(foreign)
    with pytest.raises(ValueError, match="does not exist"):
        VideoCodes.load(tmp_path / "absent.safetensors")
    with pytest.raises(ValueError, match="create it first"):
        VideoCodes(torch.zeros(1, 1, 1, 1, dtype=torch.int64), 1, 1, 1).save(tmp_path / "absent" / "codes.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"indices": torch.zeros(1, 2, 3, dtype=torch.int64)}, r"\[B, T, H, W\]; got shape \[1, 2, 3\]"),
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
