"""The tokens of a latent frame: those of its picture, then, if it has any, those of its sound.

    | picture, in its own order (order.py) | sound start | sound 0 .. n - 1 |

Tokens of the sound see the whole picture of their frame and the sound before them; those of the
picture see the sound of earlier frames alone. A frame without sound has the tokens of its picture
and no others, so it costs what it costs in a model without sound.

Legend: L tokens of a frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from .config import DecoderConfig
from .order import DecodeOrder, decode_order

SOUND_ROW = -2  # of the places of sound; the header of a frame stands in row -1


@dataclass(frozen=True, eq=False)
class FrameLayout:
    """The tokens of a latent frame.

    Args:
        picture: the order of its first tokens.
        sound: the order of those after them, or None.
        places_L2: row and column of each.
        unseen_LL: True where a token must not see another.
    """

    picture: DecodeOrder
    sound: DecodeOrder | None
    places_L2: Tensor
    unseen_LL: Tensor

    @property
    def length(self) -> int:
        return len(self.places_L2)


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # training may use what sampling has made
def frame_layout(config: DecoderConfig, sound: bool, device: torch.device) -> FrameLayout:
    """With the sound of a decoder that draws some, or without."""
    picture = decode_order(config.grid, config.wavefront, device)
    if not sound:
        return FrameLayout(picture, None, picture.places_L2, picture.unseen_LL)
    order = decode_order((1, config.sound.tokens), 0, device)
    column = torch.arange(-1, config.sound.tokens, device=device)
    places_L2 = torch.stack([torch.full_like(column, SOUND_ROW), column], dim=-1)
    length = picture.length + order.length
    unseen_LL = torch.zeros(length, length, dtype=torch.bool, device=device)
    unseen_LL[: picture.length, : picture.length] = picture.unseen_LL
    unseen_LL[: picture.length, picture.length :] = True
    unseen_LL[picture.length :, picture.length :] = order.unseen_LL
    return FrameLayout(picture, order, torch.cat([picture.places_L2, places_L2]), unseen_LL)
