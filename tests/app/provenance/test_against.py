"""`kinetoscope inspect --against SHARDS` names the training clips that a video is nearest to."""

import json
from pathlib import Path

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.data.video import write_video
from kinetoscope.generator import VideoGenerator
from kinetoscope.generator.tokens.make_shard import ShardOptions
from kinetoscope.generator.tokens.prepare import Work, prepare
from torch import Tensor


def fields(seed: int) -> Tensor:
    """Thirteen frames of colours that change, uint8 [3, F, 8, 12]."""
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 4, 2, 3, generator=draw) * 255
    return torch.nn.functional.interpolate(coarse, (13, 8, 12))[0].to(torch.uint8)


def test_a_copy_of_a_training_clip_is_named(
    here: Path, generator: VideoGenerator, capsys: pytest.CaptureFixture[str]
) -> None:
    generator.save_pretrained(here / "model")
    for seed in range(5):
        write_video(here / "videos" / f"{seed}.mp4", fields(seed), fps=8, crf=0)
    options = ShardOptions(size=(8, 12), min_frames=5, cut=1.0)
    work = Work(str(here / "model"), workers=1)
    prepare(str(here / "videos"), str(here / "shards"), options, work, lambda line: None)
    write_video(here / "copy.mp4", fields(3), fps=8, crf=4)
    capsys.readouterr()

    main(["inspect", "copy.mp4", "--against", "shards", "--json"])
    found = json.loads(capsys.readouterr().out)["nearest_training_clips"]
    distances = [each["distance"] for each in found["neighbours"]]
    assert found["neighbours"][0]["source"] == "3.mp4"
    assert distances == sorted(distances) and len(distances) == 3
    assert distances[0] < found["least"] <= found["usual"]
    assert found["asked"] == 5

    main(["inspect", "copy.mp4", "--against", "shards"])
    printed = capsys.readouterr().out
    assert "to '3.mp4' at 0.0 s" in printed
    assert "of 5 training clips" in printed


def test_a_folder_without_shards_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(here / "clip.mp4", fields(0), fps=8)
    assert main(["inspect", "clip.mp4", "--against", "."]) != 0
    assert "holds no shards" in capsys.readouterr().err
