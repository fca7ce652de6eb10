"""From objects of single frames to courses in time: which of them are the same, and where they are
on the stage.

Legend: F frames, T tracks, D features of a track in one frame, P pose of the camera, E features of
a pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor

from ..motion.camera import DISTANCE, HEIGHT, LENS
from ..scene import RADII
from .detect import CLASSES, Found
from .network import PIXEL_HEADS, POSE, TURN

LOOK = sum(PIXEL_HEADS[name] for name in CLASSES[:3])  # shape, material and size
COURSE_FEATURES = 6 + 3 + 3 + TURN + POSE + LOOK + 1
PAIR_FEATURES = 24
TOO_FAR = 2.0  # cost beyond which an object is not the one of a track
FAR_LOOK = 1.5  # of this cost is another look altogether


@dataclass
class Tracks:
    """The objects of one clip.

    seen bool [T, F]; box [T, F, 6] as in `Found`; pixels [T, F]; features [T, F, D]; chances: mean
    logarithms [T, n] by CLASSES; maps int8 [F, Y, X]: which track each place belongs to, or -1.
    """

    seen: Tensor
    box: Tensor
    pixels: Tensor
    features: Tensor
    chances: dict[str, Tensor]
    maps: Tensor

    def __len__(self) -> int:
        return len(self.seen)


def link(found: Sequence[Found]) -> list[list[int]]:
    """Tracks as lists of one number a frame: which object of the frame it is, or -1.

    Pairs are taken in the order of their cost: a distance, larger after fewer frames unseen, and a
    difference in look.
    """
    tracks: list[list[int]] = []
    last: list[tuple[Tensor, int]] = []  # middle, and frame
    looks: list[Tensor] = []
    for frame, some in enumerate(found):
        chance = _look(some)
        costs = []
        for t, ((middle, when), look) in enumerate(zip(last, looks)):
            distance = (some.box[:, :2] - middle).norm(dim=-1)
            cost = (distance / (0.12 + 0.05 * (frame - when))).clamp(max=2.0)
            cost = cost + FAR_LOOK * 0.5 * (chance - look).abs().sum(-1) / 2
            costs += [(float(value), t, k) for k, value in enumerate(cost)]
        here = [-1] * len(tracks)
        for cost, t, k in sorted(costs):
            if cost < TOO_FAR and here[t] < 0 and k not in here:
                here[t] = k
        for k in range(len(some)):
            if k not in here:
                tracks.append([-1] * frame)
                here.append(k)
                last.append((some.box[k, :2], frame))
                looks.append(chance[k])
        for t, k in enumerate(here):
            tracks[t].append(k)
            if k >= 0:
                last[t] = (some.box[k, :2], frame)
                looks[t] = 0.8 * looks[t] + 0.2 * chance[k]
    return tracks


def _look(found: Found) -> Tensor:
    """Chances of shapes and colours side by side [K, n]; they sum to two."""
    return torch.cat([found.chances[name].softmax(-1) for name in ("shape", "colour")], -1)


def make_tracks(found: Sequence[Found], pose_FP: Tensor, min_share: float) -> Tracks:
    """The objects of a clip that are seen in at least `min_share` of its frames."""
    F = len(found)
    rows = [row for row in link(found) if sum(k >= 0 for k in row) >= max(1, min_share * F)]
    T = len(rows)
    seen = torch.tensor(rows).view(T, F) >= 0
    box, pixels = torch.zeros(T, F, 6), torch.zeros(T, F)
    ahead, turn = torch.zeros(T, F, 1), torch.zeros(T, F, TURN)
    chances = {name: torch.zeros(T, PIXEL_HEADS[name]) for name in CLASSES}
    maps = torch.full((F, *found[0].mask.shape[1:]), -1, dtype=torch.int8)
    for t, row in enumerate(rows):
        for frame, k in enumerate(row):
            if k < 0:
                continue
            some = found[frame]
            box[t, frame], pixels[t, frame] = some.box[k], some.pixels[k]
            ahead[t, frame], turn[t, frame] = some.ahead[k], some.turn[k]
            maps[frame][some.mask[k]] = t
        # what is large in the picture is seen better
        weight = pixels[t] / pixels[t].sum()
        for name in CLASSES:
            for frame, k in enumerate(row):
                if k >= 0:
                    chances[name][t] += weight[frame] * found[frame].chances[name][k]
    look = torch.cat([chances[name].softmax(-1) for name in CLASSES[:3]], -1)
    pose = smooth(pose_FP).expand(T, F, POSE)
    place = to_stage(box[..., :2], ahead[..., 0].exp(), pose)
    there = seen[..., None].float()
    size = pixels.sqrt()[..., None] / 16
    rest = [size, there, ahead, place, turn, pose, look[:, None].expand(T, F, LOOK)]
    time = (torch.arange(F) / 32)[None, :, None].expand(T, F, 1)
    features = torch.cat([torch.cat([box, *rest], -1) * there, time], -1)
    return Tracks(seen, box, pixels, features, chances, maps)


def smooth(pose_FP: Tensor) -> Tensor:
    """The mean of each pose with those beside it."""
    padded = functional.pad(pose_FP.T[None], (1, 1), mode="replicate")
    return functional.avg_pool1d(padded, 3, 1)[0].T


def to_stage(middle: Tensor, ahead: Tensor, pose: Tensor) -> Tensor:
    """Places in metres [..., 3] of points of the picture [..., 2] (0 to 1) and their metres ahead
    of a camera of the given pose; the inverse of `motion.camera.project`."""
    angle, turn, pitch, height, far, lens = pose.unbind(-1)
    angle = 0.4 * angle
    yaw = 0.3 * turn - angle
    pitch = 0.15 * pitch - 0.28
    distance = DISTANCE * (0.3 * far).exp()
    scale = LENS * (0.3 * lens).exp() * ahead
    across = (2 * middle[..., 0] - 1) * scale
    upward = (1 - 2 * middle[..., 1]) * scale
    along = pitch.cos() * ahead - pitch.sin() * upward
    x = angle.sin() * distance + yaw.cos() * across + yaw.sin() * along
    y = HEIGHT + 0.5 * height + pitch.sin() * ahead + pitch.cos() * upward
    z = -angle.cos() * distance - yaw.sin() * across + yaw.cos() * along
    return torch.stack([x, y, z], -1)


def pair_features(tracks: Tracks, places: Tensor, one: int, two: int) -> Tensor:
    """What tells whether two tracks touch, [F, E]; places [T, F, 3] in metres."""
    a, b = places[one], places[two]
    apart = b - a
    sizes = tracks.chances["size"].softmax(-1)
    radii = sizes @ torch.tensor(RADII)
    reach = (radii[one] + radii[two]).expand(len(a))
    gap = apart.norm(dim=-1) - reach
    boxes = tracks.box[one], tracks.box[two]
    beside = torch.maximum(boxes[0][:, 2], boxes[1][:, 2]) - torch.minimum(
        boxes[0][:, 3], boxes[1][:, 3]
    )
    over = torch.maximum(boxes[0][:, 4], boxes[1][:, 4]) - torch.minimum(
        boxes[0][:, 5], boxes[1][:, 5]
    )
    both = (tracks.seen[one] & tracks.seen[two]).float()
    flat = torch.hypot(apart[:, 0], apart[:, 2])
    numbers = torch.stack([gap, reach, flat, beside, over, both], -1)
    shapes = tracks.chances["shape"].softmax(-1)
    look = torch.cat([shapes[one], shapes[two]]).expand(len(a), -1)
    columns = torch.cat([apart, a[:, 1:2], b[:, 1:2], numbers, look], -1) * both[:, None]
    return torch.cat([columns, (torch.arange(len(a)) / 32)[:, None]], -1)
