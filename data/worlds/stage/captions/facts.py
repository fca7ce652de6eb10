"""What a clip of the stage shows: the truth that captions may tell.

Rules
- An object that is in the picture, and not hidden by another, in less than SEEN of the frames is
  not there.
- A motion is there once it has gone far enough to be noticed, while the object was in the picture;
  one that was meant but has not happened yet is not. A bounce that has only fallen so far is a
  fall. A clip of one frame shows no motion.
- What turns about its own axis of symmetry shows it by its stripes only.
- A surface is told where its style of drawing shows it: flat drawings have no shine.
- A colour is not told of what does not glow, at night in fog.
- The camera is still if it never moves; a move is there once it has gone far enough.
- An impact is there if it was not faint and both were in the picture.

Shapes: B clips, F frames, N object slots.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..scene import CAMERAS, DIRECTIONS, MATERIALS, MOTIONS, SHAPES, STYLES, TIMES, WEATHERS, Scenes

SEEN = 0.2  # share of frames
MOVED = 0.35  # metres that count as going somewhere
STILL = 0.06  # metres, and radians, that do not count as moving
RISEN = 0.12  # metres that count as a bounce or a jump
FALLEN = 0.3
TURNED = 0.8  # radians that count as spinning or circling
STRAIGHT = 0.6  # the most that a path to one side may go to another, as a share of its length
FAINT = 0.2  # m/s
FPS = 12  # frames per second
SHOWS_MATERIAL = {
    "shaded": MATERIALS,
    "flat": ("striped", "glowing"),
    "pencil": MATERIALS,
    "pixels": MATERIALS,
    "watercolour": MATERIALS,
}
UNKNOWN = -1
STAND, ROLL, SLIDE, FALL, BOUNCE, JUMP, SPIN, ORBIT, COLLIDE, EMERGE, STOP = range(len(MOTIONS))
LEFT, RIGHT, TOWARD, AWAY = range(1, len(DIRECTIONS))


@dataclass(frozen=True)
class Deed:
    """A motion that is seen; target is a slot, UNKNOWN if there is none."""

    motion: int
    direction: int = 0
    speed: int = UNKNOWN
    target: int = UNKNOWN


@dataclass(frozen=True)
class Thing:
    """An object that is seen. Words as in `Scenes`, UNKNOWN for what the picture does not show."""

    slot: int
    colour: int
    shape: int
    material: int
    size: int
    deeds: tuple[Deed, ...] = ()  # at most two, one after the other; () if nothing is sure
    place: float = 0.0  # from left to right in the first frame


@dataclass(frozen=True)
class Hit:
    """An impact: slot `who` hits slot `whom` (UNKNOWN: a wall) during motion `phase` of `who`."""

    who: int
    whom: int
    phase: int
    pushes: bool


@dataclass(frozen=True)
class Facts:
    """What one clip shows. Words as in `Scenes`, UNKNOWN where the picture does not show them."""

    things: tuple[Thing, ...]
    hits: tuple[Hit, ...]
    camera: int
    camera_speed: int
    camera_target: int
    time: int
    weather: int
    ground: int
    style: int
    place: int


def facts(scenes: Scenes) -> list[Facts]:
    """What each clip shows."""
    seen = in_picture(scenes)
    across = project(scenes)[0][:, 0]
    camera = seen_camera(scenes)
    columns = [
        getattr(scenes, name).tolist()
        for name in ("camera_speed", "camera_target", "time", "weather", "ground", "style", "place")
    ]
    clips = []
    for row, (speed, target, time, weather, ground, style, place) in enumerate(zip(*columns)):
        slots = _seen_slots(scenes, seen, row)
        things = tuple(_thing(scenes, seen, across, row, slot) for slot in slots)
        hits = _hits(scenes, seen, row, slots)
        move = camera[row]
        if CAMERAS[move] == "follow" and target not in slots:
            move = UNKNOWN
        moves = move > 0
        clips.append(
            Facts(
                things,
                hits,
                move,
                speed if moves else UNKNOWN,
                target if moves and CAMERAS[move] == "follow" else UNKNOWN,
                time,
                weather,
                ground,
                style,
                place,
            )
        )
    return clips


def project(scenes: Scenes) -> tuple[Tensor, Tensor, Tensor]:
    """Where centres stand in the picture, [B, F, N] each: across and up, from -1 to 1 inside it,
    and metres ahead of the camera."""
    x, y, z = (scenes.position - scenes.eye[:, :, None]).unbind(-1)
    yaw, pitch = scenes.view[:, :, None].unbind(-1)
    flat = yaw.sin() * x + yaw.cos() * z
    ahead = pitch.cos() * flat + pitch.sin() * y
    scale = 1 / (ahead.clamp_min(1e-3) * scenes.lens[:, :, None])
    across = (yaw.cos() * x - yaw.sin() * z) * scale
    up = (pitch.cos() * y - pitch.sin() * flat) * scale
    return across, up, ahead


def in_picture(scenes: Scenes) -> Tensor:
    """bool [B, F, N]: centres inside the picture and not hidden by a nearer object."""
    across, up, ahead = project(scenes)
    inside = (across.abs() < 1) & (up.abs() < 1) & (ahead > 0.3) & scenes.present[:, None]
    apparent = scenes.radius[:, None] / (ahead.clamp_min(0.3) * scenes.lens[:, :, None])
    gap = torch.hypot(
        across[..., :, None] - across[..., None, :], up[..., :, None] - up[..., None, :]
    )
    # by the object of the last axis; half of its outline is the least that it hides for sure
    hidden = gap + 0.5 * apparent[..., :, None] < 0.9 * apparent[..., None, :]
    nearer = ahead[..., None, :] + 0.3 < ahead[..., :, None]
    solid = scenes.present & (scenes.shape != SHAPES.index("ring"))  # one sees through a ring
    hidden &= nearer & solid[:, None, None]
    return inside & ~hidden.any(-1)


def seen_camera(scenes: Scenes) -> list[int]:
    """The move of each clip's camera: 0 if it never moves, UNKNOWN if it has not gone far."""
    eye = (scenes.eye - scenes.eye[:, :1]).norm(dim=-1).amax(1)
    view = (scenes.view - scenes.view[:, :1]).norm(dim=-1).amax(1)
    lens = (scenes.lens / scenes.lens[:, :1]).log().abs().amax(1)
    if scenes.frames < 2:
        return [UNKNOWN] * len(scenes)
    still = (eye < 1e-4) & (view < 1e-4) & (lens < 1e-4)
    far = torch.stack([eye / 0.25, view / 0.08, lens / 0.08], -1).amax(-1) >= 1
    camera = torch.where(far, scenes.camera, UNKNOWN)
    return torch.where(still, torch.where(scenes.camera == 0, 0, UNKNOWN), camera).tolist()


def _seen_slots(scenes: Scenes, seen: Tensor, row: int) -> list[int]:
    share = seen[row].float().mean(0)
    return (share >= SEEN).nonzero().flatten().tolist()


def _thing(scenes: Scenes, seen: Tensor, across: Tensor, row: int, slot: int) -> Thing:
    style = STYLES[int(scenes.style[row])]
    material = int(scenes.material[row, slot])
    shows = MATERIALS[material] in SHOWS_MATERIAL[style]
    dark = TIMES[int(scenes.time[row])] == "night" and WEATHERS[int(scenes.weather[row])] == "fog"
    lit = not dark or MATERIALS[material] == "glowing"
    return Thing(
        slot,
        int(scenes.colour[row, slot]) if lit else UNKNOWN,
        int(scenes.shape[row, slot]),
        material if shows else UNKNOWN,
        int(scenes.size[row, slot]),
        _deeds(scenes, seen, row, slot),
        float(across[row, slot]),
    )


def _deeds(scenes: Scenes, seen: Tensor, row: int, slot: int) -> tuple[Deed, ...]:
    begin = int(scenes.then_frame[row, slot])
    first_end = scenes.frames if begin < 0 else min(begin + 1, scenes.frames)
    first = _Phase(scenes, seen, row, slot, 0, 0, first_end).deed()
    if first is None or begin < 0 or begin + 2 > scenes.frames:
        return () if first is None else (first,)
    second = _Phase(scenes, seen, row, slot, 1, begin, scenes.frames).deed()
    if second is None:
        return ()  # it is under way: neither the first motion alone nor both
    return (first,) if second == first else (first, second)


class _Phase:
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
        across, _up, ahead = (x[self.row] for x in project(self.scenes))
        size = self.scenes.radius[self.row] / (
            ahead.clamp_min(0.3) * self.scenes.lens[self.row, :, None]
        )
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


def _hits(scenes: Scenes, seen: Tensor, row: int, slots: list[int]) -> tuple[Hit, ...]:
    """The first impact of each pair, and of each object with a wall, in the order in which they
    happen."""
    N = scenes.shape.shape[1]
    wall = N + 1
    impact = scenes.impact[row]
    found = []
    done = set()
    strong = ((impact > FAINT) & seen[row][..., None]).nonzero().tolist()
    for frame, who, other in strong:
        if who not in slots or other == N:
            continue
        pair = (who, UNKNOWN) if other == wall else (min(who, other), max(who, other))
        if pair in done:
            continue
        if other == wall:
            done.add(pair)
            found.append(Hit(who, UNKNOWN, _phase_at(scenes, row, who, frame), False))
        elif other in slots and bool(seen[row, frame, other]):
            done.add(pair)
            found.append(_hit(scenes, row, frame, who, other))
    return tuple(found)


def _hit(scenes: Scenes, row: int, frame: int, one: int, two: int) -> Hit:
    """Who was faster hits the other one."""
    before = scenes.velocity[row, max(frame - 1, 0)].norm(dim=-1)
    who, whom = (one, two) if before[one] >= before[two] else (two, one)
    was_still = bool(before[whom] < 0.05)
    moved = (scenes.position[row, -1, whom] - scenes.position[row, frame, whom]).norm()
    pushes = was_still and bool(moved > MOVED)
    return Hit(who, whom, _phase_at(scenes, row, who, frame), pushes)


def _phase_at(scenes: Scenes, row: int, slot: int, frame: int) -> int:
    begin = int(scenes.then_frame[row, slot])
    return int(0 <= begin < frame)
