"""Orders and kept videos of the studio, as programs see them over `/v1/videos`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..serve.api.service import ShownVideo
from ..serve.served_model import ServedModel
from ..serve.store.queue import Status
from .order import Order
from .save import enlargement

STATES: dict[str, Status] = {
    "waiting": "queued",
    "loading": "in_progress",
    "drawing": "in_progress",
    "saving": "in_progress",
    "done": "completed",
    "cancelled": "failed",
    "failed": "failed",
}
CANCELLED = ("cancelled", "the video was cancelled")


def shown_order(order: Order, index: int, model: ServedModel) -> ShownVideo:
    """One of the videos of an order that is not done."""
    settings = order.settings
    status = STATES[order.state]
    error = None
    if is_cancelled(order):
        status = "failed"
        error = CANCELLED
    elif order.state == "failed":
        error = (order.error_code, order.error)
    height = settings.size or model.height
    width = model.width * height // model.height
    return ShownVideo(
        order.videos[index],
        settings.model,
        status,
        settings.prompt,
        max(1, order.frames),
        min(order.done, order.frames),
        settings.fps,
        order.seeds[index],
        _size(width, height, settings.scale),
        _time_of(order.videos[index]),
        error=error,
    )


def shown_record(record: Mapping[str, Any]) -> ShownVideo:
    """A video of the gallery."""
    settings = record["settings"]
    frames = int(record["frames"])
    size = _size(record["width"], record["height"], settings.get("scale"))
    if settings.get("story"):  # its size is that of its pictures
        size = _size(record["width"], record["height"], 1)
    return ShownVideo(
        record["id"],
        settings["model"],
        "completed",
        settings["conditions"]["prompt"],
        frames,
        frames,
        settings["fps"],
        settings["seed"],
        size,
        _time_of(record["id"]),
        datetime.fromisoformat(record["made"]).timestamp(),
    )


def is_cancelled(order: Order) -> bool:
    """Whether nothing will come of it, though its thread may not have heard of that yet."""
    unwanted = order.stop.is_set() and not order.keep
    return order.state == "cancelled" or (unwanted and order.state != "failed")


def _size(width: int, height: int, scale: int | None) -> str:
    times = scale or enlargement(height, width)
    return f"{width * times}x{height * times}"


def _time_of(video: str) -> float:
    """When a video was asked for, as its name says."""
    return time.mktime(time.strptime(video[:15], "%Y%m%d-%H%M%S"))
