"""What a robot or a hand does between one latent frame and the next: a vector of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base import Canvas, Condition, Features, Say

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..model.config import DecoderConfig
    from ..pipeline import VideoGenerator


class ActionVector(Condition):
    """A vector per latent frame, added to the frame's first token by a linear layer.

    It holds the actions of all frames that the latent frame adds, one after another: k times A
    numbers for k frames and actions of A numbers. The first latent frame has none.
    """

    name = "action_vector"
    help = "actions of a robot: a file (.csv or .npy) with a row of numbers for each frame"
    kind = "file"
    port = "header"
    shape = "a float tensor [T, k * A], or [B, T, k * A] for several videos"

    def parse(self, text: str, canvas: Canvas, say: Say = print) -> Any:
        from ...files.number_rows import read_number_rows

        return per_latent(read_number_rows(Path(text))[None], canvas.frames_per_latent)[0]

    def features(self, value: Any, videos: int, model: VideoGenerator) -> Features:
        import torch

        size = dict(model.decoder.config.conditions)[self.name]
        values = torch.as_tensor(value, dtype=torch.float32)
        rows = values if values.dim() == 3 else values[None]
        if rows.dim() != 3 or rows.shape[2] != size or len(rows) not in (1, videos):
            raise ValueError(
                f"action_vector must be [T, {size}], or [{videos}, T, {size}]; got "
                f"{list(values.shape)}"
            )
        rows_BTA = rows.expand(videos, -1, -1).to(model.decoder.no_text.device)
        return Features(rows_BTA, _after_the_first(rows_BTA))

    def recorded(self, actions: Tensor, frames_per_latent: int, size: int) -> Features:
        values_BTA = per_latent(actions, frames_per_latent)
        if values_BTA.shape[2] != size:
            raise ValueError(
                f"actions of {actions.shape[2]} numbers make {values_BTA.shape[2]} in "
                f"{frames_per_latent} frames, and the model takes {size}; set "
                f"model.conditions.{self.name}={values_BTA.shape[2]}"
            )
        return Features(values_BTA, _after_the_first(values_BTA))

    def network(self, size: int, config: DecoderConfig) -> nn.Module:
        from torch import nn

        layer = nn.Linear(size, config.dim)
        nn.init.normal_(layer.weight, std=0.1 / size**0.5)
        nn.init.zeros_(layer.bias)
        return layer


def per_latent(actions_BFA: Tensor, k: int) -> Tensor:
    """Actions of F frames as [B, T, k * A]: row t holds those that lead to its k frames."""
    B, F, A = actions_BFA.shape
    T = 1 + (F - 1) // k
    first_B1A = actions_BFA.new_zeros(B, 1, k * A)
    import torch

    later_BTA = actions_BFA[:, : (T - 1) * k].reshape(B, T - 1, k * A)
    return torch.cat([first_B1A, later_BTA], dim=1)


def _after_the_first(values_BTA: Tensor) -> Tensor:
    """bool [B, T]: nothing is given to the first latent frame."""
    there = values_BTA.new_ones(values_BTA.shape[:2]).bool()
    there[:, 0] = False
    return there
