"""A world of balls, cubes and cylinders on a checker floor: endless captioned video.

Facts of this world
- Right-handed metres: x to the right, y up, z away from the camera; the floor is y = 0. Time is in
  seconds.
- 1 to 3 objects of different colours; each is still, rolls or slides in one of four directions, or
  falls and bounces.
- Gravity, bounces, rolling friction and collisions: see `dynamics`.
- The camera is still, pans, orbits or moves in. Every move eases in and out over `camera_seconds`,
  and the camera is still afterwards.
- A clip follows from one integer seed, whatever batch it is drawn in, and its truth is known.

Shapes: B clips, F frames, N object slots (slots from `count` on are empty).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from .dynamics import FRICTION, RADII, simulate, spread_apart

COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
SHAPES = ("ball", "cube", "cylinder")
SIZES = ("small", "large")
MOTIONS = ("still", "left", "right", "toward", "away", "falls")
CAMERAS = ("still", "pan left", "pan right", "orbit left", "orbit right", "move in")
TIMES = ("day", "evening", "night")

HELD_OUT_PAIRS = (("orange", "cube"), ("cyan", "ball"), ("purple", "cylinder"), ("green", "cube"))
"""Colour-shape pairs that the shipped generator never saw in training (the tokenizer did)."""

CANDIDATES = 24  # random placements tried per clip before the roomiest of them is taken
UNIFORMS = 16  # random numbers per object and candidate

CAMERA_DISTANCE = 5.2
CAMERA_HEIGHT = 2.3
CAMERA_TARGET = 0.62
PAN = 0.12  # half the range of each move: radians, radians, share of the distance
ORBIT = 0.32
MOVE_IN = 0.16


@dataclass(frozen=True)
class PhysicsConfig:
    """Which scenes are drawn.

    `hold_out` leaves HELD_OUT_PAIRS out; `only_held_out` draws at least one of them.
    """

    max_objects: int = 2
    # share of clips with two or more objects in which one object is aimed at another
    collisions: float = 0.4
    moving_camera: float = 0.5  # share of clips whose camera moves
    moving_objects: float = 0.8  # share of objects that move
    # objects that move sideways may also miss the others; otherwise they nearly always hit one
    any_motions: bool = False
    fps: float = 12.0
    camera_seconds: float = 2.7
    hold_out: bool = False
    only_held_out: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.max_objects <= 3:
            raise ValueError(f"max_objects must be 1, 2 or 3; got {self.max_objects}")
        for name in ("fps", "camera_seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0; got {getattr(self, name)}")
        for name in ("collisions", "moving_camera", "moving_objects"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share, from 0 to 1; got {getattr(self, name)}")
        if self.hold_out and self.only_held_out:
            raise ValueError("hold_out and only_held_out exclude each other; set one of them")


@dataclass(frozen=True)
class Scenes:
    """The exact state of B clips.

    count [B]; colour, shape, size, motion int64 [B, N]; yaw [B, N]; time, camera int64 [B];
    position [B, F, N, 3] of the centres; contact bool [B, F, N, N], true where two objects have
    touched since the frame before; eye [B, F, 3] and view [B, F, 2] (yaw, pitch in radians) of the
    camera.
    """

    count: Tensor
    colour: Tensor
    shape: Tensor
    size: Tensor
    motion: Tensor
    yaw: Tensor
    time: Tensor
    camera: Tensor
    position: Tensor
    contact: Tensor
    eye: Tensor
    view: Tensor

    def __len__(self) -> int:
        return len(self.count)

    def __getitem__(self, rows: slice | Tensor) -> Scenes:
        return Scenes(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def radius(self) -> Tensor:
        """Half heights [B, N] in metres."""
        return torch.tensor(RADII)[self.size]

    @property
    def present(self) -> Tensor:
        """bool [B, N]: which slots hold an object."""
        return torch.arange(self.colour.shape[1]) < self.count[:, None]

    @property
    def collides(self) -> Tensor:
        """bool [B]: whether any two objects touch."""
        return self.contact.flatten(1).any(1)


def uniforms(seeds: Sequence[int], shape: tuple[int, ...]) -> Tensor:
    """Random numbers in [0, 1), [len(seeds), *shape]; row b depends on seeds[b] alone."""
    generator = torch.Generator()
    return torch.stack(
        [torch.rand(shape, generator=generator.manual_seed(int(seed))) for seed in seeds]
    )


def sample_scenes(
    seeds: Sequence[int], frames: int, config: PhysicsConfig = PhysicsConfig()
) -> Scenes:
    """Draw and simulate one scene per seed. Slots are ordered from left to right as first seen.

    Raises ValueError for frames below 1.
    """
    if frames < 1:
        raise ValueError(f"frames must be at least 1; got {frames}")
    draws = uniforms(seeds, (1 + CANDIDATES * 3, UNIFORMS))
    u_clip = draws[:, 0]
    u_object = draws[:, 1:].unflatten(1, (CANDIDATES, 3))
    count = 1 + (u_clip[:, 0] * config.max_objects).long()
    present = torch.arange(3) < count[:, None]
    colour, shape = _colours_and_shapes(u_clip, u_object[:, 0], present, config)
    # three fit into the frame when they are small
    size = ((u_object[:, 0, :, 2] < 0.5) & (count < 3)[:, None]).long()
    aimed = (count > 1) & (u_clip[:, 1] < config.collisions)
    motion, start, velocity = _place(u_object, size, present, aimed, config)
    start = spread_apart(start, size, shape, present)
    moves = u_clip[:, 2] < config.moving_camera
    camera = torch.where(moves, 1 + (u_clip[:, 3] * (len(CAMERAS) - 1)).long(), 0)
    eye, view = camera_path(camera, frames, config)
    order = torch.where(present, _across(start, eye[:, :1], view[:, :1]), torch.inf).argsort(1)
    colour, shape, size, motion = (x.gather(1, order) for x in (colour, shape, size, motion))
    start, velocity = (x.gather(1, order[..., None].expand(-1, -1, 3)) for x in (start, velocity))
    yaw = u_object[:, 0, :, 3].gather(1, order) * (math.pi / 2)
    time = (u_clip[:, 4] * len(TIMES)).long()
    position, contact = simulate(start, velocity, size, shape, present, frames, config.fps)
    slots = config.max_objects
    colour, shape, size, motion, yaw = (x[:, :slots] for x in (colour, shape, size, motion, yaw))
    position = position[:, :, :slots]
    contact = contact[:, :, :slots, :slots]
    return Scenes(
        count, colour, shape, size, motion, yaw, time, camera, position, contact, eye, view
    )


def _colours_and_shapes(
    u_clip: Tensor, u: Tensor, present: Tensor, config: PhysicsConfig
) -> tuple[Tensor, Tensor]:
    """Different colours by a random permutation; an unwanted pair takes the next shape."""
    colour = u_clip[:, 8:].argsort(1)[:, :3]
    shape = (u[:, :, 1] * len(SHAPES)).long()
    held_out = torch.zeros(len(COLOURS), len(SHAPES), dtype=torch.bool)
    for name, form in HELD_OUT_PAIRS:
        held_out[COLOURS.index(name), SHAPES.index(form)] = True
    if config.hold_out:
        for _ in SHAPES[1:]:
            shape = torch.where(held_out[colour, shape], (shape + 1) % len(SHAPES), shape)
    if config.only_held_out:
        pairs = held_out.nonzero()[(u_clip[:, 7] * len(HELD_OUT_PAIRS)).long()]
        # keep the colours different
        others = torch.where(colour == pairs[:, :1], colour[:, :1], colour)
        colour = torch.cat([pairs[:, :1], others[:, 1:]], 1)
        shape = torch.cat([pairs[:, 1:], shape[:, 1:]], 1)
    return torch.where(present, colour, 0), torch.where(present, shape, 0)


def _place(
    u: Tensor, size: Tensor, present: Tensor, aimed: Tensor, config: PhysicsConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """Motions, starts and velocities [B, 3(, 3)] of the first candidate without collisions."""
    radius = torch.tensor(RADII)[size][:, None]  # [B, 1, 3]
    motion = torch.where(
        u[..., 4] < config.moving_objects,
        1 + (u[..., 5] * (len(MOTIONS) - 1)).long(),
        torch.zeros((), dtype=torch.long),
    )
    if config.any_motions:
        motion = motion[:, :1].repeat(1, CANDIDATES, 1)
    # an aimed object comes from the left and moves right, or the other way round
    lead = u[:, :, 0, 6] < 0.5
    hits = aimed[:, None].expand_as(lead)
    motion[..., 0] = torch.where(hits, torch.where(lead, 2, 1), motion[..., 0])
    motion[..., 1] = torch.where(hits, 0, motion[..., 1])
    along_x = (motion == 1) | (motion == 2)
    along_z = (motion == 3) | (motion == 4)
    falls = motion == 5
    sign = torch.where((motion == 1) | (motion == 3), -1.0, 1.0)
    speed = torch.where(along_x, 1.2 + 0.3 * u[..., 7], 1.1 + 0.25 * u[..., 7])
    middle = (u[..., 8] - 0.5) * 0.5  # of a path from side to side
    if config.any_motions:
        speed = torch.where(along_x & ~hits[..., None], 1.0 + 0.4 * u[..., 7], speed)
    travel = speed**2 / (2 * FRICTION)
    if config.any_motions:
        middle = (u[..., 8] - 0.5) * 2 * (1.45 - travel / 2)
    centre_x = (u[..., 8] - 0.5) * (3.4 - 0.9 * radius)
    centre_z = (u[..., 9] - 0.5) * 1.5
    x = torch.where(along_x, middle - sign * travel / 2, centre_x)
    z = torch.where(along_z, (u[..., 9] - 0.5) * 0.4 + 0.15 - sign * travel / 2, centre_z)
    side = torch.where(lead, 1.0, -1.0)
    x[..., 1] = torch.where(hits, side * (0.1 + 0.5 * u[:, :, 1, 8]), x[..., 1])
    x[..., 0] = torch.where(hits, -side * (1.35 + 0.15 * u[:, :, 0, 8]), x[..., 0])
    z[..., 0] = torch.where(hits, z[..., 1] * 0.6 + 0.25 * (u[:, :, 0, 9] - 0.5), z[..., 0])
    z[..., 1] = torch.where(hits, z[..., 1] * 0.6, z[..., 1])
    y = radius + torch.where(falls, 0.8 + 0.5 * u[..., 10], 0.0)
    start = torch.stack([x, y.expand_as(x), z], -1)
    zero = torch.zeros_like(x)
    velocity = torch.stack([sign * speed * along_x, zero, sign * speed * along_z], -1)
    chosen = _clearance(start, velocity, travel, radius, present, hits)
    rows = torch.arange(len(u))
    return motion[rows, chosen], start[rows, chosen], velocity[rows, chosen]


def _clearance(
    start: Tensor, velocity: Tensor, travel: Tensor, radius: Tensor, present: Tensor, hits: Tensor
) -> Tensor:
    """Index [B] of the first candidate whose objects keep apart (aimed pairs: at the start)."""
    direction = velocity / velocity.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    moments = torch.linspace(0, 1, 12)
    path = (
        start[..., None, :] + direction[..., None, :] * travel[..., None, None] * moments[:, None]
    )  # [B, C, 3, 12, 3]
    gap = torch.full(start.shape[:2], torch.inf)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        flat = (path[:, :, i] - path[:, :, j])[..., [0, 2]].norm(dim=-1)
        aimed_gap = flat[..., 0] - 0.5
        between = torch.where(hits & (i == 0) & (j == 1), aimed_gap, flat.amin(-1)) - 1.1 * (
            radius[..., i] + radius[..., j]
        )
        both = (present[:, i] & present[:, j])[:, None]
        gap = torch.where(both, torch.minimum(gap, between), gap)
    return torch.where((gap > 0).any(1), (gap > 0).int().argmax(1), gap.argmax(1))


def _across(position: Tensor, eye: Tensor, view: Tensor) -> Tensor:
    """Horizontal places [..., N] in the picture, in focal lengths, of points [..., N, 3].

    eye [..., 1, 3] and view [..., 1, 2] are those of the camera.
    """
    x, y, z = (position - eye).unbind(-1)
    yaw, pitch = view.unbind(-1)
    depth = pitch.cos() * (yaw.sin() * x + yaw.cos() * z) + pitch.sin() * y
    return (yaw.cos() * x - yaw.sin() * z) / depth


def camera_path(
    camera: Tensor, frames: int, config: PhysicsConfig = PhysicsConfig()
) -> tuple[Tensor, Tensor]:
    """Positions [B, F, 3] and (yaw, pitch) [B, F, 2] of the camera moves [B] (see CAMERAS)."""
    progress = (torch.arange(frames) / config.fps / config.camera_seconds).clamp(max=1.0)
    # from -1 to 1, gentle ends
    eased = 2 * (0.75 * progress + 0.25 * (3 * progress**2 - 2 * progress**3)) - 1
    along = eased.expand(len(camera), frames)
    zero = torch.zeros_like(along)
    is_move = [(camera == index)[:, None] for index in range(len(CAMERAS))]
    turn = torch.where(is_move[1], -PAN * along, torch.where(is_move[2], PAN * along, zero))
    angle = torch.where(is_move[3], -ORBIT * along, torch.where(is_move[4], ORBIT * along, zero))
    distance = CAMERA_DISTANCE * torch.where(is_move[5], 1 - MOVE_IN * along, 1 + zero)
    height = CAMERA_TARGET + (CAMERA_HEIGHT - CAMERA_TARGET) * distance / CAMERA_DISTANCE
    eye = torch.stack([angle.sin() * distance, height, -angle.cos() * distance], -1)
    pitch = torch.atan2(CAMERA_TARGET - height, distance)
    return eye, torch.stack([turn - angle, pitch], -1)
