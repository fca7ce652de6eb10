"""Which draft of a clip is kept: the first that shows what its words say and hides nothing else.

Shapes: B clips, C drafts, F frames, N object slots.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..scene import HALF_DEPTH, HALF_WIDTH, RADII
from .bodies import footprints, gaps
from .camera import project
from .plan import HORIZON
from .script import Course, Script
from .words import M

LATEST_HIT = 22  # frames by which a collision must have happened
EARLIEST_WALL = 18  # frames before which nothing may reach a wall
SECOND_WALL = 8  # as many frames of a second motion are free of walls


def choose(script: Script, course: Course, eye: Tensor, view: Tensor, lens: Tensor) -> Tensor:
    """Index [B] of the draft that is kept.

    The first without fault; else the calm one, if it stands apart; else the first with few faults.
    """
    B = len(eye)
    C = len(script.ground) // B
    camera = [x.repeat_interleave(C, 0) for x in (eye, view, lens)]
    apart = _stands_apart(script)
    told = apart & _touches_as_told(script, course) & _walls_late(script, course)
    fine = told & _seen(script, course, *camera)
    order = torch.arange(C)
    calm = (order == C - 1).repeat(B)
    level = torch.full((B * C,), 4)
    for number, group in ((3, apart), (2, told), (1, apart & calm), (0, fine)):
        level = torch.where(group, number, level)
    return (level.view(B, C) * C + order).argmin(1)


def _stands_apart(script: Script) -> Tensor:
    foot = footprints(script.shape, script.lying, script.size)
    gap = gaps(foot, script.yaw, script.start)
    both = script.present[:, :, None] & script.present[:, None, :]
    both = both & ~torch.eye(both.shape[1], dtype=torch.bool)
    return torch.where(both, gap, 1.0).flatten(1).amin(1) > 0.04


def _touches_as_told(script: Script, course: Course) -> Tensor:
    """Nothing touches before a told collision, which must come; orbits are never disturbed."""
    N = script.shape.shape[1]
    touched = course.impact[..., :N] > 0  # [B * C, F, N, N]
    hits = script.motion[..., 0] == M["collide"]
    told = torch.zeros(len(hits), N, N, dtype=torch.bool)
    partner = script.target.clamp_min(0)[..., None]
    told.scatter_(2, partner, hits[..., None])
    told = told | told.transpose(1, 2)
    moment = torch.arange(touched.shape[1])
    never = torch.tensor(HORIZON + 1)
    first = torch.where(touched, moment[:, None, None], never).amin(1)  # [B * C, N, N]
    first_told = torch.where(told, first, never).flatten(1).amin(1)
    first_other = torch.where(told, never, first).flatten(1).amin(1)
    told_any = told.flatten(1).any(1)
    in_time = (first_told <= LATEST_HIT) & (first_told >= 4)
    quiet = first_other > HORIZON
    chain = torch.where(told_any, in_time & (first_other > first_told), quiet)
    low = course.resting | ~touched.any(3)  # a touch in the air would be one of columns, not bodies
    return chain & low.flatten(1).all(1)


def _walls_late(script: Script, course: Course) -> Tensor:
    """No wall is reached early in a motion, and what orbits has room on all sides."""
    frame = torch.arange(course.impact.shape[1])[:, None]
    calm = torch.maximum(torch.tensor(EARLIEST_WALL), script.then_frame + SECOND_WALL)
    early = (course.impact[..., -1] > 0) & (frame < calm[:, None])
    wide = footprints(script.shape, script.lying, script.size)
    wide = wide[..., 0] + wide[..., 1].hypot(wide[..., 2])
    rows = script.target.clamp_min(0)
    fits = torch.ones_like(script.present)
    for axis, end in ((0, HALF_WIDTH), (2, HALF_DEPTH)):
        middle = script.start[..., axis].gather(1, rows).abs()
        fits &= middle + script.around[..., 0] + wide < end
    fits |= script.motion[..., 0] != M["orbit"]
    return ~early.flatten(1).any(1) & fits.all(1)


def _seen(script: Script, course: Course, eye: Tensor, view: Tensor, lens: Tensor) -> Tensor:
    """At first everything is within the picture and apart, but for what comes out from behind."""
    radius = torch.tensor(RADII).double()[script.size]
    x, y, depth = project(course.position[:, 0], eye[:, 0], view[:, 0], lens[:, 0])
    scale = radius / (depth * lens[:, 0, None])
    inside = (x.abs() < 1.0 - 0.6 * scale) & (y.abs() < 1.08 - 0.4 * scale) & (depth > 2.0)
    emerges = script.motion[..., 0] == M["emerge"]
    inside = (inside | ~script.present).all(1)
    apart_x = x[:, :, None] - x[:, None, :]
    apart_y = y[:, :, None] - y[:, None, :]
    reach = scale[:, :, None] + scale[:, None, :]
    apart = (apart_x**2 + apart_y**2).sqrt() > 0.62 * reach
    N = x.shape[1]
    own = torch.eye(N, dtype=torch.bool) | ~(script.present[:, :, None] & script.present[:, None])
    orbits = script.motion[..., 0] == M["orbit"]
    excused = (emerges | orbits)[:, :, None] | (emerges | orbits)[:, None, :]
    apart = (apart | own | excused).flatten(1).all(1)
    return inside & apart & _comes_out(script, course, emerges, eye, view, lens)


def _comes_out(
    script: Script, course: Course, emerges: Tensor, eye: Tensor, view: Tensor, lens: Tensor
) -> Tensor:
    """What comes out from behind another is covered at first and beside it later."""
    x, _, depth = project(course.position, eye, view, lens)
    radius = torch.tensor(RADII).double()[script.size][:, None]
    half = radius / (depth * lens[..., None])
    rows = script.target.clamp_min(0)[:, None].expand_as(x)
    apart = (x - x.gather(2, rows)).abs()
    reach = half + half.gather(2, rows)
    out = (apart > 0.8 * reach).any(1)
    behind = (depth > depth.gather(2, rows))[:, 0]
    return (~emerges | (out & behind)).all(1)
