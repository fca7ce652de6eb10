"""From rows of rays to the values of pixels: the nearest object before the backdrop, averaged over
the rays of a pixel.

Shapes: A tiles, S rays per pixel, P pixels, N objects, R rows of rays.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .shapes import NEVER


def combine(
    backdrop: Tensor,
    shown: Tensor,
    hits: Tensor,
    tile_row: Tensor,
    object_row: Tensor,
    centre: int,
) -> Tensor:
    """What tiles show in which there may be objects.

    Args:
        backdrop: display values, distance and kind of the backdrop, [5, R', P].
        shown: display values [3, R, P] of objects; hits: distance, normal and face [5, R, P]; in
            the last row nothing is hit.
        tile_row: row of each tile in `backdrop`, [A]; object_row: of each object, [A, S, N].
        centre: the ray that says what a pixel shows.

    Returns:
        [7, A, P]: display values; distance; slot + 1 of the object seen, or 0; its face; how many
        rays hit an object.
    """
    S, N = object_row.shape[1:]
    limit = backdrop[3][tile_row]
    behind = [backdrop[k][tile_row] for k in range(3)]
    total = [torch.zeros_like(limit) for _ in range(3)]
    covered = torch.zeros_like(limit)
    seen, seen_face, distance = covered, covered, limit
    for s in range(S):
        best = limit
        slot = torch.zeros_like(limit)
        face = torch.zeros_like(limit)
        colour = behind
        for n in range(N):
            row = object_row[:, s, n]
            t = hits[0][row]
            nearer = (t < best) & (t < NEVER)
            best = torch.where(nearer, t, best)
            slot = torch.where(nearer, n + 1.0, slot)
            colour = [torch.where(nearer, shown[k][row], colour[k]) for k in range(3)]
            if s == centre:
                face = torch.where(nearer, hits[4][row], face)
        total = [x + y for x, y in zip(total, colour, strict=True)]
        covered = covered + (slot > 0).float()
        if s == centre:
            seen, seen_face, distance = slot, face, best
    return torch.stack([*(x / S for x in total), distance, seen, seen_face, covered])
