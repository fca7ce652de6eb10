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

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ..scene import SHAPES, Scenes
from .backdrop import backdrop
from .combine import combine
from .finish import finish
from .params import frame_tables, own_tables, pack, pixel_size
from .shade import hit, shade
from .shapes import NEVER
from .tiles import TILE, Grid, offsets, touched

PIXELS_AT_ONCE = 1 << 19  # of the frames that are drawn together
ROWS = 256  # of one tile each in a fused step


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

HIT_TABLES = ("eye", "view", "lens", "own_centre", "own_rotation", "own_radius")

_compiled: dict[Hashable, Callable[..., Tensor]] = {}


def _compile(key: Hashable, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function fused by the compiler, once for each key."""
    if key not in _compiled:
        _compiled[key] = torch.compile(function, dynamic=False)
    return _compiled[key]


def _run(
    key: Hashable, function: Callable[..., Tensor], rows: tuple[Tensor, ...], compiled: bool
) -> Tensor:
    """A step on rows [K, ...], giving [C, K, P]; fused ones take ROWS rows at a time.

    Graphs of a fixed number of rows compile in half the time of others.
    """
    if not compiled:
        return function(*rows)
    step = _compile(key, function)
    K = len(rows[0])
    parts = []
    with torch._dynamo.config.patch(recompile_limit=64):
        for begin in range(0, K, ROWS):
            block = [x[begin : begin + ROWS] for x in rows]
            spare = ROWS - len(block[0])
            if spare:
                block = [torch.cat([x, x[-1:].expand(spare, -1)]) for x in block]
            parts.append(step(*block)[:, : ROWS - spare])
    return torch.cat(parts, 1) if len(parts) > 1 else parts[0]


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
        own = own_tables(numbers)
        self.own_rows, self.own_layout = pack(own)
        self.hit_rows, self.hit_layout = pack({name: own[name] for name in HIT_TABLES})

    def picture(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Display values [M, 3, Y, X]; regions, depth and faces [M, Y, X]."""
        grid, M, T = self.grid, self.frames, self.grid.count
        x, y = grid.plane(torch.tensor([0.5, 0.5]))
        frame = torch.arange(M).repeat_interleave(T)
        backdrop = self._backdrop(frame, x.repeat(M, 1), y.repeat(M, 1))
        near = touched(self.tables, grid)
        active = near.any(1).nonzero()[:, 0]
        # Display values, distance, kind; then slot and face of an object, and its rays.
        shown = torch.cat([backdrop, torch.zeros_like(backdrop[:3])])
        if len(active):
            drawn = self._objects(active, near[active], backdrop)
            shown[:4, active], shown[5:, active] = drawn[:4], drawn[4:]
        shown = grid.picture(shown)  # [8, M, Y, X]
        kind, slot, face, covered = shown[4:]
        if self.samples > 1:
            self._smooth_edges(shown[:3], kind, covered == 0)
        region = torch.where(slot > 0, slot, kind + BACKDROP).to(torch.uint8)
        depth = shown[3].clamp(max=FAR)
        return shown[:3].transpose(0, 1), region, depth, (face + 8).to(torch.uint8)

    def _backdrop(self, frame: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Display values, distance and kind [5, K, P] at places x, y [K, P] of frames [K]."""
        step = partial(backdrop, self.layout)
        return _run(("backdrop", self.layout), step, (self.rows[frame], x, y), self.compiled)

    def _smooth_edges(self, picture: Tensor, kind: Tensor, bare: Tensor) -> None:
        """Draw pixels again, with several rays, where surfaces of the backdrop meet; in place.

        picture [3, M, Y, X]; kind, bare [M, Y, X], bare where no object covers any of a pixel.
        """
        mixed = torch.zeros_like(bare)
        down = kind[:, 1:] != kind[:, :-1]
        mixed[:, 1:] |= down
        mixed[:, :-1] |= down
        across = kind[:, :, 1:] != kind[:, :, :-1]
        mixed[:, :, 1:] |= across
        mixed[:, :, :-1] |= across
        frame, row, column = (mixed & bare).nonzero().unbind(1)
        if not len(frame):
            return
        S, P = self.samples**2, TILE * TILE
        # Each frame's pixels fill rows of P, the last of which is filled up with its first pixel.
        count = frame.bincount(minlength=self.frames)
        lines = -(-count // P)
        first = count.cumsum(0) - count
        line_frame = torch.arange(self.frames).repeat_interleave(lines)
        line = torch.arange(len(line_frame)) - (lines.cumsum(0) - lines)[line_frame]
        pixel = line[:, None] * P + torch.arange(P)
        spare = pixel >= count[line_frame, None]
        pixel = first[line_frame, None] + torch.where(spare, 0, pixel)
        place = offsets(self.samples)[:, None, None]
        size = self.grid.size
        x = (column[pixel] + place[..., 1]) * (2 / size) - 1  # [S, lines, P]
        y = 1 - (row[pixel] + place[..., 0]) * (2 / size)
        drawn = self._backdrop(line_frame.repeat(S), x.flatten(0, 1), y.flatten(0, 1))
        mean = drawn[:3].unflatten(1, (S, -1)).mean(1)
        picture[:, frame, row, column] = mean[:, ~spare]

    def _objects(self, active: Tensor, near: Tensor, backdrop: Tensor) -> Tensor:
        """What tiles show in which there may be objects, as `combine` gives it.

        active [A]: which of the M * T tiles; near bool [A, N]: which objects there may be.
        """
        T, S = self.grid.count, self.samples**2
        where, slot = near.nonzero().unbind(1)
        shape = self.tables["shape"][active[where] // T, slot]
        order = shape.argsort(stable=True)
        where, slot, shape = where[order], slot[order], shape[order]
        # Rows go shape by shape, and within a shape ray by ray.
        counts = shape.bincount(minlength=len(SHAPES)).tolist()
        pairs = torch.arange(len(where)).split(counts)
        pair = torch.cat([some.repeat(S) for some in pairs])
        sample = torch.cat([torch.arange(S).repeat_interleave(len(some)) for some in pairs])
        own = active[where] // T * self.slots + slot
        planes_x, planes_y = self.grid.planes(self.samples)
        tile = sample * T + (active[where] % T)[pair]
        x, y = planes_x[tile], planes_y[tile]
        K = len(pair)
        hits = torch.full((5, K + 1, x.shape[1]), NEVER)
        shown = torch.zeros(3, K + 1, x.shape[1])
        rows = self.hit_rows[own[pair]]
        first = 0
        for index, count in enumerate(counts):
            mine = slice(first, first + count * S)
            first += count * S
            if count:
                step = partial(hit, index, self.hit_layout)
                some = (rows[mine], x[mine], y[mine])
                hits[:, mine] = _run(SHAPES[index], step, some, self.compiled)
        step = partial(shade, self.own_layout)
        some = (self.own_rows[own[pair]], x, y, *hits[:4, :K])
        shown[:, :K] = _run(("shade", self.own_layout), step, some, self.compiled)
        object_row = torch.full((len(active), S, self.slots), K)
        object_row[where[pair], sample, slot[pair]] = torch.arange(K)
        centre = S // 2 + self.samples // 2 if self.samples % 2 == 0 else S // 2
        if not self.compiled or len(active) == 1:
            return combine(backdrop, shown, hits, active, object_row, centre)
        join = _compile(("combine", S, self.slots), combine)
        for x, axis in ((backdrop, 1), (shown, 1), (hits, 1), (active, 0), (object_row, 0)):
            torch._dynamo.mark_dynamic(x, axis)
        with torch._dynamo.config.patch(recompile_limit=64):
            return join(backdrop, shown, hits, active, object_row, centre)
