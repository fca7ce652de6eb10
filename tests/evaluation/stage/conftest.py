"""A judge and a generator whose answers are known, for rows of drawn clips."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from kinetoscope.data.worlds.stage.captions.picture import in_picture, places, sizes
from kinetoscope.data.worlds.stage.judge.pixels import Followed, Look
from kinetoscope.data.worlds.stage.judge.reading import Touch
from kinetoscope.data.worlds.stage.judge.tracks import COURSE_FEATURES, Tracks
from kinetoscope.data.worlds.stage.scene import MATERIALS, SHAPES, SIZES, Scenes
from kinetoscope.evaluation.stage.courses import AHEAD
from torch import Tensor

WORDS = {"shape": SHAPES, "material": MATERIALS, "size": SIZES}
SCENE = ("ground", "time", "weather", "style", "place")


class TrueJudge:
    """Knows the scenes of all clips, so it needs no pixels; clip n of a video is of scene n."""

    def __init__(self, scenes: Scenes) -> None:
        self.scenes = scenes

    def look(self, video: Tensor) -> Look:
        scenes = self.scenes
        tracks = [self._tracks(row) for row in range(len(video))]
        scene = {name: torch.eye(9)[getattr(scenes, name)] for name in SCENE}
        return Look(tracks, torch.zeros(len(video), scenes.frames, 6), scene)

    def _tracks(self, row: int) -> Tracks:
        scenes = self.scenes[row : row + 1]
        slots = range(int(scenes.count))
        across, up, ahead = (x[0].T for x in places(scenes))
        half = sizes(scenes, ahead.T[None])[0].T / 2
        x, y = (across + 1) / 2, (1 - up) / 2
        box = torch.stack([x, y, x - half, x + half, y - half, y + half], -1)
        features = torch.zeros(*x.shape, COURSE_FEATURES)
        features[..., AHEAD] = ahead.log()
        chances = {
            name: torch.eye(len(words))[getattr(scenes, name)[0]] for name, words in WORDS.items()
        }
        found = Tracks(
            seen=in_picture(scenes)[0].T,
            box=box,
            pixels=torch.ones_like(x),
            features=features,
            chances=chances,
            maps=torch.zeros(scenes.frames, 1, 1, dtype=torch.int8),
        )
        found.row = row  # type: ignore[attr-defined]
        keep = list(slots)
        for name in ("seen", "box", "pixels", "features"):
            setattr(found, name, getattr(found, name)[keep])
        return found

    def follow(self, tracks: Any) -> Followed:
        row = tracks.row
        scenes = self.scenes
        slots = range(int(scenes.count[row]))
        place = scenes.position[row].transpose(0, 1)[list(slots)]
        words = [
            (int(scenes.motion[row, slot, 0]), 0, 0, int(scenes.speed[row, slot, 0]))
            for slot in slots
        ]
        touches = []
        for one in slots:
            for two in range(one + 1, len(slots)):
                frames = scenes.touched[row, :, one, two].nonzero()
                if len(frames):
                    touches.append(Touch(one, two, int(frames[0])))
        return Followed(list(slots), place, words, tuple(touches))


class Grey:
    """A generator whose clips are grey and, if asked for sound, have these waves."""

    tokenizer = None  # and none of sound: waves pass through unchanged

    def __init__(self, waves: Tensor | None = None) -> None:
        self.waves = waves
        self.asked: list[tuple[str, int]] = []

    def generate(
        self, captions: Sequence[str], frames: int, seeds: Any, params: Any, **sound: bool
    ) -> Any:
        seeds = [seeds] if isinstance(seeds, int) else seeds
        self.asked += zip(captions, seeds)
        video = torch.zeros(len(captions), 3, frames, 8, 8)
        return (video, self.waves) if sound else video

    def check_sounds(self) -> Any:
        return SimpleNamespace(encode=lambda waves: waves, decode=lambda waves: waves)


@pytest.fixture
def true_judge() -> type[TrueJudge]:
    return TrueJudge


@pytest.fixture
def grey() -> type[Grey]:
    return Grey
