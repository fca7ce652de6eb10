"""How objects move: gravity, bounces, friction, walls, collisions and driven motions.

Semi-implicit Euler steps of fixed length in float64. Seen from above, every object is a footprint
that reaches so far in each direction; two objects are apart as long as the line between their
centres separates their footprints, so they touch without ever passing into one another. A driven
motion (orbit) ends when something touches the object. Metres, seconds; y is up.

Shapes: B clips, F frames, T latent frames, N object slots.
"""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor

from ..scene import ACTIONS, HALF_DEPTH, HALF_WIDTH, MOTIONS, RADII, latent_of_frame
from .bodies import GRAVITY, deceleration, footprints, reach_from, rest_height, restitution
from .rotation import first_rotation, rotate, turning
from .script import JUMP_SPEED, TURN_SPEED, Course, Script

WALL_KEEP = 0.55  # share of the speed towards a wall that is kept
COLLISION_KEEP = 0.5  # share of the closing speed kept by a collision
REST_SPEED = 0.3  # m/s; slower impacts on the ground end in rest
SUBSTEPS = 4
PUSHES = 3  # rounds in which what is too close is pushed apart, in each step
BRAKE_FRAMES = 5  # what must end brakes for so long
JUMP_PAUSE = 0.3  # seconds on the ground between jumps
JUMP_FRAMES = 14  # no jump begins so shortly before a second motion
STEERED_SPEED, STEERED_PUSH = 1.7, 6.0  # m/s and m/s² of a steered object

JUMP, SPIN, ORBIT = MOTIONS.index("jump"), MOTIONS.index("spin"), MOTIONS.index("orbit")
STOP = MOTIONS.index("stop")


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
            most = end - reach_from(self.foot, self.cos, self.sin, x, z)
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
        mine = reach_from(self.foot[:, :, None], self.cos[:, :, None], self.sin[:, :, None], x, z)
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
    rotation = first_rotation(script)
    rows: dict[str, list[Tensor]] = {field.name: [] for field in fields(Course)}
    spin = torch.zeros(B, N, 3, dtype=torch.float64)
    spin[..., 1] = -stage.turn
    for frame in range(frames):
        impact = torch.zeros(B, N, N + 2, dtype=torch.float64)
        moment = torch.zeros_like(impact)
        if frame:
            before, yaw = stage.position.clone(), stage.yaw
            stage.begin_second(frame - 1)
            for part in range(SUBSTEPS):
                stage.substep(frame - 1, part, impact, moment)
            moved, turned = (stage.position - before) * fps, (stage.yaw - yaw) * fps
            spin = turning(script, moved, turned, yaw, stage.resting)
            rotation = rotate(spin / fps) @ rotation
        now = (stage.position, stage.velocity, rotation, spin, stage.resting, impact, moment)
        for key, value in zip(rows, now, strict=True):
            rows[key].append(value.clone())
    return Course(**{key: torch.stack(values, 1) for key, values in rows.items()})
