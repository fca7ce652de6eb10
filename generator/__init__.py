"""Text (and images, and video) to video: `VideoGenerator.from_pretrained(name).generate("a red ball rolls")`.

Names are imported on first use, so that the command line starts at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cache import FrameRing
    from .config import DecoderConfig
    from .decoder import Decoder
    from .pipeline import VideoGenerator
    from .sampling import SamplingParams
    from .session import Session
    from .text import TextEncoder
    from .video_session import VideoSession

_HOMES = {
    "Decoder": "decoder",
    "DecoderConfig": "config",
    "FrameRing": "cache",
    "SamplingParams": "sampling",
    "Session": "session",
    "TextEncoder": "text",
    "VideoGenerator": "pipeline",
    "VideoSession": "video_session",
}

__all__ = [
    "Decoder",
    "DecoderConfig",
    "FrameRing",
    "SamplingParams",
    "Session",
    "TextEncoder",
    "VideoGenerator",
    "VideoSession",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
