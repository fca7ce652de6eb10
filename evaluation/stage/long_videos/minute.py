"""Whether a minute of video still shows what its sentence names, looked at every so often, and
whether it still looks like the stage at its end."""

from __future__ import annotations

import torch
from torch import Tensor

from ....data.video import to_uint8
from ....data.worlds.stage.captions import Attributes
from ....data.worlds.stage.captions.facts import UNKNOWN
from ....data.worlds.stage.colours import BASIC
from ....data.worlds.stage.judge.pixels import READ_FRAMES
from ....data.worlds.stage.judge.reading import Reading, matched
from ....data.worlds.stage.scene import StageConfig
from ..obedience import CEILING, GENERATED, Obedience, rendered
from ..rows import Progress
from .features import distance, frame_features

CONFIG = StageConfig(max_objects=1, hold_out=True, then=0.0, other_colours=0.0)
FRAMES = 720
SECONDS = (0, 15, 30, 45, 57)
FPS = 12
ENDS = {"start": SECONDS[0], "end": SECONDS[-1]}  # what features are taken of


class Minute:
    """Measures videos of 720 frames; the renders are of the same scenes, which go on as long."""

    def __init__(self, obedience: Obedience) -> None:
        self.clips = obedience

    def __call__(self, progress: Progress, numbers: range) -> None:
        """Add, for the videos of these numbers, whether each named object is there at each time,
        and features of the beginning and the end."""
        for number in numbers:  # one after another: a minute is long
            clips = self.clips
            asked = clips.asked([number])
            assert asked.scenes is not None
            videos = {
                GENERATED: to_uint8(self._streamed(asked.captions[0], clips.seed + number)),
                CEILING: rendered(asked.scenes, clips.size, clips.generator.tokenizer),
            }
            for column, video in videos.items():
                parts = {at: video[:, :, at * FPS : at * FPS + READ_FRAMES] for at in SECONDS}
                votes = {
                    f"after {at} s": there(clips.judge.read(part)[0], asked.said[0])
                    for at, part in parts.items()
                }
                progress.add(column, votes)
                for name, at in ENDS.items():
                    self._keep_features(progress, column, name, parts[at])
                if column == GENERATED and not all(all(seen) for seen in votes.values()):
                    progress.failures.append(number)

    def _keep_features(self, progress: Progress, column: str, name: str, part: Tensor) -> None:
        for frame in frame_features(self.clips.judge, part).tolist():
            for number, value in enumerate(frame):
                progress.measured(column, f"{name} {number}", value)

    def _streamed(self, caption: str, seed: int) -> Tensor:
        return self.clips.generator.generate([caption], FRAMES, seed, self.clips.params)


def there(reading: Reading, said: Attributes) -> list[bool]:
    """Of each object that a sentence names whether one of its colour and shape is seen."""
    votes = []
    for thing, seen in zip(said.things, matched(reading, said.things)):
        named = {"shape": thing.shape, "colour": thing.colour}
        if thing.colour >= len(BASIC):
            named["colour"] = UNKNOWN
        right = [getattr(seen, k, None) == v for k, v in named.items() if v != UNKNOWN]
        votes.append(seen is not None and all(right))
    return votes


def summary(numbers: dict[str, dict[str, list[float]]]) -> dict[str, float]:
    """Distance of features of drawn frames from renders, at both ends, and their ratio."""
    if not {GENERATED, CEILING} <= set(numbers):
        return {}
    far = {
        name: distance(_features(numbers[GENERATED], name), _features(numbers[CEILING], name))
        for name in ENDS
    }
    lines = {f"distance of features from renders, {name}": value for name, value in far.items()}
    if far["start"] > 0:
        lines["distance at the end, of that at the start"] = far["end"] / far["start"]
    return lines


def _features(kept: dict[str, list[float]], name: str) -> Tensor:
    """[N, D]"""
    rows = [values for key, values in kept.items() if key.split()[0] == name]
    return torch.tensor(rows).T
