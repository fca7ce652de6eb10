"""The renderer of the stage: pictures of scenes at any size, with the exact truth of every pixel.

A frame is cut into tiles. The backdrop is drawn with one ray per pixel, and once more with several
in tiles where two of its surfaces meet; objects are drawn with several rays per pixel, in the tiles
that the ball around them touches and nowhere else. All of this is elementwise over rows of one tile
and one position within the pixel, so that `torch.compile` fuses it, with one graph per step
whatever the number of rows.

Shapes: B clips, F frames, M = B * F frames, T tiles of a frame, K rows, P pixels of a tile, S rays
of a pixel, N objects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..scene import SHAPES, Scenes
from .backdrop import backdrop
from .combine import combine, encode
from .finish import finish
from .params import Layout, frame_tables, own_tables, pack, pixel_size
from .shade import hit, shade
from .shapes import NEVER
from .tiles import Grid, offsets, touched

PIXELS_AT_ONCE = 1 << 18  # of the frames that are drawn together


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

_compiled: dict[object, Callable[..., Any]] = {}


def _step(key: object, function: Callable[..., Any], compiled: bool) -> Callable[..., Any]:
    """The function itself, or fused for any number of rows."""
    if not compiled:
        return function
    if key not in _compiled:
        _compiled[key] = torch.compile(function, dynamic=False)
    return _compiled[key]


def _any_length(*tensors: Tensor, dim: int = 0) -> None:
    """Tell the compiler that the number of rows varies."""
    for tensor in tensors:
        torch._dynamo.mark_dynamic(tensor, dim)


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
    step = max(1, PIXELS_AT_ONCE // (size * size))
    for begin in range(0, M, step):
        block = slice(begin, min(begin + step, M))
        some = {name: value[block] for name, value in tables.items()}
        picture = Drawing(some, size, samples, compiled).picture()
        floats, regions[block], depth[block], faces[block] = picture
        frames = torch.arange(M)[block]
        floats = finish(floats, regions[block], faces[block], scenes, frames)
        video[block] = (floats * 255 + 0.5).to(torch.uint8)
    video = video.unflatten(0, (len(scenes), F)).transpose(1, 2).contiguous()
    shape = (len(scenes), F)
    truth = Truth(regions.unflatten(0, shape), depth.unflatten(0, shape), faces.unflatten(0, shape))
    return video, truth


class Drawing:
    """The steps that draw a block of frames, on tables [M, ...] of their numbers."""

    def __init__(self, tables: dict[str, Tensor], size: int, samples: int, compiled: bool) -> None:
        self.tables = tables
        self.grid = Grid(size)
        self.samples = samples
        self.compiled = compiled
        self.frames, self.slots = tables["there"].shape
        numbers = {name: table for name, table in tables.items() if name != "shape"}
        self.rows, self.layout = pack(numbers)
        self.own_rows, self.own_layout = pack(own_tables(numbers))

    def picture(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Display values [M, 3, Y, X]; regions, depth and faces [M, Y, X]."""
        grid, M, T = self.grid, self.frames, self.grid.count
        frame = torch.arange(M).repeat_interleave(T)
        tile = torch.arange(T).repeat(M)
        middle = torch.full((M * T, 2), 0.5)
        colour, distance, kind = self._backdrop(frame, tile, middle)
        display = encode(colour)
        near = touched(self.tables, grid)
        mixed = (kind != kind[:, :1]).any(1)
        active = (mixed | near.any(1)).nonzero()[:, 0]
        seen, face = torch.zeros_like(kind), torch.zeros_like(kind)
        if len(active):
            drawn = self._active(
                frame[active], tile[active], near[active], mixed[active], active, colour, distance
            )
            display[:, active], seen[active], face[active], distance[active] = drawn
        region = torch.where(seen > 0, seen, kind + BACKDROP).to(torch.uint8)
        return (
            grid.picture(display).transpose(0, 1).contiguous(),
            grid.picture(region),
            grid.picture(distance.clamp(max=FAR)),
            grid.picture((face + 8).to(torch.uint8)),
        )

    def _active(
        self,
        frame: Tensor,
        tile: Tensor,
        near: Tensor,
        mixed: Tensor,
        active: Tensor,
        colour: Tensor,
        distance: Tensor,
    ) -> tuple[Tensor, ...]:
        """What tiles show in which there is an object or an edge, as `combine` gives it."""
        places = offsets(self.samples)
        A, S = len(active), len(places)
        again = mixed.nonzero()[:, 0].repeat_interleave(S)
        sharp, _, _ = self._backdrop(frame[again], tile[again], places.repeat(len(again) // S, 1))
        behind_row = active[:, None].repeat(1, S)
        behind_row[mixed] = colour.shape[1] + torch.arange(len(again)).view(-1, S)
        where, slot = near.nonzero().unbind(1)
        object_row = torch.full((A, S, self.slots), len(where) * S)
        object_row[where, :, slot] = torch.arange(len(where) * S).view(-1, S)
        each = torch.arange(len(where)).repeat_interleave(S)
        sample = torch.arange(S).repeat(len(where))
        shown, t, kind = self._objects(
            frame[where][each], slot[each], tile[where][each], places[sample]
        )
        behind = torch.cat([colour, sharp], 1)
        row_of_tile = [behind_row, active, object_row]
        centre = S // 2 + self.samples // 2 if self.samples % 2 == 0 else S // 2
        step = _step(("combine", S, self.slots), combine, self.compiled)
        if self.compiled:
            _any_length(behind, shown, dim=1)
            _any_length(distance, t, kind, *row_of_tile)
        return step(behind, distance, shown, t, kind, *row_of_tile, centre)

    def _backdrop(
        self, frame: Tensor, tile: Tensor, place: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Linear colour [3, K, P], distance and kind [K, P]."""
        x, y = self.grid.plane(tile, place)
        step = self._fused("backdrop", partial(backdrop, self.layout), self.layout)
        red, green, blue, distance, kind = step(self.rows[frame], x, y)
        return torch.stack([red, green, blue]), distance, kind

    def _objects(
        self, frame: Tensor, slot: Tensor, tile: Tensor, place: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Linear colour [3, K + 1, P], distance and face [K + 1, P]; the last row hits nothing."""
        shape = self.tables["shape"][frame, slot]
        order = shape.argsort(stable=True)
        rows = self.own_rows[(frame * self.slots + slot)[order]]
        x, y = self.grid.plane(tile[order], place[order])
        K = len(order)
        hits = torch.full((5, K + 1, x.shape[1]), NEVER)
        shown = torch.zeros(3, K + 1, x.shape[1])
        first = 0
        for index, count in enumerate(shape.bincount(minlength=len(SHAPES)).tolist()):
            mine = slice(first, first + count)
            first += count
            if count:
                function = partial(hit, index, self.own_layout)
                step = self._fused(SHAPES[index], function, self.own_layout)
                for k, value in enumerate(step(rows[mine], x[mine], y[mine])):
                    hits[k, mine] = value
        if K:
            last = partial(shade, self.own_layout)
            step = self._fused("shade", last, self.own_layout)
            for k, value in enumerate(step(rows, x, y, *hits[:4, :K])):
                shown[k, :K] = value
        back = torch.cat([order.argsort(), torch.tensor([K])])
        return shown[:, back], hits[0, back], hits[4, back]

    def _fused(self, name: str, function: Callable[..., Any], layout: Layout) -> Callable[..., Any]:
        """A step over rows, padded to at least two, since one row would be another graph."""
        if not self.compiled:
            return function
        step = _step((name, layout), function, True)

        def call(*rows: Tensor) -> tuple[Tensor, ...]:
            K = len(rows[0])
            if K == 1:
                rows = tuple(x.repeat(2, 1) for x in rows)
            rows = tuple(x.contiguous() for x in rows)
            _any_length(*rows)
            return tuple(x[:K] for x in step(*rows))

        return call
