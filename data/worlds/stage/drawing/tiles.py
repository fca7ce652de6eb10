"""Tiles of a picture: where their pixels are, and which objects can show in them.

Shapes: M frames, T tiles of a frame, K rows of one tile each, P = TILE * TILE pixels, N objects.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .backdrop import rays
from .shapes import BOUND, dot

TILE = 16


class Grid:
    """Tiles of a square picture, row by row, and the places of their pixels."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.side = -(-size // TILE)  # tiles along each side
        self.count = self.side**2
        tile = torch.arange(self.count)
        self.top = tile // self.side * TILE
        self.left = tile % self.side * TILE
        pixel = torch.arange(TILE * TILE)
        self.row, self.column = pixel // TILE, pixel % TILE

    def plane(self, offset: Tensor) -> tuple[Tensor, Tensor]:
        """Places [T, P] in the picture, x to the right and y up, 1 at the edges; offset [2]."""
        x = (self.left[:, None] + self.column + offset[1]) * (2 / self.size) - 1
        y = 1 - (self.top[:, None] + self.row + offset[0]) * (2 / self.size)
        return x, y

    def planes(self, samples: int) -> tuple[Tensor, Tensor]:
        """Places [S * T, P] of all rays of a pixel, the same ray of all tiles one after another."""
        each = [self.plane(offset) for offset in offsets(samples)]
        return torch.cat([x for x, _ in each]), torch.cat([y for _, y in each])

    def picture(self, rows: Tensor) -> Tensor:
        """[..., M, Y, X] of rows [..., M * T, P]."""
        side = self.side
        x = rows.unflatten(-2, (-1, side, side)).unflatten(-1, (TILE, TILE)).transpose(-3, -2)
        x = x.flatten(-2).flatten(-3, -2)
        return x[..., : self.size, : self.size]


def offsets(samples: int) -> Tensor:
    """Positions of samples * samples rays within a pixel, [S, 2] in (0, 1)."""
    place = (torch.arange(samples) + 0.5) / samples
    return torch.cartesian_prod(place, place).view(-1, 2)


def touched(tables: dict[str, Tensor], grid: Grid) -> Tensor:
    """bool [M * T, N]: whether the ball around an object can show in a tile.

    It can where the angle between the tile's middle and the ball's is at most that of both radii.
    """
    M, N = tables["there"].shape
    camera = {name: tables[name] for name in ("view", "lens")}

    def directions(dy: float, dx: float) -> list[Tensor]:
        x = (grid.left[None] + TILE / 2 + dx) * (2 / grid.size) - 1
        y = 1 - (grid.top[None] + TILE / 2 + dy) * (2 / grid.size)
        return list(rays(camera, x.expand(M, -1), y.expand(M, -1)))

    middle = directions(0.0, 0.0)
    half = TILE / 2
    corners = [directions(dy, dx) for dy in (-half, half) for dx in (-half, half)]
    least = torch.stack([dot(corner, middle) for corner in corners]).amin(0)
    tile_angle = least.clamp(-1, 1).acos()  # [M, T]
    delta = tables["centre"] - tables["eye"][:, None]
    length = delta.norm(dim=-1)
    way = delta / length[..., None]
    bound = torch.tensor(BOUND)[tables["shape"]] * tables["radius"]
    ball_angle = (bound / length).clamp(max=1.0).asin()
    cosine = dot([x[:, :, None] for x in middle], [way[:, None, :, k] for k in range(3)])
    angle = cosine.clamp(-1, 1).acos()
    near = angle <= tile_angle[..., None] + ball_angle[:, None] + 1e-3
    return (near & (tables["there"] > 0)[:, None]).view(-1, N)
