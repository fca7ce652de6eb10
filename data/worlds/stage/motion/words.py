"""Which words of motion objects get, and how they stand for it.

Shapes: K drafts, N object slots.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..scene import HALF_DEPTH, MOTIONS, RADII, SHAPES, SPEEDS, StageConfig
from .bodies import deceleration, restitution
from .script import TRAVEL_SPEED

CROWD_MOVERS = 2  # of three and more objects, so many move at most
SHORTEST_WAY = 0.6  # metres that what travels should get

M = {word: index for index, word in enumerate(MOTIONS)}
BALL, CUBE, CYLINDER, CONE, RING, CAPSULE = range(len(SHAPES))


def pick(u: Tensor, words: tuple[str, ...], table: tuple[str, ...]) -> Tensor:
    """Indices into `table` of words drawn by uniform numbers."""
    choice = torch.tensor([table.index(word) for word in words])
    return choice[(u * len(words)).long()]


def first_words(
    u: Tensor,
    present: Tensor,
    shape: Tensor,
    material: Tensor,
    size: Tensor,
    ground: Tensor,
    config: StageConfig,
) -> tuple[Tensor, Tensor]:
    """First motions and targets [B * C, N]. A word that the object cannot show becomes another."""
    moving = tuple(word for word in config.motions if word != "stand") or ("stand",)
    motion = torch.where(u[..., 0] < config.moving_objects, pick(u[..., 1], moving, MOTIONS), 0)
    count = present.sum(1, keepdim=True)
    slots = torch.arange(motion.shape[1])
    rank = torch.where(motion > 0, u[..., 19], 2.0).argsort(1).argsort(1)
    motion = torch.where((count > 2) & (rank >= CROWD_MOVERS), M["stand"], motion)
    # One object of a scene may have to do with another, the first that drew such a word.
    social = (motion == M["orbit"]) | (motion == M["collide"]) | (motion == M["emerge"])
    social = social & present & (count > 1)
    first = torch.where(social.any(1), social.int().argmax(1), -1)[:, None]
    # The largest other object is the target; among equals the draw decides.
    rank = torch.tensor(RADII)[size] + 0.01 * u[..., 2]
    rank = torch.where(present & (slots != first), rank, -1.0)
    other = rank.argmax(1, keepdim=True)
    radius = torch.tensor(RADII)[size]
    wide = torch.tensor([1.0, 0.85, 0.72, 0.6, 0.9, 0.52])[shape] * radius
    cover = torch.where(shape == RING, 0.0, wide).gather(1, other)
    hides = (cover >= 1.25 * wide) & (radius.gather(1, other) > radius)
    fits = 1.18 * (wide + wide.gather(1, other)) + wide < HALF_DEPTH
    keeps = (slots == first) & ((motion != M["emerge"]) | hides) & ((motion != M["orbit"]) | fits)
    target = torch.where(keeps, other, -1)
    slides = torch.where(u[..., 3] < 0.5, M["roll"], M["slide"])
    motion = torch.where((motion >= M["orbit"]) & ~keeps, slides, motion)
    is_target = (slots == other) & keeps.any(1, keepdim=True)
    motion = torch.where(is_target, M["stand"], motion)
    cannot_roll = (shape == CUBE) | (shape == CONE)
    motion = torch.where((motion == M["roll"]) & cannot_roll, M["slide"], motion)
    motion = torch.where((motion == M["slide"]) & (shape == BALL), M["roll"], motion)
    drops = (motion == M["fall"]) | (motion == M["bounce"])
    springs = restitution(shape, ground[:, None]) >= 0.5
    motion = torch.where(drops, torch.where(springs, M["bounce"], M["fall"]), motion)
    hidden_spin = (motion == M["spin"]) & ~_shows_spin(shape, material)
    return torch.where(hidden_spin, M["jump"], motion), target


def _shows_spin(shape: Tensor, material: Tensor) -> Tensor:
    return (shape == CUBE) | (shape == RING) | (material == 2)


def second_words(
    u: Tensor,
    motion: Tensor,
    shape: Tensor,
    material: Tensor,
    calm: Tensor,
    config: StageConfig,
) -> tuple[Tensor, Tensor]:
    """Second motions, or -1, and the frame at which they begin."""
    travels = (motion == M["roll"]) | (motion == M["slide"])
    first = travels | (motion == M["jump"]) | (motion == M["spin"]) | (motion == M["stand"])
    drawn = (u[..., 6] < config.then) & first & ~calm[:, None]
    drawn &= (motion != M["stand"]) | (u[..., 0] < config.moving_objects)
    travel = torch.where((shape == CUBE) | (shape == CONE), M["slide"], M["roll"])
    travel = torch.where(motion == M["slide"], M["slide"], travel)
    spin_or_jump = torch.where(_shows_spin(shape, material), M["spin"], M["jump"])
    second = torch.where(u[..., 7] < 0.45, travel, M["jump"])
    second = torch.where((u[..., 7] > 0.7) & (motion != M["spin"]), spin_or_jump, second)
    ends = (travels | (motion == M["spin"])) & (u[..., 8] < 0.4)
    second = torch.where(ends, M["stop"], second)
    same = (second == motion) & ~travels
    second = torch.where(same, travel, second)
    allowed = torch.tensor([word in config.motions or word == "stop" for word in MOTIONS])
    second = torch.where(drawn & allowed[second], second, -1)
    # A jump lasts longer than the braking of what travels.
    begin = torch.where(
        motion == M["jump"], 16 + (u[..., 9] * 4).long(), 10 + (u[..., 9] * 7).long()
    )
    return second, begin


def directions(u: Tensor, motion: Tensor, speed: Tensor) -> Tensor:
    """Directions [..., 2] of both motions; a second one leads elsewhere than the first.

    The stage is too shallow for fast ways into the depth.
    """
    first = 1 + (u[..., 10] * 4).long()
    sideways = 1 + (u[..., 10] * 2).long()
    only_sideways = (motion[..., 0] >= M["spin"]) & (motion[..., 0] <= M["emerge"])
    fast = speed[..., 0] == SPEEDS.index("fast")
    first = torch.where(only_sideways | fast, sideways, first)
    second = (first - 1 + 1 + (u[..., 11] * 3).long()) % 4 + 1
    second = torch.where(motion[..., 1] == M["spin"], 1 + (u[..., 11] * 2).long(), second)
    both = torch.stack([first, second], -1)
    has = (motion == M["roll"]) | (motion == M["slide"]) | (motion == M["collide"])
    has |= (motion == M["spin"]) | (motion == M["orbit"]) | (motion == M["emerge"])
    return torch.where(has, both, 0)


def noticeable(
    speed: Tensor,
    motion: Tensor,
    shape: Tensor,
    lying: Tensor,
    ground: Tensor,
    config: StageConfig,
) -> Tensor:
    """Speeds of what travels, the next faster one where the ground would end it at once."""
    travels = (motion == M["roll"]) | (motion == M["slide"])
    travels |= (motion == M["collide"]) | (motion == M["emerge"])
    drag = deceleration(shape, lying, ground[:, None])[..., None]
    short = torch.tensor(TRAVEL_SPEED).double()[speed] ** 2 / (2 * drag) < SHORTEST_WAY
    slow = speed == SPEEDS.index("slow")
    faster = torch.where(travels & short & slow, speed + 1, speed)
    return faster if "normal" in config.speeds else speed


def lying(u: Tensor, motion: Tensor, shape: Tensor) -> Tensor:
    """Whether the axis of symmetry is horizontal."""
    turns_over = (shape == CYLINDER) | (shape == CAPSULE)
    free = torch.where(shape == RING, u[..., 12] < 0.75, turns_over & (u[..., 12] < 0.3))
    any_kind = (motion[..., 0] == M["collide"]) | (motion[..., 0] == M["emerge"])
    half = (shape == RING) | turns_over
    lying = torch.where(any_kind, half & (u[..., 12] < 0.5), free)
    rolls = (motion == M["roll"]).any(-1) & (shape != BALL)
    slides = (motion == M["slide"]).any(-1) | (motion[..., 0] == M["orbit"])
    return torch.where(rolls, True, torch.where(slides, False, lying))
