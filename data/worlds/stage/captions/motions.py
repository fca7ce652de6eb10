"""Whether a motion is seen, from the path of its object."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..scene import MATERIALS, SHAPES, Scenes
from .facts import (
    AWAY,
    BOUNCE,
    COLLIDE,
    EMERGE,
    FALL,
    JUMP,
    LEFT,
    ORBIT,
    RIGHT,
    ROLL,
    SLIDE,
    SPIN,
    STAND,
    STOP,
    TOWARD,
    UNKNOWN,
    Deed,
)
from .picture import places, sizes

MOVED = 0.35  # metres that count as going somewhere
STILL = 0.06  # metres, and radians, that do not count as moving
RISEN = 0.12  # metres that count as a bounce or a jump
FALLEN = 0.3
TURNED = 0.8  # radians that count as spinning or circling
STRAIGHT = 0.6  # the most that a path to one side may go to another, as a share of its length
FAINT = 0.2  # m/s; a softer impact is not seen
FPS = 12  # frames per second


class Phase:
    """One motion of one object, from frame `begin` until before frame `end`."""

    def __init__(
        self, scenes: Scenes, seen: Tensor, row: int, slot: int, phase: int, begin: int, end: int
    ) -> None:
        self.scenes = scenes
        self.frames = slice(begin, end)
        self.row = row
        self.slot = slot
        self.begin = begin
        self.motion = int(scenes.motion[row, slot, phase])
        self.direction = int(scenes.direction[row, slot, phase])
        self.speed = int(scenes.speed[row, slot, phase])
        self.target = int(scenes.target[row, slot])
        self.seen = seen[row, self.frames, slot]
        self.path = scenes.position[row, self.frames, slot]
        self.height = self.path[:, 1]

    def deed(self) -> Deed | None:
        """What is seen of it, or nothing that is sure."""
        enough = int(self.seen.sum()) >= max(2, math.ceil(len(self.seen) / 3))
        if self.motion < 0 or len(self.path) < 2 or not enough:
            return None
        if self.motion in (ROLL, SLIDE, COLLIDE, EMERGE):
            return self._travel()
        checks = {
            STAND: self._stands,
            FALL: self._falls,
            JUMP: self._jumps,
            SPIN: self._spins,
            ORBIT: self._circles,
            STOP: self._stops,
        }
        if self.motion == BOUNCE:
            if self._bounces():
                return Deed(BOUNCE)
            return Deed(FALL) if self._falls() else None
        if not checks[self.motion]():
            return None
        turns = self.motion in (SPIN, ORBIT)
        paced = turns or self.motion == JUMP
        return Deed(
            self.motion,
            self.direction if turns else 0,
            self.speed if paced else UNKNOWN,
            self.target if self.motion == ORBIT else UNKNOWN,
        )

    def _travel(self) -> Deed | None:
        """Rolling and sliding: which side it goes to first, whom it meets, where it comes from."""
        kind = self.motion if self.motion in (ROLL, SLIDE) else self._going()
        gone = self.path - self.path[0]
        distance = gone[:, [0, 2]].norm(dim=-1)
        far = (distance >= MOVED).nonzero()
        if not len(far):
            return None
        side = self._side(gone[int(far[0])])
        meets = self.motion == COLLIDE and self._meets()
        if self.motion == EMERGE and self._comes_out(far):
            return Deed(EMERGE, side, self.speed, self.target)
        if meets:
            return Deed(COLLIDE, side, self.speed, self.target)
        if self.motion in (COLLIDE, EMERGE):
            return Deed(kind, side, self.speed)
        if self.direction and side != self.direction:
            return Deed(kind, 0, self.speed)
        return Deed(kind, side, self.speed)

    def _going(self) -> int:
        lying = bool(self.scenes.lying[self.row, self.slot])
        ball = SHAPES[int(self.scenes.shape[self.row, self.slot])] == "ball"
        return ROLL if lying or ball else SLIDE

    def _side(self, gone: Tensor) -> int:
        """The direction in the first picture, 0 if it is askew."""
        yaw = float(self.scenes.view[self.row, 0, 0])
        x, _, z = gone.tolist()
        right = x * math.cos(yaw) - z * math.sin(yaw)
        ahead = x * math.sin(yaw) + z * math.cos(yaw)
        if abs(ahead) <= STRAIGHT * abs(right):
            return RIGHT if right > 0 else LEFT
        if abs(right) <= STRAIGHT * abs(ahead):
            return AWAY if ahead > 0 else TOWARD
        return 0

    def _meets(self) -> bool:
        impact = self.scenes.impact[self.row, self.frames, self.slot, self.target]
        return bool(((impact > FAINT) & self.seen).any())

    def _comes_out(self, far: Tensor) -> bool:
        """Behind the target at first, beside it later, and seen there."""
        across, _, ahead = places(self.scenes)
        size = sizes(self.scenes, ahead)[self.row]
        across, ahead = across[self.row], ahead[self.row]
        pair = [self.slot, self.target]
        apart = (across[:, pair[0]] - across[:, pair[1]]).abs()
        reach = size[:, pair].sum(1)
        behind = bool(ahead[self.begin, pair[0]] > ahead[self.begin, pair[1]])
        covered = behind and float(apart[self.begin]) < 0.5 * float(reach[self.begin])
        beside = apart[self.frames][far[:, 0]] > 0.8 * reach[self.frames][far[:, 0]]
        return covered and bool((beside & self.seen[far[:, 0]]).any())

    def _stands(self) -> bool:
        turned = self.scenes.turning[self.row, self.frames, self.slot].abs().sum(0).amax()
        moved = (self.path - self.path[0]).norm(dim=-1).amax()
        return bool(moved < STILL) and float(turned) / FPS < 4 * STILL

    def _falls(self) -> bool:
        low = int(self.height.argmin())
        return float(self.height[0] - self.height[low]) >= FALLEN and bool(
            self.seen[: low + 1].any()
        )

    def _bounces(self) -> bool:
        """Down, then up again."""
        lowest = self.height.cummin(0)[0]
        rise = (self.height - lowest).amax()
        return float(self.height[0] - lowest[-1]) >= FALLEN and float(rise) >= RISEN

    def _jumps(self) -> bool:
        return float((self.height - self.height.cummin(0)[0]).amax()) >= RISEN

    def _spins(self) -> bool:
        turned = float(self.scenes.turning[self.row, self.frames, self.slot, 1].sum().abs()) / FPS
        shape = SHAPES[int(self.scenes.shape[self.row, self.slot])]
        striped = MATERIALS[int(self.scenes.material[self.row, self.slot])] == "striped"
        round_about = shape != "cube" and not bool(self.scenes.lying[self.row, self.slot])
        return turned >= TURNED and (striped or not round_about)

    def _circles(self) -> bool:
        around = self.path - self.scenes.position[self.row, self.frames, self.target]
        angle = torch.atan2(around[:, 2], around[:, 0])
        step = (angle.diff() + math.pi) % (2 * math.pi) - math.pi
        return abs(float(step.sum())) >= TURNED

    def _stops(self) -> bool:
        velocity = self.scenes.velocity[self.row, self.frames, self.slot].norm(dim=-1)
        return float(velocity[0]) >= 0.3 and float(velocity[-1]) <= 0.1
