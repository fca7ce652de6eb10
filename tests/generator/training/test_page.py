"""The page on training says what happens: its commands are run in their order on a small folder
of videos."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.data.video import read_clip
from kinetoscope.data.video.write import write_video
from kinetoscope.data.worlds.physics.clips import physics_batch
from kinetoscope.data.worlds.physics.scene import PhysicsConfig
from kinetoscope.generator import VideoGenerator
from kinetoscope.generator.training.cost import (
    memory_bytes,
    parameter_counts,
    read_plan,
    step_flops,
)
from kinetoscope.generator.training.module import GeneratorModule
from kinetoscope.training.checkpoints import newest_checkpoint
from kinetoscope.training.cli import run

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
STAGES = (
    '[{"steps": 1, "latents": 1, "batch_size": 4}, {"steps": 1, "latents": 9, "batch_size": 2}]'
)
FEW = [
    *(
        "--data.workers=0",
        f"--data.stages={STAGES}",
        "--data.held_out=0.2",
        "--trainer.accelerator=cpu",
    ),
    *(
        "--trainer.callbacks.every_n_train_steps=1",
        "--trainer.enable_progress_bar=false",
        "--model.samples_every=0",
    ),
    *("--trainer.enable_model_summary=false", "--trainer.val_check_interval=2"),
]
TINY = [
    "--model.size.dim=32",
    "--model.size.layers=1",
    "--model.size.heads=2",
    "--model.size.kv_heads=1",
]


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds `videos`, with a text file beside each; the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["kinetoscope"])
    (tmp_path / "videos").mkdir()
    batch = physics_batch(range(6), 33, 64, PhysicsConfig(max_objects=1))
    for index, (video, caption) in enumerate(zip(batch["video"], batch["caption"])):
        write_video(tmp_path / "videos" / f"{index}.mp4", video, fps=12)
        (tmp_path / "videos" / f"{index}.txt").write_text(caption + "\n")
    return tmp_path


@pytest.mark.slow
def test_its_commands_run_in_their_order(videos: Path) -> None:
    steps = 0
    done = []
    joined = re.sub(r" *\\\n *", " ", PAGE)
    for line in re.findall(r"^    ((?:kinetoscope|python -m) .*)$", joined, re.M):
        words = shlex.split(line)
        done.append(words[1] if words[0] == "kinetoscope" else "fit")
        if words[0] == "kinetoscope":
            short = ["--frames", "5", "--scale", "1", "--seed", "0"] if words[1] == "sample" else []
            assert main([*words[1:], *short, "--device", "cpu"]) == 0
            continue
        steps = steps + 2 if "--ckpt_path" in words else 2
        words = [str(ROOT / word) if word.endswith(".yaml") else word for word in words[3:]]
        run(
            GeneratorModule,
            [
                *words,
                *FEW,
                *([] if "--model.init_from" in words else TINY),
                f"--trainer.max_steps={steps}",
            ],
        )
        newest = newest_checkpoint(videos / "runs")
        assert newest is not None and f"step={steps}" in newest.name
    assert done == [
        "prepare",
        "fit",
        "fit",
        "sample",
        "prepare",
        "fit",
        "fit",
        "fit",
        "sample",
        "fit",
    ]
    assert read_clip("clip.mp4").video.shape == (3, 5, 64, 64)
    assert (videos / "my-adapter" / "model.safetensors").stat().st_size < 5e6
    assert (
        VideoGenerator.from_pretrained("runs/generator-shards/generator").decoder.config.dim == 32
    )


@pytest.mark.slow
def test_the_example_adapts_a_model(
    videos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    words = [
        "videos",
        "--out",
        "adapter",
        "--steps",
        "12",
        "--batch",
        "4",
        "--frames",
        "9",
        "--rank",
        "8",
        "--lr",
        "3e-3",
    ]
    monkeypatch.setattr("sys.argv", ["finetune_generator.py", *words])
    runpy.run_path(str(ROOT / "examples" / "finetune_generator.py"), run_name="__main__")
    printed = capsys.readouterr().out
    before, after = (float(number) for number in re.findall(r"([\d.]+) (?:before|after)", printed))
    assert 0 < after != before < 12
    assert (
        main(
            [
                "sample",
                "a ball",
                "--adapter",
                "adapter",
                "--frames",
                "1",
                "--out",
                "a.mp4",
                "--device",
                "cpu",
            ]
        )
        == 0
    )


def test_its_table_of_sizes_is_computed() -> None:
    rows = re.findall(
        r"^\| ([\w, ]+) \| ([\d.]+) ([MG]) \|.*? \| ([\d.]+) ([TG]) \| ([\d.]+) GB \|", PAGE, re.M
    )
    assert [row[0] for row in rows] == ["folder, shards", "small", "base", "large", "xl"]
    unit = {"M": 1e6, "G": 1e9, "T": 1e12}
    for names, count, count_unit, work, work_unit, memory in rows:
        for name in names.split(", "):
            plan = read_plan(name)
            assert sum(parameter_counts(plan.decoder).values()) == pytest.approx(
                float(count) * unit[count_unit], rel=5e-3
            )
            assert step_flops(plan) == pytest.approx(float(work) * unit[work_unit], rel=5e-3)
            assert memory_bytes(plan, 1, divided=False)["all"] == pytest.approx(
                float(memory) * 1e9, rel=0.06
            )
