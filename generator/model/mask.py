"""Who sees whom in a sequence of whole frames, and at which distance.

Legend: B batch, P prefix tokens, T frames, L tokens of a frame, C keys that a frame sees, R
rotations.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from . import rope
from .config import DecoderConfig
from .frame_layout import FrameLayout, frame_layout


@dataclass(frozen=True)
class FrameView:
    """What the queries of one frame see: tokens [first, last) of the sequence and, when first > 0,
    the anchors.

    Args:
        anchor_rotation: [anchors, R], how to rotate the anchors when they must seem nearer than
            they are, else None.
        keys: how many there are in all.
    """

    first: int
    last: int
    anchor_rotation: Tensor | None
    keys: int


@dataclass(frozen=True)
class FramePlan:
    """Views of all frames, the rotation of each token where it stands, and the number of anchors
    (prefix and sinks)."""

    rotation: Tensor
    anchors: int
    views: tuple[FrameView, ...]


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # training may use what sampling has made
def plan_frames(
    config: DecoderConfig,
    prefix: int,
    frames: int,
    window: int,
    device: torch.device,
    dtype: torch.dtype,
    sound: bool = False,
) -> FramePlan:
    """A frame sees the prefix, the sinks and the last `window` frames; prefix and sinks at most
    `max_distance` away.

    Args:
        prefix: in tokens; `frames` and `window` in latent frames.
        dtype: of the model; float64 gives exact rotations.
        sound: whether frames have tokens of sound.

    Raises:
        ValueError: the window is longer than training allows.
    """
    config.check_window(window)
    speeds = rope.rotation_speeds(config.head_size, config.rope_base)
    layout = frame_layout(config, sound, torch.device("cpu"))
    frame_positions = rope.frame_positions(torch.arange(frames), layout.places_L2)
    positions = torch.cat([rope.prefix_positions(prefix), frame_positions])
    length = layout.length
    anchors = prefix + config.sinks * length
    views = []
    for t in range(frames):
        start = t - window + 1
        last = prefix + (t + 1) * length
        if start <= config.sinks:
            views.append(FrameView(0, last, None, last))
            continue
        first = prefix + start * length
        shift = config.anchor_shift(t)
        near = None
        if shift:
            near = rope.rotation(
                positions[:anchors] + torch.tensor([shift, 0, 0]), speeds, dtype
            ).to(device)
        views.append(FrameView(first, last, near, anchors + last - first))
    return FramePlan(rope.rotation(positions, speeds, dtype).to(device), anchors, tuple(views))


def frame_biases(
    plan: FramePlan,
    prefix_mask_BP: Tensor,
    layout: FrameLayout,
    dtype: torch.dtype,
    silent_B: Tensor | None = None,
) -> list[Tensor]:
    """Score biases [B, 1, L, C], 0 or -inf: of the prefix on itself (both directions), then of
    every frame.

    Within its view a frame sees itself as its layout says; prefix tokens that are padding are
    hidden from all, and so are tokens of sound in the rows that are silent, bool [B].
    """
    B, P = prefix_mask_BP.shape
    pad_BP = torch.zeros(B, P, dtype=dtype, device=prefix_mask_BP.device).masked_fill(
        ~prefix_mask_BP, -math.inf
    )
    L = layout.length
    later_LL = pad_BP.new_zeros(L, L).masked_fill_(layout.unseen_LL, -math.inf)
    biases = [pad_BP[:, None, None].expand(B, 1, P, P)]
    for view in plan.views:
        if view.keys != biases[-1].shape[-1]:  # it stays the same once the window is full
            bias_BLC = F.pad(later_LL, (view.keys - L, 0)).repeat(B, 1, 1)
            bias_BLC[:, :, :P] = pad_BP[:, None]
            if silent_B is not None:
                frames_BLTl = bias_BLC[:, :, P:].unflatten(2, (-1, L))
                sounds_BLTl = frames_BLTl[..., layout.picture.length :]
                sounds_BLTl.masked_fill_(silent_B[:, None, None, None], -math.inf)
            biases.append(bias_BLC[:, None])
        else:
            biases.append(biases[-1])
    return biases
