"""What a caption can speak of: things, what they do and whom they hit, and the words of the scene.

Words are indices into the tables of `scene`, UNKNOWN where the picture does not show them.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..scene import DIRECTIONS, MOTIONS

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
