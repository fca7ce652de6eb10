"""Samples as moving pictures for whichever loggers a run has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from torch import Tensor

from ...data.video.contact_sheet import caption_grid
from ...data.video.write import write_video

FPS = 12.0
SMALL = 128  # pixels of the shorter side that need no enlarging
NAME = "samples"


def show_videos(
    loggers: Sequence[Logger], folder: Path, videos: Tensor, captions: Sequence[str], step: int
) -> Path:
    """Write samples side by side as `STEP.gif` into `folder`, and give it to the loggers that take
    one: TensorBoard, Weights & Biases and MLflow.

    Args:
        videos: uint8 `[N, 3, F, Y, X]`.
        captions: N sentences.
    """
    scale = max(1, SMALL // min(videos.shape[3:]))
    path = folder / f"{step:07d}.gif"
    folder.mkdir(parents=True, exist_ok=True)
    write_video(path, caption_grid(videos, captions, scale), FPS)
    for logger in loggers:
        _show(logger, path, step)
    return path


def _show(logger: Any, path: Path, step: int) -> None:
    if isinstance(logger, TensorBoardLogger):
        from tensorboard.compat.proto.summary_pb2 import Summary

        picture = Summary.Image(encoded_image_string=path.read_bytes(), colorspace=3)
        moving = Summary(value=[Summary.Value(tag=f"{NAME}/moving", image=picture)])
        logger.experiment._get_file_writer().add_summary(moving, step)
    elif isinstance(logger, WandbLogger):
        logger.log_video(f"{NAME}/moving", [str(path)], step, format=["gif"])
    elif isinstance(logger, MLFlowLogger):
        logger.experiment.log_artifact(logger.run_id, str(path), NAME)
