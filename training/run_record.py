"""What a run was made of, in every logger: the commit, versions, the command, all settings; and, as
often as the trainer logs, the learning rate and the memory in use."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.utilities import rank_zero_only

from ..files.atomic import write_whole

PACKAGES = ("kinetoscope", "torch", "lightning")
SECONDS = 10  # after which git is not waited for


class RunRecord(Callback):
    """Logs the record of a run when it begins, and `train/lr` and `train/memory_gb` on its way.

    Args:
        settings: all settings of the run, as the config file holds them.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings

    @rank_zero_only
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        record = run_facts() | {f"config/{key}": value for key, value in flat(self.settings)}
        for logger in trainer.loggers:
            logger.log_hyperparams(record)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        if trainer.global_step % trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return
        rates = [group["lr"] for o in trainer.optimizers for group in o.param_groups]
        if rates:
            pl_module.log("train/lr", float(max(rates)))
        pl_module.log("train/memory_gb", memory_gigabytes(pl_module.device))


class WholeConfig(SaveConfigCallback):
    """Writes the settings of a run as a whole, in place of those of an earlier run in its folder:
    without a logger all runs have one."""

    def __init__(self, parser: Any, config: Any, **options: Any) -> None:
        super().__init__(parser, config, **options, save_to_log_dir=False)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.folder = trainer.log_dir  # which all processes ask for together
        super().setup(trainer, pl_module, stage)

    def save_config(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if self.folder is not None:
            settings = self.parser.dump(self.config, skip_none=False)
            write_whole(Path(self.folder) / self.config_filename, settings)


def run_facts() -> dict[str, str]:
    """The commit of the folder that the run is in, versions, the machine and the command."""
    facts = {"commit": git_commit(Path.cwd()), "command": " ".join(sys.argv)}
    facts |= {"python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    return facts


def git_commit(folder: Path) -> str:
    """The commit that is checked out, with "and changes" if files differ from it; "none" outside
    of a repository."""
    try:
        head, changes = (
            subprocess.run(
                ["git", "-C", str(folder), *words],
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=True,
            ).stdout.strip()
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno"))
        )
    except (OSError, subprocess.SubprocessError):
        return "none"
    return f"{head} and changes" if changes else head


def memory_gigabytes(device: torch.device) -> float:
    """The most that was in use so far: of the GPU, or else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def flat(settings: Any, above: str = "") -> list[tuple[str, Any]]:
    """Nested settings as names with dots; lists as text."""
    if not isinstance(settings, dict):
        plain = isinstance(settings, (int, float, str, bool)) or settings is None
        return [(above, settings if plain else str(settings))]
    return [
        pair
        for key, value in settings.items()
        for pair in flat(value, f"{above}.{key}" if above else str(key))
    ]
