"""What a track says of gravity, bounces, friction and collisions, each as a number.

Every function takes places in metres at FPS frames a second, however they were found, and gives
nothing where the track is too short to say anything.

Shapes: F frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ....data.worlds.stage.motion.bodies import GRAVITY
from ....data.worlds.stage.motion.dynamics import COLLISION_KEEP, SUBSTEPS

FPS = 12
CLEAR = 0.10  # metres above the ground that are surely in the air
RISEN = 0.12  # metres by which a flight rises above its ends
FALLEN = 0.2  # metres; a height that changes by less says nothing of a fall
FLIGHT_FRAMES = 6  # a shorter flight says little about gravity
BOUNCE_FRAMES = 4  # and a shorter one nothing about a height
LOWER = 0.02  # metres by which a bounce ends lower than it was
TOUCH_FRAMES = 3  # the longest stay on the ground of what bounces
SMOOTH = 3  # frames on either side from which a speed is measured
MOVING = 0.25  # m/s; slower is rest as far as one sees
KINK = 0.55  # m/s; friction changes no speed so much between the two sides of a frame
SLOWING_FRAMES = 10
WINDOW = 5  # frames before and after a collision from which speeds are measured
LOWEST = 0.05  # share of heights below that of the ground


@dataclass(frozen=True)
class Fit:
    """A curve of second order through some frames: acceleration in m/s², and the root mean square
    of what is left, in metres."""

    acceleration: float
    residual: float


@dataclass(frozen=True)
class Collision:
    """closing: speed of two things towards each other before a touch, along the line of their
    centres; missed: how far both velocities after it are from those that follow from the ones
    before it, the mean of both. Both in m/s."""

    closing: float
    missed: float


def ground_height(height_F: Tensor, seen_F: Tensor) -> float:
    """Height of the middle of a thing that rests: nearly the lowest at which it is seen."""
    return float(height_F[seen_F].double().quantile(LOWEST)) if bool(seen_F.any()) else 0.0


def flights(height_F: Tensor, seen_F: Tensor) -> list[slice]:
    """Frames of each stay in the air, from one touch of the ground to the next."""
    high = seen_F & (height_F > ground_height(height_F, seen_F) + CLEAR)
    found = []
    for run in runs(high):
        found += _cut_at_touches(height_F, run)
    return found


def runs(flags_F: Tensor) -> Iterator[slice]:
    """The longest stretches of frames that are all true."""
    begin = None
    for frame, flag in enumerate([*flags_F.tolist(), False]):
        if flag and begin is None:
            begin = frame
        if not flag and begin is not None:
            yield slice(begin, frame)
            begin = None


def _cut_at_touches(height_F: Tensor, run: slice) -> list[slice]:
    """A touch between two frames leaves both in the air; the lower one is left out."""
    height = height_F[run].tolist()
    for frame in range(1, len(height) - 1):
        low = height[frame]
        lowest = low <= height[frame - 1] and low <= height[frame + 1]
        if lowest and min(max(height[:frame]), max(height[frame:])) - low > RISEN:
            at = run.start + frame
            first = [slice(run.start, at)] if frame else []
            return first + _cut_at_touches(height_F, slice(at + 1, run.stop))
    return [run] if height else []


def gravity(height_F: Tensor, flight: slice) -> Fit | None:
    """Downward acceleration of a flight that goes far enough up or down."""
    lowest, highest = height_F[flight].aminmax()
    if flight.stop - flight.start < FLIGHT_FRAMES or float(highest - lowest) < FALLEN:
        return None
    curve, residual = _curve(height_F[flight, None])
    return Fit(-2 * float(curve[2, 0]) * FPS**2, residual)


def bounces(height_F: Tensor, seen_F: Tensor) -> list[tuple[float, float]]:
    """Of each bounce how deep the thing fell and how high it rose then, in metres."""
    long = [f for f in flights(height_F, seen_F) if f.stop - f.start >= BOUNCE_FRAMES]
    found = []
    for before, after in pairwise(long):
        together = after.start - before.stop <= TOUCH_FRAMES
        top = _top(height_F, after)
        if together and top > float(height_F[after][-1]) + LOWER:
            ground = _meeting(height_F, before, after)
            found.append((_top(height_F, before) - ground, top - ground))
    return found


def _meeting(height_F: Tensor, before: slice, after: slice) -> float:
    """The height at which two flights meet between their frames."""
    time = torch.linspace(before.stop - 1, after.start, 65).double()
    one, two = (flight_heights(height_F, flight, time) for flight in (before, after))
    nearest = int((one - two).abs().argmin())
    return float(one[nearest] + two[nearest]) / 2


def flight_heights(height_F: Tensor, flight: slice, time: Tensor) -> Tensor:
    """A flight's curve at any times, in frames."""
    curve, _ = _curve(height_F[flight, None])
    time = time - flight.start
    return curve[0, 0] + curve[1, 0] * time + curve[2, 0] * time**2


def rise(drop: float, keep: float) -> float:
    """How high a bounce goes on the stage that keeps a share of its speed, in metres.

    The stage moves in steps, each of which first changes the speed: so a fall is a little slower,
    and a rise a little lower, than without steps.
    """
    lost = GRAVITY / (FPS * SUBSTEPS) / 2
    speed = keep * (math.sqrt(2 * GRAVITY * max(drop, 0.0) + lost**2) - lost)
    return speed**2 / (2 * GRAVITY) - speed * lost / GRAVITY


def _top(height_F: Tensor, flight: slice) -> float:
    """The highest of a flight's curve."""
    time = torch.linspace(flight.start, flight.stop - 1, 65).double()
    return float(flight_heights(height_F, flight, time).max())


def velocities(place_F3: Tensor) -> tuple[Tensor, Tensor]:
    """Along the ground [F, 2], in m/s, by lines through the frames up to each and from it on; not
    a number at the ends."""
    flat = place_F3[:, [0, 2]].double()
    before = torch.full_like(flat, torch.nan)
    after = torch.full_like(flat, torch.nan)
    if len(flat) > SMOOTH:
        lines = _line(flat.unfold(0, SMOOTH + 1, 1).movedim(-1, 0))
        before[SMOOTH:] = lines
        after[:-SMOOTH] = lines
    return before, after


def slowing(place_F3: Tensor, seen_F: Tensor) -> Fit | None:
    """Deceleration along its way of what rolls or slides freely, over the longest stretch without a
    kink."""
    height = place_F3[:, 1]
    low = height < ground_height(height, seen_F) + CLEAR
    before, after = velocities(place_F3)
    speed = torch.fmin(before.norm(dim=-1), after.norm(dim=-1))
    straight = (after - before).norm(dim=-1) < KINK
    ends = before.isnan().any(-1) | after.isnan().any(-1)
    free = seen_F & low & (speed > MOVING) & (straight | ends)
    longest = max(runs(free), key=lambda run: run.stop - run.start, default=slice(0, 0))
    if longest.stop - longest.start < SLOWING_FRAMES:
        return None
    curve, residual = _curve(place_F3[longest][:, [0, 2]])
    way = place_F3[longest][-1, [0, 2]] - place_F3[longest][0, [0, 2]]
    way = way.double() / way.norm().clamp_min(1e-6)
    return Fit(-2 * float(curve[2] @ way) * FPS**2, residual)


def collision(
    one_F3: Tensor,
    two_F3: Tensor,
    seen_F: Tensor,
    frame: int,
    masses: Sequence[float],
    drags: Sequence[float],
) -> Collision | None:
    """What happens when two things touch between `frame` - 1 and `frame`.

    Args:
        seen_F: frames in which both are seen well.
        drags: decelerations in m/s² with which both slow down on their way to the touch and from
            it.
    """
    first, last = frame - 1 - WINDOW, frame + 1 + WINDOW
    if first < 0 or last > len(one_F3) or not bool(seen_F[first:last].all()):
        return None
    delay = (WINDOW / 2 + 1) / FPS
    before, after = [], []
    for place, drag in zip((one_F3, two_F3), drags):
        flat = place[:, [0, 2]].double()
        before.append(_slower(_line(flat[first : frame - 1]), drag * delay))
        after.append(_line(flat[frame + 1 : last]))
    line = (two_F3 - one_F3)[frame, [0, 2]].double()
    line = line / line.norm().clamp_min(1e-6)
    closing = float((before[0] - before[1]) @ line)
    if closing < MOVING:
        return None
    missed = 0.0
    for sign, other, old, new, drag in zip((-1, 1), masses[::-1], before, after, drags):
        given = sign * (1 + COLLISION_KEEP) * closing * other / sum(masses)
        wanted = _slower(old + given * line, drag * delay)
        missed += float((new - wanted).norm()) / 2
    return Collision(closing, missed)


def _slower(velocity_2: Tensor, loss: float) -> Tensor:
    """A velocity after friction took so much of its speed, down to rest."""
    speed = float(velocity_2.norm())
    return velocity_2 * max(speed - loss, 0.0) / max(speed, 1e-6)


def _line(flat_FD: Tensor) -> Tensor:
    """Velocity of the straight line through some places [F, ..., 2], in m/s."""
    time = torch.arange(len(flat_FD)).double()
    time = time - time.mean()
    return torch.tensordot(time, flat_FD, 1) / time.square().sum() * FPS


def _curve(place_FD: Tensor) -> tuple[Tensor, float]:
    """Coefficients [3, D] of the least squares curve of second order in frames, and the root mean
    square of what is left."""
    place = place_FD.double()
    time = torch.arange(len(place)).double()
    powers = torch.stack([time**0, time, time**2], -1)
    curve = torch.linalg.lstsq(powers, place).solution
    rest = place - powers @ curve
    return curve, float(rest.square().sum(-1).mean().sqrt())
