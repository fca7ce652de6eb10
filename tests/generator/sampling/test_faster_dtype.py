"""Sampling takes another precision only where somebody asks for it, says which one and why, and
the video says it too."""

from pathlib import Path

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.data.video import read_clip, read_metadata
from kinetoscope.generator import VideoGenerator
from kinetoscope.generator.sampling import faster_dtype as measured
from kinetoscope.generator.sampling.faster_dtype import block_seconds, faster_dtype


def half_takes(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The products take a second in float32."""
    monkeypatch.setattr(
        measured, "block_seconds", lambda _, dtype: 1.0 if dtype == torch.float32 else seconds
    )


@pytest.mark.parametrize(
    ("half", "choice"), [(0.5, "bfloat16"), (0.76, "bfloat16"), (0.78, "float32"), (3, "float32")]
)
def test_half_precision_must_be_clearly_faster(
    generator: VideoGenerator, monkeypatch: pytest.MonkeyPatch, half: float, choice: str
) -> None:
    half_takes(half, monkeypatch)
    found, why = faster_dtype(generator.decoder)
    assert found == choice
    assert f"dtype {choice}: " in why and f"{1 / half:.1f} times as fast" in why


def test_products_are_timed_and_the_decoder_stays(generator: VideoGenerator) -> None:
    before = {name: tensor.clone() for name, tensor in generator.decoder.state_dict().items()}
    for dtype in (torch.float32, torch.bfloat16):
        assert 0 < block_seconds(generator.decoder, dtype) < 10
    after = generator.decoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(("half", "choice"), [(0.1, "bfloat16"), (10, "float32")])
def test_a_video_says_which_was_taken(
    generator: VideoGenerator,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    half: float,
    choice: str,
) -> None:
    """It is the video of that type."""
    half_takes(half, monkeypatch)
    generator.save_pretrained("model")
    words = ["sample", "a red ball", "--model", "model", "--frames", "5", "--seed", "1"]
    assert main([*words, "--out", "auto.mp4", "--dtype", "auto"]) == 0
    assert f"dtype {choice}: the products" in capsys.readouterr().err
    assert main([*words, "--out", "asked.mp4", "--dtype", choice]) == 0
    assert torch.equal(read_clip("auto.mp4").video, read_clip("asked.mp4").video)
    told = read_metadata("auto.mp4")
    assert ("bfloat16" in str(told)) is (choice == "bfloat16"), told
    assert told == read_metadata("asked.mp4")
