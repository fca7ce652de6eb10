"""Text (and images, and video) to video: `VideoGenerator.from_pretrained(name).generate("a red ball
rolls")`.

Names are imported on first use, so that the command line starts at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ..files import moved

if TYPE_CHECKING:
    from .batch import VideoBatch
    from .conditions.text_encoder import TextEncoder
    from .diffusers_pipeline import VideoPipeline
    from .model.config import DecoderConfig
    from .model.decoder import Decoder
    from .pipeline import VideoGenerator
    from .sampling.engine import SamplingEngine
    from .sampling.frame_ring import FrameRing
    from .sampling.params import SamplingParams
    from .session import VideoSession

_HOMES = {
    "VideoBatch": "batch",
    "Decoder": "model.decoder",
    "DecoderConfig": "model.config",
    "FrameRing": "sampling.frame_ring",
    "SamplingParams": "sampling.params",
    "SamplingEngine": "sampling.engine",
    "TextEncoder": "conditions.text_encoder",
    "VideoGenerator": "pipeline",
    "VideoPipeline": "diffusers_pipeline",
    "VideoSession": "session",
}

__all__ = [
    "Decoder",
    "DecoderConfig",
    "FrameRing",
    "SamplingEngine",
    "SamplingParams",
    "TextEncoder",
    "VideoBatch",
    "VideoGenerator",
    "VideoPipeline",
    "VideoSession",
]


moved.install()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        return moved.old_names(__name__)(name)
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
