"""A run says what it was made of, in whatever loggers it has."""

import subprocess
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from kinetoscope.training.run_record import RunRecord, flat, git_commit
from lightning.pytorch.loggers.logger import Logger
from torch import Tensor, nn
from torch.utils.data import DataLoader


class Kept(Logger):
    """A logger that only remembers, as those of a service are called."""

    def __init__(self) -> None:
        super().__init__()
        self.parameters: dict[str, Any] = {}
        self.numbers: dict[str, list[float]] = {}

    name = "kept"
    version = "0"

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self.parameters |= dict(params)

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        for key, value in metrics.items():
            self.numbers.setdefault(key, []).append(value)


class Line(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch: Tensor, index: int) -> Tensor:
        return self.layer(batch).square().mean()

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.5)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (step + 1))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def test_settings_rates_and_memory_reach_any_logger(tmp_path: Path) -> None:
    kept = Kept()
    trainer = pl.Trainer(
        max_steps=3,
        logger=kept,
        callbacks=[RunRecord({"model": {"lr": 0.5, "sizes": [1, 2]}, "seed_everything": 3})],
        log_every_n_steps=1,
        default_root_dir=tmp_path,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(Line(), DataLoader(torch.ones(8, 1), 2))
    assert kept.parameters["config/model.lr"] == 0.5
    assert kept.parameters["config/model.sizes"] == "[1, 2]"
    assert {"commit", "command", "torch", "kinetoscope", "python"} <= set(kept.parameters)
    assert kept.numbers["train/lr"] == pytest.approx([0.25, 0.5 / 3, 0.125])
    assert min(kept.numbers["train/memory_gb"]) > 0.05


def test_the_commit_and_whether_files_differ_from_it(tmp_path: Path) -> None:
    assert git_commit(tmp_path) == "none"

    def git(*words: str) -> str:
        name = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *name, *words], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "a.txt").write_text("one")
    git("add", "a.txt")
    git("commit", "-q", "-m", "first")
    head = git("rev-parse", "HEAD")
    assert git_commit(tmp_path) == head
    (tmp_path / "a.txt").write_text("two")
    assert git_commit(tmp_path) == f"{head} and changes"


def test_nested_settings_become_names_with_dots() -> None:
    assert flat({"a": {"b": 1, "c": None}, "d": [1]}) == [("a.b", 1), ("a.c", None), ("d", "[1]")]
