"""The second stage of making the judge of pictures: the looks of objects from near.

Shapes: M frames of any clips, N object slots, K objects, Y X places of a map.
"""

from __future__ import annotations

import logging

import torch
import torch.nn.functional as functional
from torch import Tensor

from .close_ups import LOOK_HEADS, CloseUpNet, close_ups, squares
from .fit_frames import Rows, descents, spoil
from .targets import HIDDEN, LEAST_PIXELS

log = logging.getLogger(__name__)
MOVED = 0.08  # how far off the middle of a square may be, in sides
SCALED = (0.85, 1.2)


def seen_objects(slot_MYX: Tensor, slots: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Objects that show enough: their frames [K], slots [K] and boxes [K, 6] as in `detect`."""
    mask = slot_MYX[:, None] == torch.arange(slots)[:, None, None]
    frame, slot = (mask.sum((2, 3)) >= LEAST_PIXELS).nonzero().unbind(1)
    mine = mask[frame, slot]
    edges = []
    for axis in (1, 2):  # a row that shows it; then a column
        line = (torch.arange(mine.shape[3 - axis]) + 0.5) / mine.shape[3 - axis]
        shows = mine.any(axis)
        edges.append(torch.where(shows, line, 2.0).amin(1))
        edges.append(torch.where(shows, line, -1.0).amax(1))
    left, right, top, bottom = edges
    middle = [(left + right) / 2, (top + bottom) / 2]
    return frame, slot, torch.stack([*middle, *edges], -1)


def fit_close_ups(
    net: CloseUpNet, size: int, data: Rows, steps: int, batch: int = 64, rate: float = 3e-3
) -> None:
    """Train on the objects of rendered frames, in squares that are somewhat off, half of them
    mirrored and half spoiled."""
    generator = torch.Generator().manual_seed(4)
    parts = [seen_objects(part) for part in data["slot"].split(1024)]
    frame = torch.cat([part[0] + 1024 * index for index, part in enumerate(parts)])
    slot = torch.cat([part[1] for part in parts])
    box = torch.cat([part[2] for part in parts])
    for step, descend in descents(net, steps, rate):
        rows = torch.randint(len(frame), (batch,), generator=generator)
        pictures = data["pictures"][frame[rows]].float() / 127.5 - 1
        middle, side = _about(*squares(box[rows]), generator)
        near = close_ups(pictures, torch.arange(batch), middle, side, size)
        mirrored = torch.rand(batch, 1, 1, 1, generator=generator) < 0.5
        near = spoil(torch.where(mirrored, near.flip(-1), near), generator)
        words = net(near.contiguous(memory_format=torch.channels_last))
        losses = {}
        for name in LOOK_HEADS:
            wanted = data[name][frame[rows], slot[rows]].long()
            losses[name] = functional.cross_entropy(words[name], wanted, ignore_index=HIDDEN)
        descend(sum(losses.values(), torch.zeros(())))
        if step % 100 == 0 or step == steps - 1:
            said = " ".join(f"{name} {value.item():.3f}" for name, value in losses.items())
            log.info("close-ups %d: %s", step, said)


def _about(middle_K2: Tensor, side_K: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Squares near the given ones, as boxes that were found differ from true ones."""
    off = torch.rand(middle_K2.shape, generator=generator) * 2 - 1
    low, high = SCALED
    scale = low + (high - low) * torch.rand(side_K.shape, generator=generator)
    return middle_K2 + MOVED * off * side_K[:, None], side_K * scale
