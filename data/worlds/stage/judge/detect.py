"""From FrameNet's maps to objects: which places belong to the same object, and what they say.

Legend: M frames, Y X places of a map, K objects found in a frame, n numbers of a head.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from .network import PixelJudgeConfig

CLASSES = ("shape", "material", "size", "colour")
MOST = 6  # objects in a frame
REACH = 0.12  # of a place's vote from the middle that it is for, as a share of the picture


@dataclass
class Found:
    """Objects of one frame.

    box [K, 6]: middle across and down, left, right, top, bottom, each 0 to 1; pixels [K];
    chances: logarithms [K, n] by CLASSES; ahead [K, 1]; turn [K, n]; mask bool [K, Y, X].
    """

    box: Tensor
    pixels: Tensor
    chances: dict[str, Tensor]
    ahead: Tensor
    turn: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.pixels)


def find_objects(maps: dict[str, Tensor], config: PixelJudgeConfig) -> list[Found]:
    """The objects of each of M frames, from maps [M, n, Y, X]."""
    heat = maps["centre"].sigmoid()
    peak = (heat == functional.max_pool2d(heat, 5, 1, 2)) & (heat > config.centre)
    logs = {name: maps[name].log_softmax(1) for name in CLASSES}
    there = maps["object"][:, 0] > 0
    Y, X = there.shape[1:]
    down, across = torch.meshgrid(_line(Y), _line(X), indexing="ij")
    vote = torch.stack([across, down]) + maps["offset"]  # [M, 2, Y, X]
    found = []
    for m in range(len(there)):
        y, x = peak[m, 0].nonzero().unbind(1)
        best = heat[m, 0, y, x].argsort(descending=True)[:MOST]
        middles = torch.stack([across[y, x], down[y, x]], -1)[best]  # [K, 2]
        mask = _members(vote[m], middles, there[m])
        pixels = mask.sum((1, 2))
        keep = pixels >= config.min_pixels
        mask, pixels = mask[keep], pixels[keep]
        found.append(_read(m, mask, pixels, maps, logs, across, down))
    return found


def _members(vote_2YX: Tensor, middles_K2: Tensor, there: Tensor) -> Tensor:
    """Which places belong to which middle, bool [K, Y, X]."""
    if not len(middles_K2):
        return torch.zeros(0, *there.shape, dtype=torch.bool)
    gap = (vote_2YX - middles_K2[..., None, None]).norm(dim=1)
    nearest = gap.argmin(0)
    near = (gap.amin(0) < REACH) & there
    return (nearest == torch.arange(len(middles_K2))[:, None, None]) & near


def _read(
    m: int,
    mask: Tensor,
    pixels: Tensor,
    maps: dict[str, Tensor],
    logs: dict[str, Tensor],
    across: Tensor,
    down: Tensor,
) -> Found:
    share = mask / pixels.clamp_min(1)[:, None, None]

    def mean(values: Tensor) -> Tensor:
        return torch.einsum("kyx,nyx->kn", share, values)

    edges = []
    for line in (across, down):
        edges.append(torch.where(mask, line, 2.0).flatten(1).amin(1))
        edges.append(torch.where(mask, line, -1.0).flatten(1).amax(1))
    box = torch.cat([mean(torch.stack([across, down])), torch.stack(edges, -1)], -1)
    chances = {name: mean(log[m]) for name, log in logs.items()}
    return Found(box, pixels, chances, mean(maps["ahead"][m]), mean(maps["turn"][m]), mask)


def _line(size: int) -> Tensor:
    return (torch.arange(size) + 0.5) / size
