"""A condition that is made up in one file, for what pages, storyboards and requests make of it."""

from typing import Any

import torch
from kinetoscope.generator.conditions import Canvas, Condition, Features
from torch import nn


class Mood(Condition):
    """A condition made up in one file."""

    name = "mood"
    help = "how the video feels"
    kind = "choice"
    port = "header"
    shape = "a word"
    choices = ("calm", "wild")

    def parse(self, text: str, canvas: Canvas, say: Any = print) -> str:
        return text

    def features(self, value: Any, videos: int, model: Any) -> Features:
        index = self.choices.index(value)
        return Features(torch.full((videos, 1), index), torch.ones(videos, 1, dtype=torch.bool))

    def network(self, size: int, config: Any) -> nn.Module:
        return nn.Embedding(size, config.dim)
