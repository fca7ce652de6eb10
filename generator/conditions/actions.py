"""The key that is pressed while a latent frame is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import Canvas, Condition, Features, Say

if TYPE_CHECKING:
    from torch import nn

    from ..model.config import DecoderConfig
    from ..pipeline import VideoGenerator


class Actions(Condition):
    """A number per latent frame, embedded by a table and added to the frame's first token.

    One number is the action of all frames to come; a list has one number for each latent frame,
    and nothing is given after its end. -1 is no action.
    """

    name = "actions"
    help = "actions, as numbers from 0 on: one for all frames, or one per latent frame (0,0,2)"
    kind = "number"
    port = "header"
    shape = "an integer, or a list of T integers; or a list of such for each video"

    def limits(self, size: int) -> tuple[float, float]:
        return (-1, size - 1)

    def parse(self, text: str, canvas: Canvas, say: Say = print) -> list[int]:
        try:
            return [int(word) for word in text.split(",")]
        except ValueError:
            raise ValueError(
                f"actions must be whole numbers with commas between them; got '{text}'"
            ) from None

    def features(self, value: Any, videos: int, model: VideoGenerator) -> Features:
        import torch

        count = dict(model.decoder.config.conditions)[self.name]
        actions = torch.as_tensor(value)
        if actions.is_floating_point() or actions.dim() > 2:
            raise ValueError(
                f"actions must be {self.shape}; got {actions.dtype} of shape {list(actions.shape)}"
            )
        rows = actions.view(1, -1) if actions.dim() < 2 else actions
        if len(rows) not in (1, videos):
            raise ValueError(f"actions must be of 1 video or of each of {videos}; got {len(rows)}")
        low, high = rows.aminmax()
        if low < -1 or high >= count:
            raise ValueError(
                f"actions of this model are 0 to {count - 1}, or -1 for none; got "
                f"{int(low if low < -1 else high)}"
            )
        rows_BT = rows.expand(videos, -1).to(model.decoder.no_text.device)
        return Features(rows_BT.clamp(min=0), rows_BT >= 0)

    def network(self, size: int, config: DecoderConfig) -> nn.Module:
        from torch import nn

        table = nn.Embedding(size, config.dim)
        nn.init.normal_(table.weight, std=0.1)
        return table
