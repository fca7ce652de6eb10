"""What there is on the stage: the words of this world, which scenes are drawn, and the exact state
of a scene.

Facts of this world
- Metres, left-handed: x to the right, y up, z away from the camera; the ground is y = 0. Time in
  seconds.
- 1 to 4 objects of 6 shapes, 4 materials, 3 sizes and any colour stand within HALF_WIDTH and
  HALF_DEPTH of the middle; a wall or a low rim ends the stage on all four sides, so objects stay.
- Each object moves as its first word says; where there is a second one ("then"), that one begins at
  `then_frame`.
- Directions are those of the picture at the first frame: left, right, toward the camera, away from
  it.
- Every move of the camera eases in and out and then holds.
- Everything follows from one integer seed per clip, whatever the batch it is drawn in, and a longer
  clip begins as a shorter one.

Shapes: B clips, F frames, T latent frames, N object slots (slots beyond `count` are empty).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from .colours import BASIC

SHAPES = ("ball", "cube", "cylinder", "cone", "ring", "capsule")
MATERIALS = ("matte", "shiny", "striped", "glowing")
SIZES = ("small", "medium", "large")
RADII = (0.46, 0.68, 0.98)  # half the height of an upright object of each size, metres
MOTIONS = (
    "stand",
    "roll",  # a ball, a lying cylinder or capsule, a ring on its edge
    "slide",  # a cube, a cone, an upright cylinder or capsule, a lying ring
    "fall",  # from above, to rest or nearly so at once
    "bounce",  # from above, on a ground and with a shape that throw it back
    "jump",
    "spin",  # on the spot, about the vertical
    "orbit",  # around `target`
    "collide",  # rolls or slides into `target`
    "emerge",  # rolls or slides out from behind `target`
    "stop",  # brakes: only as a second motion
)
DIRECTIONS = ("none", "left", "right", "toward", "away")
SPEEDS = ("slow", "normal", "fast")
GROUNDS = ("checker", "grass", "wood", "sand", "ice")
TIMES = ("day", "evening", "night")
WEATHERS = ("clear", "rain", "snow", "fog")
STYLES = ("shaded", "flat", "pencil", "pixels", "watercolour")
PLACES = ("open", "room")  # under the sky with a horizon, or between three walls
CAMERAS = (
    "still",
    "pan left",
    "pan right",
    "tilt up",
    "tilt down",
    "orbit left",
    "orbit right",
    "dolly in",
    "dolly out",
    "zoom in",
    "zoom out",
    "follow",  # turns after object `camera_target`
)
ACTIONS = ("none", "left", "right", "toward", "away", "jump")

HELD_OUT_PAIRS = (
    ("orange", "cube"),
    ("cyan", "ball"),
    ("purple", "cylinder"),
    ("green", "cone"),
    ("pink", "ring"),
    ("brown", "capsule"),
)
HELD_OUT_TRIPLES = (
    ("red", "shiny", "cube"),
    ("blue", "striped", "ball"),
    ("yellow", "glowing", "cylinder"),
    ("white", "matte", "cone"),
    ("green", "shiny", "ring"),
    ("purple", "striped", "capsule"),
)
"""Colour-shape pairs and colour-material-shape triples that no generator is trained on (the
tokenizer is)."""

HALF_WIDTH, HALF_DEPTH = 3.1, 2.3  # of the stage, metres
LATENT_FRAMES = 4  # frames of every latent frame but the first, which is one frame


@dataclass(frozen=True)
class StageConfig:
    """Which scenes are drawn.

    The tuples name what may occur, each entry as likely as the next: a word that stands twice is
    drawn twice as often. A room is always clear of weather. `hold_out` leaves HELD_OUT_PAIRS and
    HELD_OUT_TRIPLES out; `only_held_out` draws one of them as the first object of every scene.
    """

    min_objects: int = 1
    max_objects: int = 2
    shapes: tuple[str, ...] = SHAPES
    materials: tuple[str, ...] = MATERIALS
    sizes: tuple[str, ...] = ("small", "medium", "medium", "large", "large")
    motions: tuple[str, ...] = (*MOTIONS[:-1], "orbit", "collide", "collide", "emerge", "emerge")
    speeds: tuple[str, ...] = SPEEDS
    grounds: tuple[str, ...] = GROUNDS
    times: tuple[str, ...] = ("day", "day", "evening", "night")
    weathers: tuple[str, ...] = ("clear", "clear", "clear", "rain", "snow", "fog")
    styles: tuple[str, ...] = ("shaded", "shaded", "shaded", *STYLES[1:])
    places: tuple[str, ...] = PLACES
    cameras: tuple[str, ...] = CAMERAS[1:]
    moving_objects: float = 0.8  # share of objects that do something else than stand
    moving_camera: float = 0.4  # share of clips in which the camera moves
    then: float = 0.2  # share of moving objects with a second motion
    other_colours: float = 0.2  # share of objects in one of the further names' colours
    steered: float = 0.0  # share of clips with a steered object
    fps: float = 12.0
    hold_out: bool = False
    only_held_out: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.min_objects <= self.max_objects <= 4:
            raise ValueError(
                "min_objects and max_objects must lie in 1 <= min_objects <= max_objects <= 4; "
                f"got {self.min_objects} and {self.max_objects}"
            )
        if not self.fps > 0:
            raise ValueError(f"fps must be above 0; got {self.fps}")
        for name in ("moving_objects", "moving_camera", "then", "other_colours", "steered"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share, from 0 to 1; got {getattr(self, name)}")
        for name, known in VOCABULARY.items():
            words = getattr(self, name)
            unknown = [word for word in words if word not in known]
            if unknown or not words:
                wrong = f"got {unknown[0]!r}" if unknown else "it is empty"
                raise ValueError(f"{name} takes words of {', '.join(known)}; {wrong}")
        if self.hold_out and self.only_held_out:
            raise ValueError("hold_out and only_held_out exclude one another; set one of them")


VOCABULARY = {
    "shapes": SHAPES,
    "materials": MATERIALS,
    "sizes": SIZES,
    "motions": MOTIONS[:-1],
    "speeds": SPEEDS,
    "grounds": GROUNDS,
    "times": TIMES,
    "weathers": WEATHERS,
    "styles": STYLES,
    "places": PLACES,
    "cameras": CAMERAS,
}
"""The words that each tuple of `StageConfig` may hold."""


@dataclass(frozen=True)
class Scenes:
    """The exact state of B clips. Words are int64 indices into the tables above.

    Words of the objects, [B, N] unless said:
        count [B]: how many there are.
        colour: into COLOURS; below len(BASIC) a judged name. rgb float [B, N, 3]: what the object
            is drawn in, sRGB in [0, 1].
        shape, material, size. lying bool: the axis of symmetry is horizontal, as for rolling.
        motion, direction, speed [B, N, 2]: of the first and the second motion; motion is -1 where
            there is no second one; direction is 0 where the word has none (orbit and spin: left is
            clockwise seen from above, so that the front moves to the left).
        then_frame: the frame at which the second motion begins, or -1.
        target: the slot that the object orbits, hits or comes out from behind, or -1.
    Words of the scene, [B]:
        ground, time, weather, style, place, camera; camera_speed (into SPEEDS); camera_target (the
        slot that the camera follows, or -1); seed (of textures, rain and captions).
    State at each frame, float32 unless said:
        position, velocity [B, F, N, 3] of the centres.
        rotation [B, F, N, 3, 3]: columns are the object's own axes in the world; its own y is its
            axis of symmetry. turning [B, F, N, 3]: radians per second about each axis of the world.
        resting bool [B, F, N]: on the ground.
        impact [B, F, N, N + 2]: closing speed in m/s of the hardest impact since the frame before,
            0 for none, with each object, then with the ground, then with a wall.
        moment [B, F, N, N + 2]: seconds from the frame before to that impact.
    Camera: eye [B, F, 3]; view [B, F, 2] (yaw, pitch in radians); lens [B, F], tangent of half the
        height of view.
    Steering: steered [B], the slot, or -1; action [B, T] (into ACTIONS), one per latent frame.
    """

    count: Tensor
    colour: Tensor
    rgb: Tensor
    shape: Tensor
    material: Tensor
    size: Tensor
    lying: Tensor
    motion: Tensor
    direction: Tensor
    speed: Tensor
    then_frame: Tensor
    target: Tensor
    ground: Tensor
    time: Tensor
    weather: Tensor
    style: Tensor
    place: Tensor
    camera: Tensor
    camera_speed: Tensor
    camera_target: Tensor
    seed: Tensor
    position: Tensor
    velocity: Tensor
    rotation: Tensor
    turning: Tensor
    resting: Tensor
    impact: Tensor
    moment: Tensor
    eye: Tensor
    view: Tensor
    lens: Tensor
    steered: Tensor
    action: Tensor

    def __len__(self) -> int:
        return len(self.count)

    def __getitem__(self, rows: slice | Tensor) -> Scenes:
        return Scenes(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def frames(self) -> int:
        return self.position.shape[1]

    @property
    def radius(self) -> Tensor:
        """Half heights [B, N] of the objects when upright, metres."""
        return torch.tensor(RADII)[self.size]

    @property
    def present(self) -> Tensor:
        """bool [B, N]: which slots hold an object."""
        return torch.arange(self.shape.shape[1]) < self.count[:, None]

    @property
    def judged(self) -> Tensor:
        """bool [B, N]: which objects have a colour that the judge names."""
        return self.present & (self.colour < len(BASIC))

    @property
    def touched(self) -> Tensor:
        """bool [B, F, N, N]: which objects have hit one another since the frame before."""
        return self.impact[..., : self.shape.shape[1]] > 0


def latent_of_frame(frame: int | Tensor) -> int | Tensor:
    """Index of the latent frame in which a frame lies: the first holds one frame, every other
    LATENT_FRAMES."""
    return (frame + LATENT_FRAMES - 1) // LATENT_FRAMES
