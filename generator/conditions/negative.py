"""The sentence that says what a video should not show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import Canvas, Condition, Features, Say
from .text import sentence_features

if TYPE_CHECKING:
    from ..pipeline import VideoGenerator


class Negative(Condition):
    """A negative prompt, as for Stable Diffusion: with guidance, a video is led away from what this
    sentence shows rather than from what no sentence shows. Every model takes it, with no network of
    its own."""

    name = "negative"
    label = "What to avoid"
    help = (
        "what the video should not show, in a sentence; the stronger the guidance, the less of it"
    )
    kind = "sentence"
    port = "prefix"
    shape = "a sentence, or one for each video"

    def parse(self, text: str, canvas: Canvas, say: Say = print) -> str:
        if not text.strip():
            raise ValueError(
                "negative is empty; say what the video should not show, or leave it out"
            )
        return text.strip()

    def features(self, value: Any, videos: int, model: VideoGenerator) -> Features:
        return sentence_features(self.name, value, videos, model)
