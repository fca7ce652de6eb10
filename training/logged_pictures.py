"""Pictures for whichever loggers a run has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from PIL.Image import Image

from ..files.atomic import whole_file


def log_picture(
    loggers: Sequence[Logger], name: str, picture: Image, step: int, folder: Path
) -> None:
    """Give a picture to all loggers that take one: TensorBoard, Weights & Biases and MLflow.

    Args:
        loggers: those of a run.
        name: what the picture shows.
        picture: in RGB.
        step: of the optimizer.
        folder: where it becomes `STEP.png` if no logger takes it.
    """
    taken = [_show(logger, name, picture, step) for logger in loggers]
    if any(taken):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / f"{step:07d}.png") as file:
        picture.save(file, "PNG")


def _show(logger: Any, name: str, picture: Image, step: int) -> bool:
    """False if this logger takes no pictures."""
    if isinstance(logger, TensorBoardLogger):
        flat = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
        shaped = flat.view(picture.height, picture.width, 3)
        logger.experiment.add_image(name, shaped, step, dataformats="HWC")
    elif isinstance(logger, WandbLogger):
        logger.log_image(name, [picture], step)
    elif isinstance(logger, MLFlowLogger):
        logger.experiment.log_image(logger.run_id, picture, f"{name}/{step:07d}.png")
    else:
        return False
    return True
