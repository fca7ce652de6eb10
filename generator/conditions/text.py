"""The sentence that says what a video shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import Canvas, Condition, Features, Say

if TYPE_CHECKING:
    from ..pipeline import VideoGenerator

EXAMPLE = 'such as "a red ball rolls to the left"'


class Text(Condition):
    """States of the text encoder, as the prefix. The decoder itself owns their projection."""

    name = "prompt"
    label = "Sentence"
    help = "what the video shows, in a sentence"
    kind = "sentence"
    port = "prefix"
    shape = "a sentence, or one for each video"
    guidance = 2.0

    def check(self, text: str) -> None:
        if not text.strip():
            raise ValueError(f"the prompt is empty; say what the video shows, {EXAMPLE}")

    def parse(self, text: str, canvas: Canvas, say: Say = print) -> str:
        self.check(text)
        return text.strip()

    def features(self, value: Any, videos: int, model: VideoGenerator) -> Features:
        return sentence_features(self.name, value, videos, model)


def sentence_features(name: str, value: Any, videos: int, model: VideoGenerator) -> Features:
    """States and mask of a sentence, or of one for each video."""
    sentences = [value] * videos if isinstance(value, str) else list(value)
    if len(sentences) != videos:
        raise ValueError(
            f"{name} must be one sentence or one per video ({videos}); got {len(sentences)}"
        )
    states_BSE, mask_BS = model.text.encode(sentences, model.decoder.config.max_text)
    weights = model.decoder.no_text
    return Features(states_BSE.to(weights), mask_BS.to(weights.device))
