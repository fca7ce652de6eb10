"""Spatial tiles: a picture processed piece by piece, with the result of the whole picture.

Legend: H W grid of cells (patches of a picture), B batch, t frames of any kind.

Every layer of a tokenizer sees a fixed number of cells around each cell. A tile is therefore its
core plus a halo as wide as all layers together can see, and only the output for the core is kept.
At the border of the picture the halo ends with the picture, so a layer finds the same padding there
that it finds without tiles.

The state of a stream is a picture as well. A tile cuts its window out of the state of the whole
picture and writes its core back, so the state is the same as without tiles. Tiles may therefore be
used, left out, or change their size in the middle of a video.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor

from .blocks import State

Step = Callable[[Tensor, State], tuple[Tensor, State]]
STATE_AXIS = 2  # states are channels-last: [B, t, rows, columns, C]


class Span(NamedTuple):
    """One axis of a tile in cells: core from `start` to `stop`, with halo from `low` to `high`."""

    start: int
    stop: int
    low: int
    high: int


class Tile(NamedTuple):
    """A tile of a grid, for maps that have n x n values for every cell."""

    grid: tuple[int, int]
    sides: tuple[Span, Span]

    def cut(self, whole: Tensor, axis: int) -> Tensor:
        """The window (core and halo) of a map, with rows on `axis` and columns on the next axis."""
        for dim, cells, side in zip((axis, axis + 1), self.grid, self.sides):
            n = whole.shape[dim] // cells
            whole = whole.narrow(dim, side.low * n, (side.high - side.low) * n)
        return whole

    def paste(self, window: Tensor, axis: int, whole: Tensor | None) -> Tensor:
        """Write the core of `window` to its place in `whole`, which the first tile makes."""
        shape = list(window.shape)
        places = []
        for dim, cells, side in zip((axis, axis + 1), self.grid, self.sides):
            n = window.shape[dim] // (side.high - side.low)
            shape[dim] = cells * n
            window = window.narrow(dim, (side.start - side.low) * n, (side.stop - side.start) * n)
            places.append((dim, side.start * n, (side.stop - side.start) * n))
        whole = window.new_empty(shape) if whole is None else whole
        target = whole
        for place in places:
            target = target.narrow(*place)
        target.copy_(window)
        return whole


def spans(cells: int, core: int, halo: int) -> Iterator[Span]:
    """Cut one side of a grid into cores of `core` cells (the last may be smaller)."""
    for start in range(0, cells, core):
        stop = min(start + core, cells)
        yield Span(start, stop, max(0, start - halo), min(cells, stop + halo))


def tiled(
    step: Step, tile: int | None, patch: int, halo: int, pitch: int, axes: tuple[int, int]
) -> Step:
    """`step`, changed to work on tiles of `tile` pixels (rounded up to cells) with a halo.

    `halo` is in cells. `pitch` is the number of input rows per cell. `axes` are the axes of rows in
    the input and in the output; columns are on the axis after it. Without `tile` the step is
    returned as it is. ValueError if `tile` is below 1.
    """
    if tile is None:
        return step
    if tile < 1:
        raise ValueError(f"tile is the side of a tile in pixels and must be at least 1; got {tile}")
    core = -(-tile // patch)

    def step_by_tiles(x: Tensor, state: State) -> tuple[Tensor, State]:
        grid = x.shape[axes[0]] // pitch, x.shape[axes[0] + 1] // pitch
        output: Tensor | None = None
        new_state: State = {}
        for rows in spans(grid[0], core, halo):
            for columns in spans(grid[1], core, halo):
                place = Tile(grid, (rows, columns))
                past = {key: place.cut(value, STATE_AXIS) for key, value in state.items()}
                window, present = step(place.cut(x, axes[0]), past)
                output = place.paste(window, axes[1], output)
                for key, value in present.items():
                    new_state[key] = place.paste(value, STATE_AXIS, new_state.get(key))
        assert output is not None, "a picture has at least one cell"
        return output, new_state

    return step_by_tiles
