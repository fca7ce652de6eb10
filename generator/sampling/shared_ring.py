"""One cache for the rings of several engines, so that one forward serves videos that stand at
different frames.

The memory of every ring becomes a range of rows in one tensor. Each ring goes on as before: it
counts its own frames, and its prefix has its own length. What differs between rows is told to the
attention token by token: slots, rotations, and what is hidden.

Legend: R rows of all rings, T tokens of one forward, M key/value heads, C slots that are seen.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..model.layers import LayerAttention
from .frame_ring import FrameRing, Placed, cache_attention


class SharedRing:
    """Rings side by side, in their order.

    Args:
        rings: of one decoder, at least one. Their memory moves into this one.
    """

    def __init__(self, rings: Sequence[FrameRing]) -> None:
        self.rings = list(rings)
        self.kv = _side_by_side([ring.kv for ring in rings], rows_at=2)
        self.bare_keys = _side_by_side([ring.bare_keys for ring in rings], rows_at=1)
        end = 0
        for ring in rings:
            begin = end
            end += ring.rows
            ring.kv = self.kv[:, :, begin:end, :, : ring.slots + 1]
            ring.bare_keys = self.bare_keys[:, begin:end, :, : ring.anchors + 1]
        self._memory = [ring.kv for ring in rings]

    def holds(self, rings: Sequence[FrameRing]) -> bool:
        """Whether these rings, and no others, still have their memory here."""
        if len(rings) != len(self.rings):
            return False
        return all(
            ring is mine and ring.kv is memory
            for ring, mine, memory in zip(rings, self.rings, self._memory)
        )

    def extend(self, places: Sequence[Tensor]) -> LayerAttention:
        """As `FrameRing.extend`, with the places int64 [rows, T] of each ring's tokens."""
        placed = [ring.place(place_BT) for ring, place_BT in zip(self.rings, places)]
        seen = max(ring.seen for ring in self.rings)
        together = Placed(
            torch.cat([each.slot_BT for each in placed]),
            torch.cat([each.bare_slot_BT for each in placed]),
            torch.cat([_hidden_up_to(seen, each.bias_BTC) for each in placed]),
            torch.cat([each.rotation for each in placed]),
        )
        anchors = any(ring.writes_anchors for ring in self.rings)
        first = self.rings[0]
        return cache_attention(
            first.config, self.kv, self.bare_keys, together, anchors, first.backend
        )


def release(ring: FrameRing) -> None:
    """Give a ring memory of its own again."""
    ring.kv = ring.kv.clone()
    ring.bare_keys = ring.bare_keys.clone()


def _side_by_side(memories: Sequence[Tensor], rows_at: int) -> Tensor:
    """These tensors in one along the dimension of rows, each with as many slots as the largest."""
    slots = max(memory.shape[-2] for memory in memories)
    wide = [pad(memory, (0, 0, 0, slots - memory.shape[-2])) for memory in memories]
    return torch.cat(wide, dim=rows_at)


def _hidden_up_to(seen: int, bias_BTC: Tensor) -> Tensor:
    return pad(bias_BTC, (0, seen - bias_BTC.shape[2]), value=-torch.inf)
