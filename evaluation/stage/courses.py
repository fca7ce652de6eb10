"""Where the things of a clip are, frame by frame, as the judge reads it from the pixels.

Legend: B clips, F frames.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ...data.worlds.stage.judge.pixels import PixelJudge
from ...data.worlds.stage.judge.reading import Touch
from ...data.worlds.stage.judge.tracks import Tracks
from ...data.worlds.stage.scene import MOTIONS, SHAPES

EDGE = 0.02  # of the picture; a box that comes nearer to its edge may be cut off by it
AHEAD = 8  # column of a track's features: logarithm of metres along the view
ROLL, SLIDE = MOTIONS.index("roll"), MOTIONS.index("slide")


@dataclass(frozen=True)
class Course:
    """One thing of a clip.

    place [F, 3]: its middle in metres; there bool [F]: frames that show it; box [F, 6]: middle
    across and down, left, right, top, bottom, each 0 to 1; ahead [F]: metres along the view; words
    as in `scene`.
    """

    place: Tensor
    there: Tensor
    box: Tensor
    ahead: Tensor
    shape: int
    material: int
    size: int
    motion: int

    @property
    def whole(self) -> Tensor:
        """bool [F]: frames that show it and do not cut it off."""
        sides = self.box[:, 2:]
        return self.there & (sides > EDGE).all(-1) & (sides < 1 - EDGE).all(-1)

    @property
    def rolls(self) -> bool | None:
        """Whether it rolls where it moves along the ground, as its shape and its motion say; None
        where neither does."""
        shape = SHAPES[self.shape]
        if shape in ("ball", "cube", "cone"):
            return shape == "ball"
        return {ROLL: True, SLIDE: False}.get(self.motion)


@dataclass(frozen=True)
class ShownClip:
    """What a clip shows: things from left to right as first seen, which of them touch when, and
    words of the scene by name."""

    things: tuple[Course, ...]
    touches: tuple[Touch, ...]
    scene: dict[str, int]


def read_clips(judge: PixelJudge, video: Tensor) -> list[ShownClip]:
    """What clips uint8 [B, 3, F, Y, X] show."""
    look = judge.look(video)
    clips = []
    for row, tracks in enumerate(look.tracks):
        scene = {name: int(chance[row].argmax()) for name, chance in look.scene.items()}
        clips.append(_clip(judge, tracks, scene))
    return clips


def _clip(judge: PixelJudge, tracks: Tracks, scene: dict[str, int]) -> ShownClip:
    followed = judge.follow(tracks)
    looks = {
        name: tracks.chances[name].argmax(-1).tolist() for name in ("shape", "material", "size")
    }
    things = tuple(
        Course(
            place=followed.places[at],
            there=tracks.seen[t],
            box=tracks.box[t],
            ahead=tracks.features[t, :, AHEAD].exp(),
            motion=followed.words[at][0],
            **{name: values[t] for name, values in looks.items()},
        )
        for at, t in enumerate(followed.order)
    )
    return ShownClip(things, followed.touches, scene)
