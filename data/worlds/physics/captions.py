"""Truthful sentences about scenes of the physics world, in many wordings.

A sentence names every object with its colour, shape and motion, from left to right (where one hits
another, the moving one comes first). The size is sometimes left out. What is not said has its plain
value: an object without a verb is still, a scene without a camera word has a still camera, and one
without a time is by day. The wording depends on the seed alone, so the same seed with one attribute
of the scene changed gives the same sentence with that word swapped.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .scene import CAMERAS, COLOURS, MOTIONS, SHAPES, SIZES, TIMES, Scenes

COLOUR_WORDS = {
    "red": ("red", "red", "crimson", "scarlet"),
    "orange": ("orange", "orange", "tangerine", "amber"),
    "yellow": ("yellow", "yellow", "lemon", "golden"),
    "green": ("green", "green", "emerald", "grass-green"),
    "cyan": ("cyan", "turquoise", "teal", "cyan"),
    "blue": ("blue", "blue", "cobalt", "navy"),
    "purple": ("purple", "violet", "purple", "plum"),
    "pink": ("pink", "rose", "pink", "salmon-pink"),
}
SHAPE_WORDS = {
    "ball": ("ball", "ball", "sphere", "orb"),
    "cube": ("cube", "cube", "box", "block"),
    "cylinder": ("cylinder", "cylinder", "drum", "can"),
}
SIZE_WORDS = {"small": ("small", "little", "tiny"), "large": ("large", "big", "huge")}
MOTION_WORDS = {
    "left": (
        "{go} to the left",
        "{go} left",
        "drifts to the left",
        "moves left",
        "travels leftward",
    ),
    "right": (
        "{go} to the right",
        "{go} right",
        "drifts to the right",
        "moves right",
        "travels rightward",
    ),
    "toward": (
        "{go} toward the camera",
        "comes closer",
        "approaches the camera",
        "moves toward us",
        "{go} closer",
    ),
    "away": (
        "{go} away from the camera",
        "moves away",
        "recedes into the distance",
        "{go} away",
        "drifts away",
    ),
    "falls": (
        "falls and bounces",
        "drops to the floor",
        "falls from above",
        "falls down",
        "drops from above",
    ),
    "still": (
        "stays still",
        "stands still",
        "rests on the floor",
        "does not move",
        "sits on the floor",
    ),
}
CAMERA_WORDS = {
    "still": ("the camera is still", "a static shot", "the camera does not move"),
    "pan left": ("the camera pans left", "the camera pans to the left", "the camera turns left"),
    "pan right": (
        "the camera pans right",
        "the camera pans to the right",
        "the camera turns right",
    ),
    "orbit left": (
        "the camera orbits left",
        "the camera orbits to the left",
        "the camera circles left",
    ),
    "orbit right": (
        "the camera orbits right",
        "the camera orbits to the right",
        "the camera circles right",
    ),
    "move in": ("the camera moves in", "the camera pushes in", "the camera zooms in"),
}
TIME_WORDS = {
    "day": ("by day", "in daylight", "in the daytime"),
    "evening": ("in the evening", "at sunset", "at dusk"),
    "night": ("at night", "after dark", "in the moonlight"),
}
HIT_WORDS = ("hits", "bumps into", "runs into", "collides with")


@dataclass(frozen=True)
class Attributes:
    """What a sentence says of a scene, as indices into the tables of `scene`; -1 for no size."""

    # colour, shape, size, motion of each, from left to right
    objects: tuple[tuple[int, int, int, int], ...]
    camera: int
    time: int
    collides: bool

    def vector(self) -> Tensor:
        """int64 [16]: count - 1, 3 x (colour, shape, size, motion), camera, time, collides."""
        slots = [*self.objects, *((-1, -1, -1, -1),) * (3 - len(self.objects))]
        flat = [value for slot in slots for value in slot]
        return torch.tensor(
            [len(self.objects) - 1, *flat, self.camera, self.time, int(self.collides)]
        )


VECTOR_SIZES = (
    3,
    *(len(COLOURS), len(SHAPES), len(SIZES), len(MOTIONS)) * 3,
    len(CAMERAS),
    len(TIMES),
    2,
)
"""Number of values of each entry of `Attributes.vector`."""


def attributes(scenes: Scenes) -> list[Attributes]:
    """All true attributes of each scene."""
    table = torch.stack([scenes.colour, scenes.shape, scenes.size, scenes.motion], -1).tolist()
    rows = zip(
        table,
        scenes.count.tolist(),
        scenes.camera.tolist(),
        scenes.time.tolist(),
        scenes.collides.tolist(),
    )
    return [
        Attributes(tuple(map(tuple, t[:count])), camera, time, hit)
        for t, count, camera, time, hit in rows
    ]


def describe(scenes: Scenes, seeds: Sequence[int]) -> tuple[list[str], list[Attributes]]:
    """One sentence per scene and the attributes that it names (-1 for sizes left out)."""
    contacts = scenes.contact.any(1).tolist()
    described = [
        sentence(a, seed, pairs) for a, seed, pairs in zip(attributes(scenes), seeds, contacts)
    ]
    return [text for text, _ in described], [said for _, said in described]


def sentence(
    truth: Attributes, seed: int, contacts: Sequence[Sequence[bool]] = ()
) -> tuple[str, Attributes]:
    """Put `truth` into words.

    Args:
        contacts: [N][N], which objects touch at some time; with `truth.collides` it decides which
            object hits which.
    """
    rng = random.Random(seed)
    said = Attributes(
        tuple((c, s, size if rng.random() < 0.7 else -1, m) for c, s, size, m in truth.objects),
        truth.camera,
        truth.time,
        truth.collides,
    )
    terse = rng.random() < 0.15
    things = _clauses(said, rng, terse, contacts)
    camera = _pick(rng, CAMERA_WORDS[CAMERAS[said.camera]])
    say_camera = rng.random() < 0.4 or said.camera != 0
    time = _pick(rng, TIME_WORDS[TIMES[said.time]])
    say_time = rng.random() < 0.5 or said.time != 0
    form = rng.random()
    if terse:
        return ", ".join([things, *([camera] * say_camera), *([time] * say_time)]), said
    text = things
    if say_time and form < 0.3:
        text = f"{time}, {text}"
    if say_camera:
        text = (
            f"{text} while {camera}" if form % 0.1 < 0.04 and said.camera else f"{text}, {camera}"
        )
    if say_time and form >= 0.3:
        text = f"{text}, {time}" if say_camera or form > 0.6 else f"{text} {time}"
    return text, said


def _clauses(
    said: Attributes, rng: random.Random, terse: bool, contacts: Sequence[Sequence[bool]]
) -> str:
    nouns = []
    verbs = []
    for colour, shape, size, motion in said.objects:
        words = [_pick(rng, COLOUR_WORDS[COLOURS[colour]]), _pick(rng, SHAPE_WORDS[SHAPES[shape]])]
        size_words = [_pick(rng, SIZE_WORDS[SIZES[max(size, 0)]])] if size >= 0 else []
        noun = " ".join(size_words + words)
        nouns.append(noun if terse else f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}")
        verb = _pick(rng, MOTION_WORDS[MOTIONS[motion]]).replace(
            "{go}", "rolls" if SHAPES[shape] == "ball" else "slides"
        )
        silent = rng.random() < 0.4 and MOTIONS[motion] == "still"
        verbs.append("" if silent else verb)
    hit = _collision(said, contacts)
    word = _pick(rng, HIT_WORDS)
    clauses = [f"{noun} {verb}".strip() for noun, verb in zip(nouns, verbs)]
    if hit is None:
        return ", ".join(clauses) if terse or len(clauses) > 2 else " and ".join(clauses)
    mover, target = hit
    rest = [clause for index, clause in enumerate(clauses) if index not in hit]
    if said.objects[target][3] == 0:
        crash = f"{nouns[mover]} {verbs[mover]} and {word} {nouns[target]}".replace("  ", " ")
    else:
        crash = f"{clauses[min(hit)]} and {clauses[max(hit)]} and they collide"
    return ", ".join([crash, *rest])


def _collision(said: Attributes, contacts: Sequence[Sequence[bool]]) -> tuple[int, int] | None:
    """(hitter, target) of the first pair that touches; pairs with a moving object come first."""
    if not said.collides:
        return None
    count = len(said.objects)
    pairs = [
        (i, j) for i in range(count) for j in range(i + 1, count) if not contacts or contacts[i][j]
    ]
    if not pairs:
        return None
    i, j = min(pairs, key=lambda pair: all(said.objects[k][3] == 0 for k in pair))
    return (j, i) if said.objects[i][3] == 0 else (i, j)


def _pick(rng: random.Random, words: Sequence[str]) -> str:
    return words[int(rng.random() * len(words))]
