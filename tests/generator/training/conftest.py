"""A recipe that runs for two steps with tiny parts, and a small data set for it."""

from collections.abc import Callable
from pathlib import Path

import kinetoscope.configs
import pytest
from kinetoscope.data.video import write_video
from kinetoscope.data.worlds.physics.clips import physics_batch
from kinetoscope.data.worlds.physics.scene import PhysicsConfig
from kinetoscope.generator.training.module import GeneratorModule
from kinetoscope.training.cli import run
from torch import Tensor

CONFIGS = Path(kinetoscope.configs.__path__[0]) / "generator"
COUNT = 6
NETWORK = """
from torch import nn
class Small(nn.Module):
    def forward(self, x):
        return nn.functional.adaptive_avg_pool3d(x, [1, 1, 1]).flatten(1)
"""
Fit = Callable[..., Path]


@pytest.fixture(scope="module")
def clips() -> list[Tensor]:
    """Six clips of 17 frames, 16 x 16 pixels."""
    batch = physics_batch(range(COUNT), 17, 16, PhysicsConfig(max_objects=1))
    return list(batch["video"])


@pytest.fixture
def fit(tmp_path: Path, parts: dict[str, str]) -> Fit:
    """Runs a recipe for two steps with tiny parts, on clips of `frames` frames of 16 x 16 pixels if
    a number is given; returns the folder of the run."""

    def go(name: str, root: Path, *more: str, frames: int | None = None, out: str = "run") -> Path:
        folder = tmp_path / out
        stages = '[{"steps": 1, "latents": 1, "batch_size": 2}, {"steps": 1, "latents": 3, '
        stages += '"batch_size": 2}]'
        words = ["fit", "--config", str(CONFIGS / f"{name}.yaml"), "--data.root", str(root)]
        words += [f"--model.{part}={place}" for part, place in parts.items()]
        words += ["--model.codebooks=null", "--model.grid=[2,2]", "--model.size.dim=32"]
        words += ["--model.size.layers=1", "--model.size.heads=2", "--model.size.kv_heads=1"]
        words += [f"--model.export_dir={folder / 'generator'}", "--model.samples_every=1"]
        words += [f"--data.stages={stages}", "--trainer.max_steps=2", "--trainer.accelerator=cpu"]
        words += ["--trainer.precision=32-true", f"--trainer.default_root_dir={folder}"]
        words += ["--trainer.val_check_interval=1", "--trainer.log_every_n_steps=1"]
        words += ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]
        if frames is not None:
            words += ["--data.size=16", f"--data.frames={frames}", "--data.rounds=1"]
            words += [f"--data.cache_dir={tmp_path / 'codes'}"]
        run(GeneratorModule, [*words, *more])
        return folder

    return go


@pytest.fixture
def ucf(tmp_path: Path, clips: list[Tensor]) -> Path:
    """Two classes with the lists of UCF-101."""
    root = tmp_path / "UCF-101"
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    names = []
    for number, clip in enumerate(clips):
        label = ("ApplyEyeMakeup", "YoYo")[number % 2]
        names.append(f"{label}/v_{label}_g{number:02d}_c01.mp4")
        (root / label).mkdir(parents=True, exist_ok=True)
        write_video(root / names[-1], clip, fps=25)
    (lists / "trainlist01.txt").write_text("".join(f"{name} 1\n" for name in names[:4]))
    (lists / "testlist01.txt").write_text("".join(f"{name}\n" for name in names[4:]))
    return root


@pytest.fixture
def fvd(ucf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Settings for FVD on three of its clips, by a network without weights."""
    (tmp_path / "small_network.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    return [
        "--trainer.callbacks+=kinetoscope.evaluation.training.fvd.FVDCallback",
        f"--trainer.callbacks.reference={ucf}",
        "--trainer.callbacks.network=small_network:Small",
        "--trainer.callbacks.clips=3",
        "--trainer.callbacks.frames=9",
        f"--trainer.callbacks.cache={tmp_path / 'features'}",
    ]
