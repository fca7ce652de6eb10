"""A map that says which region each cell of a latent frame belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import Canvas, Condition, Features, Say

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..model.config import DecoderConfig
    from ..pipeline import VideoGenerator


class Regions(Condition):
    """A number per cell, embedded by a table and added to the token that predicts the cell.

    One map holds for all frames to come; T maps are of T latent frames, and nothing is given after
    their end. -1 is a cell of which nothing is said.
    """

    name = "regions"
    label = "Map of regions"
    help = "a picture or video whose grey levels number the region that each part belongs to"
    kind = "clip"
    port = "grid"
    shape = "integers [H, W], [T, H, W] or [B, T, H, W] on the latent grid"

    def parse(self, text: str, canvas: Canvas, say: Say = print) -> Tensor:
        """Grey levels of the last frame of each latent frame, [T, Y, X], as they lie in the file;
        `features` takes them to the latent grid."""
        from ...data.video import read_clip

        clip = read_clip(text, fps=canvas.fps).video
        return clip[0, :: canvas.frames_per_latent].long()

    def features(self, value: Any, videos: int, model: VideoGenerator) -> Features:
        import torch
        from torch.nn.functional import interpolate

        count = dict(model.decoder.config.conditions)[self.name]
        maps = torch.as_tensor(value)
        if maps.is_floating_point() or not 2 <= maps.dim() <= 4:
            raise ValueError(
                f"regions must be {self.shape}; got {maps.dtype} of shape {list(maps.shape)}"
            )
        maps = maps[(None,) * (4 - maps.dim())]
        if len(maps) not in (1, videos):
            raise ValueError(f"regions must be of 1 video or of each of {videos}; got {len(maps)}")
        low, high = maps.aminmax()
        if low < -1 or high >= count:
            raise ValueError(
                f"regions of this model are 0 to {count - 1}, or -1 for none; got "
                f"{int(low if low < -1 else high)}"
            )
        grid = model.decoder.config.grid
        if maps.shape[2:] != grid:
            maps = interpolate(maps.float(), grid, mode="nearest-exact").long()
        maps_BTHW = maps.expand(videos, -1, -1, -1).to(model.decoder.no_text.device)
        return Features(maps_BTHW.clamp(min=0), maps_BTHW >= 0)

    def network(self, size: int, config: DecoderConfig) -> nn.Module:
        from torch import nn

        table = nn.Embedding(size, config.dim)
        nn.init.normal_(table.weight, std=0.1)
        return table
