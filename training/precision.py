"""Half or single precision, by what this machine multiplies faster.

bfloat16 is faster than float32 on GPUs and on processors that have instructions for it
(AVX512-bf16, AMX), and slower on others. `precision: auto` measures it once, at the start of a new
run; the choice is written into the run's config and its checkpoints, and a resumed run keeps it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.precision import MixedPrecision, Precision

log = logging.getLogger(__name__)
AUTO = "auto"
SINGLE = "32-true"
HALF: Final = "bf16-mixed"
GAIN = 1.3  # how many times as fast bfloat16 must be
SIZES = {"cpu": 512}  # rows and columns of the matrices
LARGE = 4096  # on anything else
TRIES = 5
KEY = "precision"  # in a checkpoint


class RunTrainer(pl.Trainer):
    """Lightning's trainer, which also takes the precision "auto": see `MeasuredPrecision`."""

    def __init__(self, *args: Any, precision: Any = None, **kwargs: Any) -> None:
        self.measured: MeasuredPrecision | None = None
        if precision == AUTO:
            self.measured = MeasuredPrecision()
            callbacks = kwargs.get("callbacks") or []
            given = callbacks if isinstance(callbacks, list) else [callbacks]
            kwargs["callbacks"] = [self.measured, *given]
            precision = SINGLE
        super().__init__(*args, precision=precision, **kwargs)


class MeasuredPrecision(Callback):
    """Gives a run the precision that is faster on its device, before the model is made.

    Attributes:
        kept: what a checkpoint says, which is not measured again.
        tell: called with the choice, such as to write it into a config.
    """

    def __init__(self) -> None:
        self.kept: str | None = None
        self.tell: Callable[[str], None] = lambda choice: None
        self.choice: str | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if self.choice is not None:
            return
        device = trainer.strategy.root_device
        found = (self.kept or choose_precision(device)) if trainer.is_global_zero else None
        choice = str(trainer.strategy.broadcast(found))
        plugin = MixedPrecision("bf16-mixed", device.type) if choice == HALF else Precision()
        trainer.strategy.precision_plugin = plugin
        self.choice = choice
        self.tell(choice)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[KEY] = self.choice


def choose_precision(device: torch.device) -> str:
    """ "bf16-mixed" or "32-true", whichever suits a device; says which, and why."""
    single = product_seconds(device, torch.float32)
    half = product_seconds(device, torch.bfloat16)
    times = single / half
    choice = HALF if times >= GAIN else SINGLE
    log.warning(
        "precision %s: a product of two matrices takes %.2f ms in float32 and %.2f ms in bfloat16 "
        "here, %.1f times as fast (%.1f are needed)",
        choice,
        1000 * single,
        1000 * half,
        times,
        GAIN,
    )
    return choice


def product_seconds(device: torch.device, dtype: torch.dtype) -> float:
    """Seconds of one product of square matrices, the least of a few tries."""
    size = SIZES.get(device.type, LARGE)
    matrix = torch.ones(size, size, dtype=dtype, device=device)
    seconds: list[float] = []
    for _ in range(1 + TRIES):  # the first one also sets things up
        begin = time.perf_counter()
        matrix @ matrix
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        seconds.append(time.perf_counter() - begin)
    return min(seconds[1:])


def kept_precision(checkpoint: str | Path) -> str | None:
    """The precision that a run with "auto" has found, from its checkpoint; None if it had none."""
    path = Path(checkpoint)
    parts = path / "meta.pt" if path.is_dir() else path  # of several processes that share a model
    if not parts.is_file():
        return None
    held = torch.load(parts, map_location="meta", weights_only=True, mmap=True)
    found = held.get(KEY) if isinstance(held, dict) else None
    return found if found in (SINGLE, HALF) else None
