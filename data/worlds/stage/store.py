"""Clips of the stage on the disk (see `ClipStore`), and the kinds of scenes judged apart."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

from torch import Tensor

from ..clip_store import ClipStore
from .clips import stage_batch
from .scene import STYLES, WEATHERS, StageConfig

PROBE = range(96)  # seeds of a few small pictures that change when the world does


def stage_store(
    folder: str | Path,
    frames: int,
    size: int,
    config: StageConfig = StageConfig(),
    first_seed: int = 0,
    compiled: bool = False,
) -> ClipStore:
    """Clips of `frames` frames and `size` pixels of the scenes of `config`.

    The key covers the pictures themselves: when the world is drawn otherwise, small probes differ
    and the store begins anew.
    """

    def render(seeds: range) -> tuple[Tensor, Tensor]:
        batch = stage_batch(seeds, frames, size, config, compiled)
        return batch["video"], batch["foreground"]

    settings = [asdict(config), frames, size, first_seed, _probe()]
    text = json.dumps(settings, sort_keys=True)
    key = f"stage-{size}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return ClipStore(folder, key, render, first_seed)


@cache
def _probe() -> str:
    pictures = stage_batch(PROBE, 1, 32)["video"]
    return hashlib.sha256(pictures.numpy().tobytes()).hexdigest()


def kinds(config: StageConfig = StageConfig()) -> dict[str, StageConfig]:
    """Word -> the scenes of one style in clear weather, or of one weather in the shaded style.

    Only styles and weathers that `config` draws.
    """
    styles = {
        style: replace(config, styles=(style,), weathers=("clear",))
        for style in STYLES
        if style in config.styles
    }
    weathers = {
        weather: replace(config, styles=("shaded",), weathers=(weather,), places=("open",))
        for weather in WEATHERS[1:]
        if weather in config.weathers
    }
    return styles | weathers
