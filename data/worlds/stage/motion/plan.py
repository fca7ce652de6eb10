"""Drafts of how the objects of a clip move: words, places and speeds, several drafts a clip.

A draft is only a proposal: `sample` runs all of them and keeps the first that shows what its words
say. Of the drafts of a clip every DRAFTS_OF_WORDS share their words and differ in their places; the
last one is the calm one, in which everything stands.

Shapes: B clips, C drafts, N object slots.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..scene import HALF_DEPTH, HALF_WIDTH, SPEEDS, StageConfig
from .bodies import deceleration, footprints, rest_height
from .camera import DISTANCE
from .script import ORBIT_SPEED, TRAVEL_SPEED, Script
from .words import RING, M, directions, first_words, lying, noticeable, pick, second_words

DRAFTS, DRAFTS_OF_WORDS = 21, 5
UNIFORMS = 20  # random numbers per object and draft
HORIZON = 33  # frames in which a clip's words must have shown
# Places (x, z) in calm drafts of one to four objects, from left to right.
ROWS = (
    ((0.0, 0.1), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)),
    ((-1.05, 0.2), (1.05, 0.0), (0.0, 0.0), (0.0, 0.0)),
    ((-1.55, 0.5), (0.0, -0.5), (1.55, 0.7), (0.0, 0.0)),
    ((-1.8, 0.9), (-0.78, -0.8), (0.62, 0.25), (1.9, 1.2)),
)


@dataclass(frozen=True)
class Looks:
    """What does not move, [B, N]: present, shape, material, size; ground [B]."""

    present: Tensor
    shape: Tensor
    material: Tensor
    size: Tensor
    ground: Tensor


def draft_scripts(
    u: Tensor, looks: Looks, heading: Tensor, steered: Tensor, action: Tensor, config: StageConfig
) -> Script:
    """Scripts of B * C clips, the drafts of a clip one after another.

    Args:
        u: uniform numbers [B, C, N, UNIFORMS].
        heading: [B], by how much the picture's directions are turned at the first frame.
        steered: [B], slot or -1; action: [B, T].
    """
    C = u.shape[1]

    def repeat(x: Tensor) -> Tensor:
        return x.repeat_interleave(C, 0)

    present, shape, material, size = map(
        repeat, (looks.present, looks.shape, looks.material, looks.size)
    )
    ground, heading = repeat(looks.ground), repeat(heading)
    steered = repeat(steered)
    words = u[:, torch.arange(C) // DRAFTS_OF_WORDS * DRAFTS_OF_WORDS].flatten(0, 1)
    calm = (torch.arange(C) == C - 1).repeat(len(looks.ground))
    motion, target = first_words(words, present, shape, material, size, ground, config)
    still = calm[:, None] | (torch.arange(motion.shape[1]) == steered[:, None])
    motion = torch.where(still | ~present, M["stand"], motion)
    target = torch.where(still | ~present, -1, target)
    second, then_frame = second_words(words, motion, shape, material, calm, config)
    second = torch.where(still | ~present, -1, second)
    then_frame = torch.where(second >= 0, then_frame, -1)
    motions = torch.stack([motion, second], -1)
    speed = pick(words[..., 4:6], config.speeds, SPEEDS)
    direction = directions(words, motions, speed)
    lies = lying(words, motions, shape)
    speed = noticeable(speed, motions, shape, lies, ground, config)
    script = Script(
        present=present,
        shape=shape,
        size=size,
        lying=lies,
        ground=ground,
        motion=motions,
        direction=direction,
        speed=speed,
        then_frame=then_frame,
        target=target,
        start=torch.zeros(*shape.shape, 3, dtype=torch.float64),
        push=torch.zeros(*shape.shape, 2, 2, dtype=torch.float64),
        yaw=torch.zeros(shape.shape, dtype=torch.float64),
        around=torch.zeros(*shape.shape, 3, dtype=torch.float64),
        steered=steered,
        action=repeat(action),
        heading=heading,
    )
    return _place(u.flatten(0, 1).double(), script, calm, config.fps)


def _unit(direction: Tensor, heading: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors (x, z) of direction words in a picture that is turned by heading."""
    right = torch.tensor([0.0, -1.0, 1.0, 0.0, 0.0]).double()[direction]
    ahead = torch.tensor([0.0, 0.0, 0.0, -1.0, 1.0]).double()[direction]
    cos, sin = heading.cos(), heading.sin()
    return right * cos + ahead * sin, ahead * cos - right * sin


def _place(u: Tensor, script: Script, calm: Tensor, fps: float) -> Script:
    """Fill in places, speeds and angles."""
    shape, motion = script.shape, script.motion
    foot = footprints(shape, script.lying, script.size)
    wide = foot[..., 0] + (foot[..., 1] ** 2 + foot[..., 2] ** 2).sqrt()  # the farthest reach
    drag = deceleration(shape, script.lying, script.ground[:, None])
    rest = rest_height(shape, script.lying, script.size)
    pace = torch.tensor(TRAVEL_SPEED).double()[script.speed]
    x, z = _places(u, wide, script.present, calm)
    travels = (motion == M["roll"]) | (motion == M["slide"])
    ways = [_unit(script.direction[..., phase], script.heading[:, None]) for phase in range(2)]
    push = torch.stack([torch.stack(way, -1) * pace[..., k, None] for k, way in enumerate(ways)], 2)
    pushed = travels | (motion == M["collide"]) | (motion == M["emerge"])
    push = torch.where(pushed[..., None], push, 0.0)
    # What travels starts so that the middle of its way lies near the middle of the picture.
    seconds = torch.where(script.then_frame >= 0, (script.then_frame - 2) / fps, 2.0)
    seconds = torch.minimum(seconds, pace[..., 0] / drag)
    length = pace[..., 0] * seconds - 0.5 * drag * seconds**2
    x = torch.where(travels[..., 0], 0.6 * x - 0.5 * length * ways[0][0], x)
    z = torch.where(travels[..., 0], 0.6 * z - 0.5 * length * ways[0][1], z)
    x = torch.minimum(x.clamp(-1.8, 1.8).abs(), HALF_WIDTH - wide - 0.02) * x.sign()
    z = torch.minimum(z.clamp(-1.3, 1.5).abs(), HALF_DEPTH - wide - 0.02) * z.sign()
    drops = (motion[..., 0] == M["fall"]) | (motion[..., 0] == M["bounce"])
    height = rest + torch.where(drops, 0.9 + 0.7 * u[..., 15], 0.0)
    start = torch.stack([x, height, z], -1)
    start, push, around = _social(u, script, start, push, wide, drag, pace)
    yaw = _yaws(u, script, push)
    values = {name: getattr(script, name) for name in script.__dataclass_fields__}
    return Script(**values | {"start": start, "push": push, "yaw": yaw, "around": around})


def _places(u: Tensor, wide: Tensor, present: Tensor, calm: Tensor) -> tuple[Tensor, Tensor]:
    """Where objects stand: anywhere apart, or in a calm draft side by side in a loose row."""
    x = (u[..., 13] - 0.5) * 2 * (1.9 - 0.5 * wide)
    z = -0.9 + 2.1 * u[..., 14]
    place = torch.where(present, u[..., 13], 2.0).argsort(1).argsort(1)
    row = torch.tensor(ROWS)[present.sum(1) - 1]  # [B * C, 4, 2]
    row_x, row_z = row.gather(1, place[..., None].expand(-1, -1, 2)).double().unbind(-1)
    row_x = row_x + 0.1 * (u[..., 15] - 0.5)
    calm = calm[:, None]
    return _spread(torch.where(calm, row_x, x), torch.where(calm, row_z, z), wide, present)


def _spread(x: Tensor, z: Tensor, wide: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Push places apart that are too close, to the sides more than into the depth."""
    both = present[:, :, None] & present[:, None, :]
    wanted = 1.5 * (wide[:, :, None] + wide[:, None, :])
    for _ in range(12):
        across, along = x[:, :, None] - x[:, None, :], 0.6 * (z[:, :, None] - z[:, None, :])
        distance = (across**2 + along**2).sqrt().clamp_min(1e-3)
        push = torch.where(both, (wanted - distance).clamp_min(0), 0.0) / distance * 0.4
        x = (x + (push * across).sum(2)).clamp(-1.9, 1.9)
        z = (z + (push * along).sum(2)).clamp(-1.1, 1.4)
    return x, z


def _social(
    u: Tensor, script: Script, start: Tensor, push: Tensor, wide: Tensor, drag: Tensor, pace: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Places of those that orbit, hit or come out from behind another, and of that other one."""
    motion, target = script.motion[..., 0], script.target
    orbits, hits = motion == M["orbit"], motion == M["collide"]
    emerges = motion == M["emerge"]
    rows = target.clamp_min(0)
    is_target = ((rows[..., None] == torch.arange(rows.shape[1])) & (target >= 0)[..., None]).any(1)
    orbited, struck = (
        ((rows[..., None] == torch.arange(rows.shape[1])) & flag[..., None]).any(1)
        for flag in (orbits, hits)
    )
    x, height, z = start.unbind(-1)
    x = torch.where(is_target, 0.55 * x, x)
    x = torch.where(orbited, 0.3 * x, x)
    z = torch.where(is_target, torch.where(orbited, 0.08 * z, 0.5 * z - 0.3), z)
    z = torch.where(struck, 0.6 * z, z)
    near = wide + wide.gather(1, rows)
    radius = near * (1.06 + 0.12 * u[..., 16])
    room = torch.where(orbits, radius + wide, 0.0).amax(1, keepdim=True) + 0.02
    x = torch.where(orbited, _within(x, HALF_WIDTH - room), x)
    z = torch.where(orbited, _within(z, HALF_DEPTH - room), z)
    there_x, there_z = x.gather(1, rows), z.gather(1, rows)
    # To hit: from the side that the direction comes from, as far as the speed carries in 1.3 s.
    way_x, way_z = _unit(script.direction[..., 0], script.heading[:, None])
    carries = (pace[..., 0] * 1.3 - 0.5 * drag * 1.3**2).clamp(0.35, 2.0)
    gap = near + carries * (0.55 + 0.45 * u[..., 16])
    offset = (u[..., 17] - 0.5) * 0.5 * wide
    x = torch.where(hits, there_x - way_x * gap - way_z * offset, x)
    z = torch.where(hits, there_z - way_z * gap + way_x * offset, z)
    # To come out: on the line from the camera through the middle of the other one.
    far = DISTANCE
    eye_x, eye_z = -far * script.heading[:, None].sin(), -far * script.heading[:, None].cos()
    line_x, line_z = there_x - eye_x, there_z - eye_z
    length = (line_x**2 + line_z**2).sqrt().clamp_min(1e-6)
    x = torch.where(emerges, there_x + line_x / length * near * 1.05, x)
    z = torch.where(emerges, there_z + line_z / length * near * 1.05, z)
    angle = u[..., 17] * 2 * math.pi
    turn = torch.tensor(ORBIT_SPEED).double()[script.speed[..., 0]]
    turn = torch.where(script.direction[..., 0] == 1, -turn, turn)
    x = torch.where(orbits, there_x + radius * angle.cos(), x)
    z = torch.where(orbits, there_z + radius * angle.sin(), z)
    around = torch.where(orbits[..., None], torch.stack([radius, angle, turn], -1), 0.0)
    return torch.stack([x, height, z], -1), push, around


def _within(x: Tensor, most: Tensor) -> Tensor:
    return torch.minimum(torch.maximum(x, -most.clamp_min(0)), most.clamp_min(0))


def _yaws(u: Tensor, script: Script, push: Tensor) -> Tensor:
    """Rolling axes lie across the way, rings on their edge face the camera, others anywhere."""
    anywhere = (u[..., 18] - 0.5) * math.pi
    facing = math.pi / 2 + (u[..., 18] - 0.5) * 1.2 - script.heading[:, None]
    yaw = torch.where((script.shape == RING) & script.lying, facing, anywhere)
    rolls = (script.motion == M["roll"]) & script.lying[..., None]
    travels = (push != 0).any(-1)
    for phase in (1, 0):
        across = torch.atan2(push[..., phase, 0], -push[..., phase, 1])
        moves = travels[..., phase] & script.lying
        yaw = torch.where(rolls[..., phase] | moves, across, yaw)
    return yaw
