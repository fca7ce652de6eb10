"""The recipes for public data sets run for a few steps on folders of the same layouts, the same
seed gives the same weights, and what a run was made of is logged."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.data.video import write_video
from kinetoscope.generator import VideoGenerator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

Fit = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["kinetoscope.generator"])


def test_ucf101_class_conditional_twice_with_the_same_weights(
    ucf: Path, fit: Fit, fvd: list[str]
) -> None:
    first = fit("ucf101", ucf, *fvd, frames=9)
    again = fit("ucf101", ucf, *fvd, frames=9, out="again")
    weights = [path / "generator/model.safetensors" for path in (first, again)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    other = fit("ucf101", ucf, "--seed_everything=1", frames=9, out="other")
    assert (other / "generator/model.safetensors").read_bytes() != weights[0].read_bytes()
    (table,) = first.glob("lightning_logs/*/metrics.csv")
    with open(table) as file:
        rows = list(csv.DictReader(file))
    names = {name for row in rows for name, value in row.items() if value}
    wanted = {"train/loss", "train/lr", "train/memory_gb", "train/tokens_per_s"}
    assert wanted | {"val/bits_per_token", "val/fvd"} <= names
    assert max(float(row["train/memory_gb"] or 0) for row in rows) > 0.1
    (events,) = {path.parent for path in first.glob("lightning_logs/*/events.*")}
    seen = EventAccumulator(str(events)).Reload()
    assert "val/fvd" in seen.Tags()["scalars"]
    assert "samples/moving" in seen.Tags()["images"]
    hparams = (events / "hparams.yaml").read_text()
    assert "commit: " in hparams and "template: a video of {label}" in hparams
    assert list((first / "samples").glob("*.gif"))
    generator = VideoGenerator.from_pretrained(first / "generator")
    assert generator.generate("a video of yo yo", 5).shape == (1, 3, 5, 16, 16)


def test_bair_action_conditioned(
    clips: list[Tensor], fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "BAIR"
    for number, clip in enumerate(clips):
        place = root / ("train" if number < 4 else "test")
        place.mkdir(parents=True, exist_ok=True)
        write_video(place / f"{number}.mp4", clip, fps=10)
        rows = np.random.default_rng(number).normal(size=(17, 4))
        np.savetxt(place / f"{number}.actions.csv", rows, delimiter=",")
    folder = fit("bair", root, frames=17)
    generator = VideoGenerator.from_pretrained(folder / "generator")
    assert generator.decoder.config.conditions == (("action_vector", 16),)
    layer = generator.decoder.ports["action_vector"]
    assert float(layer.bias.detach().abs().max()) > 0  # it was trained
    words = ["evaluate", "generator", str(root), str(folder / "generator"), str(tmp_path / "out")]
    words += ["--layout", "plain", "--split", "test", "--frames", "9", "--context", "1"]
    words += ["--samples", "2", "--halves", "0", "--cache", str(tmp_path / "features")]
    assert main([*words, "--json", str(tmp_path / "out.json")]) == 0, capsys.readouterr().err
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["conditions"]["actions"] == ["action_vector"]
    assert found["conditions"]["with captions"] == 0  # "test" is no caption
    assert "extra bits per clip, another clip's action_vector" in found["generator"]
    assert found["predictions"]["psnr, best of 2"] >= found["predictions"]["psnr"]
    with pytest.raises(SystemExit):
        fit("bair", root, "--model.conditions.action_vector=3", frames=17, out="no")
    assert "set model.conditions.action_vector=16" in capsys.readouterr().err


def test_text_on_a_part_of_openvid(
    clips: list[Tensor], fit: Fit, tmp_path: Path, parts: dict[str, str]
) -> None:
    root = tmp_path / "OpenVid"
    (root / "video").mkdir(parents=True)
    lines = ["video,caption,aesthetic score,motion score,fps,seconds"]
    for number, clip in enumerate(clips):
        write_video(root / f"video/{number}.mp4", clip, fps=12)
        lines.append(f'{number}.mp4,"a red ball, number {number}",{4 + number / 2},5,12,1.4')
    (root / "OpenVid-1M.csv").write_text("\n".join(lines))
    words = ["prepare", str(root), str(tmp_path / "shards"), "--tokenizer", parts["tokenizer"]]
    words += ["--size", "16", "--clip-frames", "9", "--fps", "12"]
    words += ["--filter", "aesthetic_score >= 5 and motion_score > 2 and seconds > 1"]
    assert main(words) == 0
    told = json.loads((tmp_path / "shards/manifest.json").read_text())
    assert told["videos"]["count"] == 4
    folder = fit("openvid", tmp_path / "shards", "--data.workers=0", "--data.held_out=0.3")
    assert VideoGenerator.from_pretrained(folder / "generator").generate("a ball", 5).shape[2] == 5


def test_a_lerobot_set(clips: list[Tensor], fit: Fit, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    root = tmp_path / "so100"
    camera = "observation.images.top"
    info = {
        "codebase_version": "v2.1",
        "chunks_size": 1000,
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/"
        "episode_{episode_index:06d}.mp4",
        "features": {camera: {"dtype": "video"}, "action": {"dtype": "float32", "shape": [6]}},
    }
    for place in ("meta", "data/chunk-000", f"videos/chunk-000/{camera}"):
        (root / place).mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(info))
    episodes = []
    for number, clip in enumerate(clips):
        episodes.append({"episode_index": number, "tasks": ["pick up the cube"], "length": 17})
        name = f"chunk-000/{camera}/episode_{number:06d}.mp4"
        write_video(root / "videos" / name, clip, fps=10)
        rows = [
            {"episode_index": number, "action": torch.randn(6).tolist()}
            for _ in range(len(clip[0]))
        ]
        table = arrow.Table.from_pylist(rows)
        parquet.write_table(table, root / f"data/chunk-000/episode_{number:06d}.parquet")
    (root / "meta/episodes.jsonl").write_text("\n".join(map(json.dumps, episodes)))
    folder = fit("lerobot", root, frames=17)
    generator = VideoGenerator.from_pretrained(folder / "generator")
    assert generator.decoder.config.conditions == (("action_vector", 24),)
    arm = torch.randn(3, 24)
    video = generator.generate("pick up the cube", 9, action_vector=arm)
    assert video.shape == (1, 3, 9, 16, 16)
