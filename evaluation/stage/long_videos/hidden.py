"""Whether a thing that was out of sight comes back as it was, though no sentence says how.

On the stage it is the edge of the picture that hides a thing for seconds: the camera has moved or
come nearer, the thing rolls out of the picture, a wall throws it back, and it returns. (Behind
another thing nothing stays for longer than about .8 s.) So the scenes have one thing and a
sentence that says how it moves and nothing of how it looks, and in their true course it is out of
the picture for about 1, 2 or 4 s. A drawn video need not follow that course: whether and for how
long its thing is away is read from its own pixels, and only videos in which something left and came
back have votes. So the row measures what such a video remembers, and its first line how often there
is anything to remember; a model that lets a thing return whose window still holds the frames before
has an easier task after 1 s than after 4.

Legend: F frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from ....data.worlds.stage.captions import Attributes, facts
from ....data.worlds.stage.captions.attributes import Dice, choose
from ....data.worlds.stage.captions.facts import UNKNOWN
from ....data.worlds.stage.captions.picture import places, sizes
from ....data.worlds.stage.captions.sentences import put_into_words
from ....data.worlds.stage.judge.pixels import READ_FRAMES, PixelJudge
from ....data.worlds.stage.judge.reading import SeenThing
from ....data.worlds.stage.sample import sample_scenes
from ....data.worlds.stage.scene import Scenes, StageConfig
from ..asked import Asked
from ..obedience import GENERATED, Obedience
from ..physics.laws import runs
from ..rows import Progress

CONFIG = StageConfig(
    max_objects=1,
    motions=("roll", "slide"),
    moving_objects=1.0,
    then=0.0,
    grounds=("ice",),
    moving_camera=1.0,
    cameras=("pan left", "pan right", "dolly in", "zoom in"),
    times=("day",),
    weathers=("clear",),
    styles=("shaded",),
    other_colours=0.0,
    hold_out=True,
)
FRAMES = 169
AWAY = {1: (9, 17), 2: (17, 34), 4: (34, 68)}  # frames that count as so many seconds
SHOWN = 10  # frames for which a thing must be seen before and after
PIECE = 12  # frames in which objects are looked for at once
LEAVES = 20  # frames in which a thing is seen before it leaves, so that the sentence names it
BATCH = 256  # scenes that are simulated at once
LOOKS = ("colour", "shape", "material")


class OfReturns:
    """Sentences of held-out scenes whose thing leaves the picture and returns: number after number
    about 1, 2 and 4 s later. A sentence is of the scene's first 33 frames, as those are that a
    model learns from."""

    def __init__(self, first_seed: int, frames: int = FRAMES) -> None:
        self.next_seed = first_seed
        self.frames = frames
        self.found: dict[int, list[Scenes]] = {seconds: [] for seconds in AWAY}

    def __call__(self, numbers: Sequence[int]) -> Asked:
        rows = [self._scene(number) for number in numbers]
        seeds = [int(scene.seed) for scene in rows]
        columns = [[getattr(row, field.name) for row in rows] for field in fields(Scenes)]
        scenes = Scenes(*map(torch.cat, columns))
        said, captions = [], []
        for shown, seed in zip(facts(sample_scenes(seeds, READ_FRAMES, CONFIG)), seeds):
            dice = Dice(seed)
            said.append(_without_looks(choose(shown, dice)))
            captions.append(put_into_words(said[-1], dice).text)
        return Asked(captions, said, scenes)

    def _scene(self, number: int) -> Scenes:
        """Scenes are simulated until there are enough whose thing is away for so long."""
        place, kind = divmod(number, len(AWAY))
        found = self.found[list(AWAY)[kind]]
        while len(found) <= place:
            seeds = range(self.next_seed, self.next_seed + BATCH)
            self.next_seed += BATCH
            scenes = sample_scenes(seeds, self.frames, CONFIG)
            for row, seen in enumerate(in_view(scenes)):
                for gap in absences(seen)[:1]:
                    seconds = away(gap.stop - gap.start)
                    if seconds is not None and gap.start >= LEAVES:
                        self.found[seconds].append(scenes[row : row + 1])
        return found[place]


def away(frames: int) -> int | None:
    """About how many seconds so many frames are, of those that are told apart."""
    fits = [seconds for seconds, (least, most) in AWAY.items() if least <= frames < most]
    return fits[0] if fits else None


def _without_looks(said: Attributes) -> Attributes:
    hidden: dict[str, Any] = dict.fromkeys((*LOOKS, "size"), UNKNOWN)
    return replace(said, things=tuple(replace(thing, **hidden) for thing in said.things))


def in_view(scenes: Scenes) -> Tensor:
    """bool [B, F]: frames that show any of the first thing."""
    across, up, ahead = places(scenes)
    half = sizes(scenes, ahead)
    outside = (across.abs() > 1 + half) | (up.abs() > 1 + half)
    return ~outside[..., 0]


def absences(seen_F: Tensor) -> list[slice]:
    """Frames in which nothing is seen between two stretches that show something."""
    gaps = [gap for gap in runs(~seen_F) if gap.stop - gap.start >= AWAY[1][0]]
    return [
        gap
        for gap in gaps
        if bool(seen_F[max(0, gap.start - SHOWN) : gap.start].sum() == SHOWN)
        and bool(seen_F[gap.stop : gap.stop + SHOWN].sum() == SHOWN)
    ]


@dataclass(frozen=True)
class Return:
    """A thing that was away for some frames, as it was seen before and after."""

    frames: int
    before: SeenThing
    after: SeenThing


def returns(judge: PixelJudge, video: Tensor) -> list[Return]:
    """What leaves and comes back in a clip uint8 [1, 3, F, Y, X] of one thing."""
    pieces = [judge.look(part).tracks[0].seen for part in video.split(PIECE, 2)]
    seen_F = torch.cat([seen.any(0) for seen in pieces])
    found = []
    for gap in absences(seen_F):
        before = _looked(judge, video[:, :, max(0, gap.start - READ_FRAMES) : gap.start])
        after = _looked(judge, video[:, :, gap.stop : gap.stop + READ_FRAMES])
        if before is not None and after is not None:
            found.append(Return(gap.stop - gap.start, before, after))
    return found


def _looked(judge: PixelJudge, video: Tensor) -> SeenThing | None:
    """The thing that is seen longest."""
    things = judge.read(video)[0].things
    return max(things, key=lambda thing: thing.share, default=None)


class Returns:
    """Measures long videos of sentences that say nothing of looks."""

    def __init__(self, obedience: Obedience) -> None:
        self.clips = obedience

    def __call__(self, progress: Progress, numbers: range) -> None:
        """Add, for the videos of these numbers, whether a thing left and came back, and then
        whether its colour, shape and material are those that it had."""
        for number in numbers:  # one after another: they are long
            asked = self.clips.asked([number])
            videos = self.clips.videos(asked, [number], FRAMES)
            for column, video in videos.items():
                found = returns(self.clips.judge, video)
                votes = remembered(found)
                progress.add(column, {"something leaves and returns": [bool(found)], **votes})
                if column == GENERATED and not all(all(right) for right in votes.values()):
                    progress.failures.append(number)


def remembered(found: Sequence[Return]) -> dict[str, list[bool]]:
    """Votes of each word of looks, and of all of them, by about how many seconds a thing was
    away."""
    votes: dict[str, list[bool]] = {}
    for one in found:
        seconds = away(one.frames)
        if seconds is None:
            continue
        same = {name: getattr(one.before, name) == getattr(one.after, name) for name in LOOKS}
        for name, right in {**same, "all three": all(same.values())}.items():
            votes.setdefault(f"{name} after {seconds} s", []).append(right)
    return votes
