"""The renderer of the stage: pictures of scenes at any size, with the exact truth of every pixel.

A frame is cut into tiles. The backdrop is drawn with one ray per pixel and once more with several
where two surfaces meet in a tile; objects are drawn with several rays per pixel, in the tiles that
the ball around them touches and nowhere else. All of this is elementwise over rows of one tile and
one position within the pixel, so that `torch.compile` fuses it, with one graph per step whatever
the number of rows.

Shapes: B clips, F frames, M = B * F frames, K rows, P = TILE * TILE pixels, N objects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .backdrop import backdrop, dot, rays
from .finish import finish
from .params import frame_tables, own_tables, pixel_size
from .scene import SHAPES, Scenes
from .shade import hit, shade
from .shapes import BOUND, NEVER

TILE = 16
FRAMES_AT_ONCE = 1 << 20  # pixels drawn together


@dataclass(frozen=True)
class Truth:
    """What each pixel shows.

    regions uint8 [B, F, Y, X]: n + 1 for slot n, BACKDROP and more for what is
        behind all objects.
    depth float32 [B, F, Y, X]: metres along the ray to what is seen, FAR for the sky.
    faces uint8 [B, F, Y, X]: a number of the face of an object, so that its creases show.
    """

    regions: Tensor
    depth: Tensor
    faces: Tensor


FAR = 100.0  # metres; the depth of the sky
BACKDROP = 10  # regions from here on are no objects, in the order of BACKDROP_REGIONS
BACKDROP_REGIONS = (
    "sky",
    "ground",
    "top of the rim",
    "front of the rim",
    "side wall",
    "back wall",
    "ceiling",
)

_compiled: dict[str, Callable[..., Any]] = {}


def _step(name: str, function: Callable[..., Any], compiled: bool) -> Callable[..., Any]:
    """The function itself, or fused for any number of rows."""
    if not compiled:
        return function
    if name not in _compiled:
        _compiled[name] = torch.compile(function, dynamic=True)
    return _compiled[name]


def render(
    scenes: Scenes, size: int = 128, samples: int = 2, compiled: bool = False
) -> tuple[Tensor, Truth]:
    """Draw scenes.

    Args:
        size: pixels of each side.
        samples: rays per pixel along each side, where there is an edge.
        compiled: fuse with torch.compile (worth it beyond a few hundred frames; needs a C++
            compiler).

    Returns:
        video uint8 [B, 3, F, Y, X] and the truth of its pixels.
    """
    if size < 1 or samples < 1:
        raise ValueError(f"size and samples must be at least 1; got {size} and {samples}")
    F = scenes.frames
    M = len(scenes) * F
    tables = pixel_size(frame_tables(scenes), size)
    video = torch.empty(M, 3, size, size, dtype=torch.uint8)
    regions = torch.empty(M, size, size, dtype=torch.uint8)
    faces = torch.empty(M, size, size, dtype=torch.uint8)
    depth = torch.empty(M, size, size)
    step = max(1, FRAMES_AT_ONCE // (size * size))
    for begin in range(0, M, step):
        block = slice(begin, min(begin + step, M))
        picture = _draw(tables, torch.arange(M)[block], size, samples, compiled)
        floats, regions[block], depth[block], faces[block] = picture
        floats = finish(floats, regions[block], faces[block], scenes, torch.arange(M)[block])
        video[block] = (floats * 255 + 0.5).to(torch.uint8)
    video = video.unflatten(0, (len(scenes), F)).transpose(1, 2).contiguous()
    shape = (len(scenes), F)
    truth = Truth(regions.unflatten(0, shape), depth.unflatten(0, shape), faces.unflatten(0, shape))
    return video, truth


class _Grid:
    """Tiles of a square picture and the places of their pixels."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.side = -(-size // TILE)  # tiles along each side
        self.count = self.side**2
        tile = torch.arange(self.count)
        self.top, self.left = tile // self.side * TILE, tile % self.side * TILE
        pixel = torch.arange(TILE * TILE)
        self.row, self.column = pixel // TILE, pixel % TILE

    def plane(self, tile: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        """Places [K, P] in the picture, x to the right and y up, 1 at the edges; offset [K, 2]."""
        y = self.top[tile, None] + self.row + offset[:, :1]
        x = self.left[tile, None] + self.column + offset[:, 1:]
        return x * (2 / self.size) - 1, 1 - y * (2 / self.size)

    def picture(self, rows: Tensor, frames: int) -> Tensor:
        """[frames, Y, X] of rows [frames * tiles, P]."""
        side, size = self.side, self.size
        x = rows.view(frames, side, side, TILE, TILE).transpose(2, 3)
        return x.reshape(frames, side * TILE, side * TILE)[:, :size, :size]


def _offsets(samples: int) -> Tensor:
    place = (torch.arange(samples) + 0.5) / samples
    return torch.cartesian_prod(place, place).view(-1, 2)


def _draw(
    tables: dict[str, Tensor], frames: Tensor, size: int, samples: int, compiled: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Display values, regions, depth and faces of a block of frames."""
    grid = _Grid(size)
    tables = {name: value[frames] for name, value in tables.items()}
    M, T = len(frames), grid.count
    frame, tile = torch.arange(M).repeat_interleave(T), torch.arange(T).repeat(M)
    *colour, distance, kind = _backdrop(tables, grid, frame, tile, None, compiled)
    colours = torch.stack(colour)
    mixed = (kind != kind[:, :1]).any(1)
    touched = _touched(tables, grid)  # [M * T, N]
    active = (mixed | touched.any(1)).nonzero()[:, 0]
    offsets = _offsets(samples)
    S = len(offsets)
    seen = torch.zeros_like(kind)
    face = torch.zeros_like(kind)
    # Backdrop of the active tiles at every position within the pixel.
    behind = colours[:, active, None].expand(-1, -1, S, -1).clone()
    again = mixed[active].nonzero()[:, 0]
    rows = active[again].repeat_interleave(S)
    *colour, _, _ = _backdrop(
        tables, grid, frame[rows], tile[rows], offsets.repeat(len(again), 1), compiled
    )
    behind[:, again] = torch.stack(colour).unflatten(1, (len(again), S))
    # Objects: one row per active tile, slot and position.
    where, slot = touched[active].nonzero().unbind(1)
    own_where, own_slot = where.repeat_interleave(S), slot.repeat_interleave(S)
    sample = torch.arange(S).repeat(len(where))
    shown, t, kind_of_face = _objects(
        tables, grid, frame[active], tile[active], own_where, own_slot, offsets[sample], compiled
    )
    best = torch.full((len(active), S, TILE * TILE), NEVER)
    best_slot = torch.zeros_like(best)
    best_face = torch.zeros_like(best)
    front = behind
    for n in range(tables["there"].shape[1]):
        rows = (own_slot == n).nonzero()[:, 0]
        a, s = own_where[rows], sample[rows]
        nearer = t[rows] < torch.minimum(best[a, s], distance[active[a]])
        best[a, s] = torch.where(nearer, t[rows], best[a, s])
        best_slot[a, s] = torch.where(nearer, n + 1.0, best_slot[a, s])
        best_face[a, s] = torch.where(nearer, kind_of_face[rows], best_face[a, s])
        for k in range(3):
            front[k, a, s] = torch.where(nearer, shown[k, rows], front[k, a, s])
    centre = S // 2 + samples // 2 if samples % 2 == 0 else S // 2
    hit_there = best_slot[:, centre] > 0
    seen[active] = torch.where(hit_there, best_slot[:, centre], 0.0)
    face[active] = torch.where(hit_there, best_face[:, centre], 0.0)
    distance[active] = torch.where(hit_there, best[:, centre], distance[active])
    colours[:, active] = _encode(front).mean(2)
    still = torch.ones(M * T, dtype=torch.bool)
    still[active] = False
    colours[:, still] = _encode(colours[:, still])
    pictures = torch.stack([grid.picture(c, M) for c in colours], 1)
    region = torch.where(seen > 0, seen, kind + BACKDROP).to(torch.uint8)
    depth = grid.picture(distance.clamp(max=FAR), M)
    faces = grid.picture((face + 8).to(torch.uint8), M)
    return pictures, grid.picture(region, M), depth, faces


def _encode(linear: Tensor) -> Tensor:
    """Linear light to display values in [0, 1], softly below 1."""
    x = linear.clamp_min(0)
    curve = 1.055 * x.clamp(0.0031308, 1.0) ** (1 / 2.4) - 0.055
    return torch.where(x < 0.0031308, 12.92 * x, curve)


def _backdrop(
    tables: dict[str, Tensor],
    grid: _Grid,
    frame: Tensor,
    tile: Tensor,
    offset: Tensor | None,
    compiled: bool,
) -> tuple[Tensor, ...]:
    rows = {name: value[frame] for name, value in tables.items()}
    if offset is None:
        offset = torch.full((len(frame), 2), 0.5)
    return _step("backdrop", backdrop, compiled)(rows, *grid.plane(tile, offset))


def _touched(tables: dict[str, Tensor], grid: _Grid) -> Tensor:
    """bool [M * T, N]: whether the ball around an object can show in a tile.

    It can where the angle between the tile's middle and the ball's is at most that of both radii.
    """
    M, N = tables["there"].shape
    T = grid.count
    camera = {name: tables[name] for name in ("view", "lens")}
    middle_y = grid.top[None] + TILE / 2
    middle_x = grid.left[None] + TILE / 2

    def directions(dy: float, dx: float) -> list[Tensor]:
        x = (middle_x + dx) * (2 / grid.size) - 1
        y = 1 - (middle_y + dy) * (2 / grid.size)
        return list(rays(camera, x.expand(M, T), y.expand(M, T)))

    middle = directions(0.0, 0.0)
    half = TILE / 2
    corners = [directions(dy, dx) for dy in (-half, half) for dx in (-half, half)]
    least = torch.stack([dot(corner, middle) for corner in corners]).amin(0).clamp(-1, 1)
    tile_angle = least.acos()  # [M, T]
    delta = tables["centre"] - tables["eye"][:, None]
    length = delta.norm(dim=-1)
    way = delta / length[..., None]
    bound = torch.tensor(BOUND)[tables["shape"]] * tables["radius"]
    ball_angle = (bound / length).clamp(max=1.0).asin()
    cosine = sum(middle[k][:, :, None] * way[:, None, :, k] for k in range(3))
    angle = cosine.clamp(-1, 1).acos()
    near = angle <= tile_angle[..., None] + ball_angle[:, None] + 1e-3
    return (near & (tables["there"] > 0)[:, None]).view(M * T, N)


def _objects(
    tables: dict[str, Tensor],
    grid: _Grid,
    frame: Tensor,
    tile: Tensor,
    where: Tensor,
    slot: Tensor,
    offset: Tensor,
    compiled: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Colours [3, K, P], distance and face [K, P] of rows of objects."""
    rows = own_tables(tables, frame[where], slot)
    x, y = grid.plane(tile[where], offset)
    shape = tables["shape"][frame[where], slot]
    hits = torch.empty(5, *x.shape)
    for index, word in enumerate(SHAPES):
        mine = (shape == index).nonzero()[:, 0]
        if len(mine):
            some = {k: v[mine] for k, v in rows.items() if k.startswith("own_") or k in CAMERA}
            step = _step(f"hit {word}", partial(hit, index), compiled)
            hits[:, mine] = torch.stack(step(some, x[mine], y[mine]))
    t, *normal, face = hits
    shown = _step("shade", shade, compiled)(rows, x, y, t, *normal)
    return torch.stack(shown), t, face


CAMERA = ("eye", "view", "lens")
