"""How objects move: gravity, bounces, friction, walls, collisions and driven motions.

Semi-implicit Euler steps of fixed length in float64. Seen from above, every object is a footprint
that reaches so far in each direction; two objects are apart as long as the line between their
centres separates their footprints, so they touch without ever passing into one another. A driven
motion (orbit) ends when something touches the object. Metres, seconds; y is up.

Shapes: B clips, F frames, T latent frames, N object slots.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..drawing.shapes import FOOTPRINT_LYING, FOOTPRINT_UPRIGHT, LYING, UPRIGHT
from ..scene import ACTIONS, HALF_DEPTH, HALF_WIDTH, MOTIONS, RADII, SHAPES, latent_of_frame

GRAVITY = 5.0  # slower than Earth's, so that a fall lasts several frames
# Per ground: deceleration in m/s² of what slides and of what rolls, share of the speed that a
# bounce of a ball keeps.
SLIDING = (0.50, 0.75, 0.45, 1.10, 0.08)
ROLLING = (0.26, 0.42, 0.24, 0.70, 0.05)
BOUNCE = (0.80, 0.45, 0.72, 0.12, 0.62)
SPRING = (1.0, 0.5, 0.5, 0.4, 0.85, 0.85)  # share of BOUNCE that each shape has
WALL_KEEP = 0.55  # share of the speed towards a wall that is kept
COLLISION_KEEP = 0.5  # share of the closing speed kept by a collision
REST_SPEED = 0.3  # m/s; slower impacts on the ground end in rest
SUBSTEPS = 4
PUSHES = 3  # rounds in which what is too close is pushed apart, in each step
BRAKE_FRAMES = 5  # what must end brakes for so long
TRAVEL_SPEED = (0.8, 1.5, 2.6)  # m/s of rolling and sliding, by speed word
TURN_SPEED = (1.2, 2.6, 5.0)  # radians per second of spinning
ORBIT_SPEED = (0.9, 1.6, 2.6)  # radians per second around the target
JUMP_SPEED = (1.5, 2.1, 2.8)  # m/s upwards
JUMP_PAUSE = 0.3  # seconds on the ground between jumps
JUMP_FRAMES = 14  # no jump begins so shortly before a second motion
STEERED_SPEED, STEERED_PUSH = 1.7, 6.0  # m/s and m/s² of a steered object

ROLL, SLIDE = MOTIONS.index("roll"), MOTIONS.index("slide")
JUMP, SPIN, ORBIT = MOTIONS.index("jump"), MOTIONS.index("spin"), MOTIONS.index("orbit")
STOP = MOTIONS.index("stop")


@dataclass(frozen=True)
class Script:
    """What is given before anything moves. Words as in `Scenes`.

    start float64 [B, N, 3]: positions; push [B, N, 2, 2]: velocity along x and z that the first and
    the second motion begin with; yaw [B, N]: where the object's axis (or own x) points at first;
    around [B, N, 3]: radius of the orbit, angle at first, radians per second.
    """

    present: Tensor
    shape: Tensor
    size: Tensor
    lying: Tensor
    ground: Tensor
    motion: Tensor
    direction: Tensor
    speed: Tensor
    then_frame: Tensor
    target: Tensor
    start: Tensor
    push: Tensor
    yaw: Tensor
    around: Tensor
    steered: Tensor
    action: Tensor
    heading: Tensor  # [B], angle by which the picture's directions are turned about the vertical

    def __getitem__(self, rows: Tensor | slice) -> Script:
        return Script(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class Course:
    """What follows: the state at each frame, named as in `Scenes`, float64 unless said there."""

    position: Tensor
    velocity: Tensor
    rotation: Tensor
    turning: Tensor
    resting: Tensor
    impact: Tensor
    moment: Tensor

    def __getitem__(self, rows: Tensor | slice) -> Course:
        return Course(*(getattr(self, field.name)[rows] for field in fields(self)))


def rest_height(shape: Tensor, lying: Tensor, size: Tensor) -> Tensor:
    """Heights of the centres of objects on the ground."""
    upright, flat = torch.tensor(UPRIGHT), torch.tensor(LYING)
    return torch.where(lying, flat[shape], upright[shape]).double() * torch.tensor(RADII)[size]


def footprints(shape: Tensor, lying: Tensor, size: Tensor) -> Tensor:
    """(c, p, q) in metres, [..., 3]: a footprint reaches c + p |along| + q |across|."""
    upright, flat = torch.tensor(FOOTPRINT_UPRIGHT), torch.tensor(FOOTPRINT_LYING)
    unit = torch.where(lying[..., None], flat[shape], upright[shape]).double()
    return unit * torch.tensor(RADII)[size][..., None]


def reach(foot: Tensor, yaw: Tensor, x: Tensor, z: Tensor) -> Tensor:
    """How far footprints reach in the direction (x, z) of unit length, metres."""
    return _reach(foot, yaw.cos(), yaw.sin(), x, z)


def _reach(foot: Tensor, cos: Tensor, sin: Tensor, x: Tensor, z: Tensor) -> Tensor:
    along = (x * cos + z * sin).abs()
    across = (z * cos - x * sin).abs()
    return foot[..., 0] + foot[..., 1] * along + foot[..., 2] * across


def gaps(foot: Tensor, yaw: Tensor, position: Tensor) -> Tensor:
    """Distances [..., N, N] along the line between centres, metres; negative: too close."""
    delta = position[..., None, :, :] - position[..., :, None, :]
    x, z = delta[..., 0], delta[..., 2]
    distance = (x * x + z * z).sqrt().clamp_min(1e-9)
    x, z = x / distance, z / distance
    mine = reach(foot[..., :, None, :], yaw[..., :, None], x, z)
    theirs = reach(foot[..., None, :, :], yaw[..., None, :], x, z)
    return distance - mine - theirs


def deceleration(shape: Tensor, lying: Tensor, ground: Tensor) -> Tensor:
    """Of a free object on the ground, m/s²; ground is [..., 1]."""
    rolls = (shape == SHAPES.index("ball")) | lying
    return torch.where(rolls, torch.tensor(ROLLING)[ground], torch.tensor(SLIDING)[ground]).double()


def restitution(shape: Tensor, ground: Tensor) -> Tensor:
    """Share of the vertical speed that a bounce keeps; ground is [..., 1]."""
    return torch.tensor(BOUNCE)[ground].double() * torch.tensor(SPRING)[shape]


class Stage:
    """The state of a simulation. Tensors of N slots, [B, N, ...]."""

    def __init__(self, script: Script, fps: float) -> None:
        self.script = script
        self.dt = 1 / (fps * SUBSTEPS)
        self.fps = fps
        self.position = script.start.clone()
        self.velocity = torch.zeros_like(self.position)
        self.velocity[..., 0] = script.push[..., 0, 0]
        self.velocity[..., 2] = script.push[..., 0, 1]
        self.yaw = script.yaw.clone()
        self.turn = self._turn_speed(0)
        self.foot = footprints(script.shape, script.lying, script.size)
        self.rest = rest_height(script.shape, script.lying, script.size)
        self.drag = deceleration(script.shape, script.lying, script.ground[:, None])
        self.spring = restitution(script.shape, script.ground[:, None])
        widest = self.foot.sum(-1) * 1.42
        self.far = widest[:, :, None] + widest[:, None]  # no pair touches beyond it
        self.mass = torch.tensor(RADII)[script.size].double() ** 3
        both = script.present[:, :, None] & script.present[:, None, :]
        self.pairs = both & ~torch.eye(both.shape[1], dtype=torch.bool)
        self.share = self.mass[:, None, :] / (self.mass[:, :, None] + self.mass[:, None, :])
        self.driven = (script.motion[..., 0] == ORBIT) & script.present
        self.angle = script.around[..., 1].clone()
        self.idle = torch.full_like(self.rest, JUMP_PAUSE / 2)  # seconds since the last landing
        self.resting = self.position[..., 1] <= self.rest + 1e-9
        self.slots = torch.arange(both.shape[1])
        self.cos, self.sin = self.yaw.cos(), self.yaw.sin()
        # Steps that would change nothing in any clip are left out.
        self.orbits = bool(self.driven.any())
        self.jumps = bool((script.motion == JUMP).any())
        self.steers = bool((script.steered >= 0).any())
        self.turns = bool((script.motion == SPIN).any())
        self.brakes = bool((script.then_frame >= 0).any())
        x, z = torch.tensor([1.0, 0.0]).double(), torch.tensor([0.0, 1.0]).double()
        self.sides = ((0, HALF_WIDTH, x[0], z[0]), (2, HALF_DEPTH, x[1], z[1]))

    def _turn_speed(self, phase: int) -> Tensor:
        """Radians per second about the vertical that a motion begins with."""
        script = self.script
        fast = torch.tensor(TURN_SPEED).double()[script.speed[..., phase]]
        sign = torch.where(script.direction[..., phase] == 1, -1.0, 1.0)
        return torch.where(script.motion[..., phase] == SPIN, fast * sign, 0.0)

    def begin_second(self, frame: int) -> None:
        """Second motions that begin at this frame take over."""
        script = self.script
        now = (script.then_frame == frame) & (script.motion[..., 1] != STOP) & self.resting
        now &= script.motion[..., 1] >= 0
        for axis, part in ((0, 0), (2, 1)):
            pushed = script.push[..., 1, part]
            self.velocity[..., axis] = torch.where(now, pushed, self.velocity[..., axis])
        self.turn = torch.where(now, self._turn_speed(1), self.turn)
        self.driven = self.driven & ~now
        self.idle = torch.where(now, JUMP_PAUSE, self.idle)

    def substep(self, frame: int, part: int, impact: Tensor, moment: Tensor) -> None:
        """One step of dt within the interval from `frame` to the next; impacts are noted."""
        when = part * self.dt
        self._brake(frame, part)
        if self.jumps:
            self._jump(frame)
        if self.steers:
            self._steer(frame, part)
        self.velocity[..., 1] -= GRAVITY * self.dt
        self._drag()
        before = self.position
        self.position = before + self.velocity * self.dt
        if self.orbits:
            self._orbit(before)
        if self.turns:
            self.yaw = self.yaw + self.turn * self.dt
            self.cos, self.sin = self.yaw.cos(), self.yaw.sin()
        self._ground(frame, impact, moment, when)
        for _ in range(PUSHES):
            if not self._collide(impact, moment, when) | self._walls(impact, moment, when):
                break  # nothing was pushed, so nothing changes any more

    def _active(self, frame: int, motion: int) -> Tensor:
        """bool [B, N]: which objects are in a phase of this motion."""
        script = self.script
        second = (script.then_frame >= 0) & (script.then_frame <= frame)
        return torch.where(second, script.motion[..., 1], script.motion[..., 0]) == motion

    def _brake(self, frame: int, part: int) -> None:
        """What a second motion follows, or what stops, comes to rest within BRAKE_FRAMES."""
        if not self.brakes:
            return
        script = self.script
        stops = script.motion[..., 1] == STOP
        end = torch.where(stops, script.then_frame + BRAKE_FRAMES, script.then_frame)
        left = (end - frame) * SUBSTEPS - part  # substeps until it must rest
        brakes = (script.then_frame >= 0) & (left >= 1) & (left <= BRAKE_FRAMES * SUBSTEPS)
        keep = torch.where(brakes, 1 - 1 / left.clamp_min(1).double(), 1.0)
        keep = torch.where(self.resting, keep, 1.0)
        self.velocity[..., 0] *= keep
        self.velocity[..., 2] *= keep
        self.turn = self.turn * keep
        ended = stops & (script.then_frame >= 0) & (frame > script.then_frame)
        self.driven = self.driven & ~ended

    def _jump(self, frame: int) -> None:
        script = self.script
        self.idle = torch.where(self.resting, self.idle + self.dt, 0.0)
        second = (script.then_frame >= 0) & (script.then_frame <= frame)
        speed = torch.where(second, script.speed[..., 1], script.speed[..., 0])
        ends = (script.then_frame > frame) & (script.then_frame - frame <= JUMP_FRAMES)
        jumps = self._active(frame, JUMP) & (self.idle >= JUMP_PAUSE) & ~(ends & ~second)
        up = torch.tensor(JUMP_SPEED).double()[speed]
        self.velocity[..., 1] = torch.where(jumps, up, self.velocity[..., 1])
        self.resting = self.resting & ~jumps

    def _steer(self, frame: int, part: int) -> None:
        """The steered object is pushed towards the speed that its action asks for."""
        script = self.script
        action = script.action[:, latent_of_frame(frame + 1)]
        mine = (self.slots == script.steered[:, None]) & script.present
        sign = torch.tensor([0.0, -1.0, 1.0, -1.0, 1.0, 0.0]).double()[action] * STEERED_SPEED
        sideways = (action == 1) | (action == 2)
        ahead = (action == 3) | (action == 4)
        cos, sin = script.heading.cos(), script.heading.sin()
        right, forward = torch.where(sideways, sign, 0.0), torch.where(ahead, sign, 0.0)
        wanted = (right * cos + forward * sin, forward * cos - right * sin)
        pushed = mine & (sideways | ahead)[:, None] & self.resting
        most = STEERED_PUSH * self.dt
        for axis, goal in zip((0, 2), wanted, strict=True):
            change = (goal[:, None] - self.velocity[..., axis]).clamp(-most, most)
            self.velocity[..., axis] += torch.where(pushed, change, 0.0)
        jumps = mine & (action == ACTIONS.index("jump"))[:, None] & self.resting
        if part == 0 and frame % 4 == 0:
            up = torch.where(jumps, JUMP_SPEED[1], self.velocity[..., 1])
            self.velocity[..., 1] = up
            self.resting = self.resting & ~jumps

    def _drag(self) -> None:
        x, z = self.velocity[..., 0], self.velocity[..., 2]
        flat = (x * x + z * z).sqrt().clamp_min(1e-9)
        slow = torch.where(self.resting, self.drag * self.dt, 0.0)
        keep = ((flat - slow) / flat).clamp_min(0.0)
        self.velocity[..., 0] *= keep
        self.velocity[..., 2] *= keep

    def _orbit(self, before: Tensor) -> None:
        """Driven objects stand on their circle, whatever the other forces did."""
        rows = self.script.target.clamp_min(0)[..., None].expand_as(self.position)
        middle = self.position.gather(1, rows)
        radius, _, pace = self.script.around.unbind(-1)
        self.angle = self.angle + torch.where(self.driven, pace * self.dt, 0.0)
        x = middle[..., 0] + radius * self.angle.cos()
        z = middle[..., 2] + radius * self.angle.sin()
        for axis, place in ((0, x), (2, z)):
            new = torch.where(self.driven, place, self.position[..., axis])
            pace_now = (new - before[..., axis]) / self.dt
            self.velocity[..., axis] = torch.where(self.driven, pace_now, self.velocity[..., axis])
            self.position[..., axis] = new

    def _ground(self, frame: int, impact: Tensor, moment: Tensor, when: float) -> None:
        """Bounce or rest. A rebound starts at the ground with the speed of the fall there."""
        deep = (self.rest - self.position[..., 1]).clamp_min(0.0)
        below = self.position[..., 1] <= self.rest
        down = -self.velocity[..., 1]
        at_ground = (down * down - 2 * GRAVITY * deep).clamp_min(0.0).sqrt()
        at_ground = torch.where(below & (down > 0), at_ground, 0.0)
        spring = torch.where(self._active(frame, JUMP), 0.0, self.spring)  # it lands on its feet
        bounces = at_ground * spring > REST_SPEED
        up = torch.where(bounces, at_ground * spring, 0.0)
        self.velocity[..., 1] = torch.where(below, up, self.velocity[..., 1])
        self.position[..., 1] = torch.where(below, self.rest, self.position[..., 1])
        lands = below & ~self.resting & (at_ground > 0.15)
        if lands.any():
            landing = torch.where(lands, at_ground, 0.0)
            _note(impact[..., -2], moment[..., -2], landing, when)
        self.resting = below & ~bounces

    def _walls(self, impact: Tensor, moment: Tensor, when: float) -> bool:
        """Throw back what reaches a wall. Returns whether anything does."""
        any_hit = False
        for axis, end, x, z in self.sides:
            most = end - _reach(self.foot, self.cos, self.sin, x, z)
            place = self.position[..., axis]
            hits = (place.abs() > most) & self.script.present
            if not hits.any():
                continue
            any_hit = True
            speed = self.velocity[..., axis]
            closing = torch.where(hits, speed * place.sign(), 0.0).clamp_min(0.0)
            _note(impact[..., -1], moment[..., -1], closing, when)
            self.velocity[..., axis] = speed - (1 + WALL_KEEP) * closing * place.sign()
            self.position[..., axis] = torch.where(hits, place.sign() * most, place)
            self.driven = self.driven & ~hits
        return any_hit

    def _collide(self, impact: Tensor, moment: Tensor, when: float) -> bool:
        """Push pairs apart that came too close and exchange momentum along their line.

        Returns whether there are such pairs.
        """
        delta = self.position[:, None] - self.position[:, :, None]  # from i to j, [B, i, j, 3]
        x, z = delta[..., 0], delta[..., 2]
        distance = (x * x + z * z).sqrt().clamp_min(1e-9)
        if not ((distance < self.far) & self.pairs).any():
            return False
        x, z = x / distance, z / distance
        mine = _reach(self.foot[:, :, None], self.cos[:, :, None], self.sin[:, :, None], x, z)
        deep = mine + mine.transpose(1, 2) - distance
        hit = (deep > 0) & self.pairs
        if not hit.any():
            return False
        speed = self.velocity[:, :, None] - self.velocity[:, None]
        closing = (speed[..., 0] * x + speed[..., 2] * z).clamp_min(0.0)
        closing = torch.where(hit, closing, 0.0)
        pull = (1 + COLLISION_KEEP) * closing * self.share
        move = torch.where(hit, deep, 0.0) * self.share
        for axis, part in ((0, x), (2, z)):
            self.velocity[..., axis] -= (pull * part).sum(2)
            self.position[..., axis] -= (move * part).sum(2)
        self.driven = self.driven & ~hit.any(2)
        count = hit.shape[1]
        _note(impact[..., :count], moment[..., :count], closing, when)
        return True


def _note(impact: Tensor, moment: Tensor, closing: Tensor, when: float) -> None:
    """Keep the hardest impact of a frame and when it was, in place."""
    harder = closing > impact
    impact.copy_(torch.where(harder, closing, impact))
    moment.copy_(torch.where(harder, when, moment))


def simulate(script: Script, frames: int, fps: float) -> Course:
    """Run a script. A longer course begins as a shorter one."""
    stage = Stage(script, fps)
    B, N = script.shape.shape
    rotation = _first_rotation(script)
    rows: dict[str, list[Tensor]] = {field.name: [] for field in fields(Course)}
    turning = torch.zeros(B, N, 3, dtype=torch.float64)
    turning[..., 1] = -stage.turn
    for frame in range(frames):
        impact = torch.zeros(B, N, N + 2, dtype=torch.float64)
        moment = torch.zeros_like(impact)
        if frame:
            before, yaw = stage.position.clone(), stage.yaw
            stage.begin_second(frame - 1)
            for part in range(SUBSTEPS):
                stage.substep(frame - 1, part, impact, moment)
            turning = _turning(script, stage, before, yaw)
            rotation = _rotate(turning / fps) @ rotation
        now = (stage.position, stage.velocity, rotation, turning, stage.resting, impact, moment)
        for key, value in zip(rows, now, strict=True):
            rows[key].append(value.clone())
    return Course(**{key: torch.stack(values, 1) for key, values in rows.items()})


def _first_rotation(script: Script) -> Tensor:
    """[B, N, 3, 3]: own y upwards, or along the ground where the object lies."""
    cos, sin = script.yaw.cos(), script.yaw.sin()
    zero, one = torch.zeros_like(cos), torch.ones_like(cos)
    along = torch.stack([cos, zero, sin], -1)
    across = torch.stack([-sin, zero, cos], -1)
    up = torch.stack([zero, one, zero], -1)
    upright = torch.stack([along, up, across], -1)
    lying = torch.stack([up, along, -across], -1)
    return torch.where(script.lying[..., None, None], lying, upright)


def _turning(script: Script, stage: Stage, before: Tensor, yaw: Tensor) -> Tensor:
    """Mean radians per second about the axes of the world during the last frame."""
    moved = (stage.position - before) * stage.fps
    radius = torch.tensor(RADII)[script.size].double()
    lying_radius = torch.tensor(LYING).double()[script.shape] * radius
    zero = torch.zeros_like(radius)
    spin = torch.stack([moved[..., 2], zero, -moved[..., 0]], -1) / lying_radius[..., None]
    axis = torch.stack([yaw.cos(), zero, yaw.sin()], -1)
    about_axis = (spin * axis).sum(-1, keepdim=True) * axis
    is_ball = (script.shape == SHAPES.index("ball"))[..., None]
    rolls = torch.where(is_ball, spin, torch.where(script.lying[..., None], about_axis, 0.0))
    rolls = torch.where(stage.resting[..., None], rolls, 0.0)
    upright = torch.stack([zero, -(stage.yaw - yaw) * stage.fps, zero], -1)
    return rolls + upright


def _rotate(angles: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] about vectors of angles [..., 3] (Rodrigues' formula)."""
    angle = angles.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    x, y, z = (angles / angle).unbind(-1)
    zero = torch.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    cross = torch.stack(rows, -1).unflatten(-1, (3, 3))
    sin, cos = angle.sin()[..., None], angle.cos()[..., None]
    eye = torch.eye(3, dtype=angles.dtype)
    return eye + sin * cross + (1 - cos) * (cross @ cross)
