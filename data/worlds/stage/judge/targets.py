"""What the judge should say of rendered frames, from their exact state.

Shapes: B clips, F frames, M = B * F, N object slots, Y X places of a map (half the picture's).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..captions.observe import SHOWS_MATERIAL
from ..captions.picture import places
from ..colours import BASIC
from ..drawing.render import BACKDROP, Truth
from ..motion.camera import DISTANCE, HEIGHT, LENS
from ..scene import MATERIALS, SHAPES, STYLES, TIMES, WEATHERS, Scenes

OTHER = len(BASIC)  # class of every further colour
HIDDEN = -1  # class of what the picture does not show
CENTRE_WIDTH = 0.05  # of the bump around the middle of an object, as a share of the picture
LEAST_PIXELS = 4  # places of the map; an object that shows fewer has no middle


def pose_of(scenes: Scenes) -> Tensor:
    """The camera of each frame [B, F, 6]: angle around the stage, turn from its middle, pitch,
    height, logarithms of distance and lens; each about -1 to 1."""
    x, y, z = scenes.eye.unbind(-1)
    angle = torch.atan2(x, -z)
    far = (torch.hypot(x, z) / DISTANCE).log()
    yaw, pitch = scenes.view.unbind(-1)
    lens = (scenes.lens / LENS).log()
    columns = [angle / 0.4, (yaw + angle) / 0.3, (pitch + 0.28) / 0.15, (y - HEIGHT) / 0.5]
    return torch.stack([*columns, far / 0.3, lens / 0.3], -1)


def turned(scenes: Scenes) -> Tensor:
    """How each object is turned before the camera, [B, F, N, 14].

    Products of the axis of symmetry with itself (6), of the axis across the stripes (6; zero unless
    striped), and fourfold cosine and sine of the turn about the vertical (zero unless a cube). They
    are the same for all turns that look the same.
    """
    yaw = scenes.view[..., 0]
    cos, sin = yaw.cos()[..., None, None], yaw.sin()[..., None, None]
    x, y, z = scenes.rotation.unbind(-2)  # rows of the world: [B, F, N, 3 own axes]
    seen = torch.stack([cos * x - sin * z, y, sin * x + cos * z], -2)  # [B, F, N, 3, own]
    striped = (scenes.material == MATERIALS.index("striped"))[:, None, :, None]
    cube = (scenes.shape == SHAPES.index("cube"))[:, None, :, None]
    ball = (scenes.shape == SHAPES.index("ball"))[:, None, :, None]
    upright = _products(seen[..., 1]) * ~(cube | ball)
    across = _products(seen[..., 0]) * striped
    angle = 4 * torch.atan2(seen[..., 2, 0], seen[..., 0, 0])
    fold = torch.stack([angle.cos(), angle.sin()], -1) * cube
    return torch.cat([upright, across, fold], -1)


def _products(axis: Tensor) -> Tensor:
    x, y, z = axis.unbind(-1)
    return torch.stack([x * x, y * y, z * z, x * y, y * z, x * z], -1)


def colours_of(scenes: Scenes) -> Tensor:
    """Classes [B, N] of colour: a basic name, or OTHER; HIDDEN for what does not glow, by night in
    fog."""
    dark = (scenes.time == TIMES.index("night")) & (scenes.weather == WEATHERS.index("fog"))
    hidden = dark[:, None] & (scenes.material != MATERIALS.index("glowing"))
    return torch.where(hidden, HIDDEN, scenes.colour.clamp(max=OTHER))


def materials_of(scenes: Scenes) -> Tensor:
    """Words [B, N] of material, HIDDEN where the style of drawing does not show it."""
    table = torch.tensor([[m in SHOWS_MATERIAL[s] for m in MATERIALS] for s in STYLES])
    shows = table[scenes.style[:, None], scenes.material]
    return torch.where(shows, scenes.material, HIDDEN)


def object_maps(scenes: Scenes, truth: Truth) -> dict[str, Tensor]:
    """Maps of M frames for FrameNet.

    slot int64 [M, Y, X], -1 where no object is; weight [M, Y, X], each object of a frame the same
    in sum; centre [M, Y, X]; offset [M, 2, Y, X].
    """
    regions = truth.regions.flatten(0, 1)[:, 1::2, 1::2].long()
    slot = torch.where(regions < BACKDROP, regions - 1, -1)
    Y, X = slot.shape[1:]
    N = scenes.shape.shape[1]
    mask = slot[:, None] == torch.arange(N)[:, None, None]  # [M, N, Y, X]
    pixels = mask.sum((2, 3))
    share = (1 / pixels.clamp_min(LEAST_PIXELS)).gather(1, slot.clamp_min(0).flatten(1))
    weight = torch.where(slot >= 0, share.view(slot.shape), 0.0)
    # the middle of what is seen of it: what is half hidden has its middle there too
    down, across = torch.meshgrid(_line(Y), _line(X), indexing="ij")
    middle = torch.stack(
        [(mask * line).sum((2, 3)) / pixels.clamp_min(1) for line in (across, down)], -1
    )
    gap = torch.stack([across, down]) - middle[..., None, None]  # [M, N, 2, Y, X]
    bump = (-gap.square().sum(2) / (2 * CENTRE_WIDTH**2)).exp()
    centre = (bump * (pixels >= LEAST_PIXELS)[..., None, None]).amax(1)
    offset = (-gap * mask[:, :, None]).sum(1)
    return {"slot": slot, "weight": weight, "centre": centre, "offset": offset}


def object_rows(scenes: Scenes) -> dict[str, Tensor]:
    """What holds for a whole object in each of M frames, [M, N, ...]: classes and numbers."""
    F = scenes.frames
    ahead = places(scenes)[2].clamp_min(0.3).log()
    rows = {
        "shape": scenes.shape,
        "material": materials_of(scenes),
        "size": scenes.size,
        "colour": colours_of(scenes),
    }
    rows = {name: value.repeat_interleave(F, 0) for name, value in rows.items()}
    return rows | {
        "ahead": ahead.flatten(0, 1)[..., None],
        "turn": turned(scenes).flatten(0, 1),
    }


def frame_rows(scenes: Scenes) -> dict[str, Tensor]:
    """What holds for each of M frames: classes [M], and pose [M, 6]."""
    names = ("ground", "time", "weather", "style", "place")
    rows = {name: getattr(scenes, name).repeat_interleave(scenes.frames, 0) for name in names}
    return rows | {"pose": pose_of(scenes).flatten(0, 1)}


def _line(size: int) -> Tensor:
    return (torch.arange(size) + 0.5) / size
