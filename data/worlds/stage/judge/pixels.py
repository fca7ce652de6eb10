"""The judge of pictures: it reads from the pixels of a clip of the stage what the clip shows.

It never sees a caption, a code or a scene. It scores clips without a known scene, such as
reconstructions and generated clips, so an object counts only if it lasts: enough pixels in enough
of the frames. Four steps: objects of single frames (`network`, `detect`), their looks from near
(`close_ups`), their courses in time (`tracks`), and what a small network reads from those.

Legend: B clips, F frames, M = B * F, Y X pixels, T tracks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .....files.config_fields import read_fields
from .....files.errors import UnreadableFile
from .....files.model_folder import WEIGHTS, load_config, load_model, save_folder
from ..captions.facts import Facts
from ..scene import CAMERAS, DIRECTIONS, MOTIONS, SPEEDS
from .close_ups import CloseUpNet
from .detect import Found, find_objects
from .network import POSE, CourseNet, FrameNet, PixelJudgeConfig, resized
from .reading import NO_SECOND, Reading, SeenThing, Touch, score
from .tracks import COURSE_FEATURES, PAIR_FEATURES, Tracks, make_tracks, pair_features

SHIPPED = "stage-judge"
MIN_FRAMES = 2  # one frame shows no motion
READ_FRAMES = 33  # in these every motion and every move of the camera shows
NEAR_FRAME = 128  # pixels a side of the frames that close-ups are cut from
CHUNK = 132  # frames per forward pass
COURSE_WORDS = (len(MOTIONS), NO_SECOND + 1, len(DIRECTIONS), len(SPEEDS))
CAMERA_WORDS = (len(CAMERAS), len(SPEEDS))


@dataclass
class Look:
    """What single frames and their tracks show: one `Tracks` per clip, pose [B, F, 6], and mean
    logarithms [B, n] of the words of the scene by name."""

    tracks: list[Tracks]
    pose: Tensor
    scene: dict[str, Tensor]


@dataclass
class Followed:
    """The tracks of one clip in the order `order` [T], from left to right as first seen.

    places [T, F, 3] in metres; words: of each track motion, second motion, direction and speed;
    touches: of which pairs, as places in this order.
    """

    order: list[int]
    places: Tensor
    words: list[tuple[int, ...]]
    touches: tuple[Touch, ...]


class PixelJudge(nn.Module):
    """Reads clips of the stage at 12 frames a second."""

    def __init__(self, config: PixelJudgeConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or PixelJudgeConfig()
        width = config.course_channels
        self.frame = FrameNet(config)
        self.near = CloseUpNet(config.near_channels)
        self.course = CourseNet(COURSE_FEATURES, width, 3, sum(COURSE_WORDS))
        self.pair = CourseNet(PAIR_FEATURES, width, 1, 1)
        self.camera = CourseNet(POSE, width, 1, sum(CAMERA_WORDS))

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str] | None = None) -> PixelJudge:
        """The judge that ships, or the one in `folder` (`config.json`, `model.safetensors`)."""
        path = shipped_folder() if folder is None else Path(folder)
        if not (path / WEIGHTS).is_file():
            raise UnreadableFile(
                f"{path} holds no judge; make one with "
                f"`python -m kinetoscope.data.worlds.stage.judge.fit --out {path}`"
            )
        config = load_config(path, partial(read_fields, PixelJudgeConfig))
        return load_model(path, lambda: cls(config)).eval()

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write `config.json` and half-precision `model.safetensors` into `folder`."""
        weights = {
            name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in self.state_dict().items()
        }
        save_folder(folder, asdict(self.config), weights)

    @torch.inference_mode()
    def read(self, video: Tensor) -> list[Reading]:
        """Read uint8 clips [B, 3, F, Y, X] of at least 2 frames; only the first 33 frames count.

        Raises ValueError for another type or shape.
        """
        _check(video)
        video = video[:, :, :READ_FRAMES]
        clips = max(1, CHUNK // video.shape[2])
        return [reading for part in video.split(clips) for reading in self._read(part)]

    @torch.inference_mode()
    def look(self, video: Tensor) -> Look:
        """The tracks of clips, and what holds for each clip as a whole."""
        B, F = len(video), video.shape[2]
        frames = video.transpose(1, 2).flatten(0, 1)
        seen = resized(frames, self.config.size)
        maps, rows = self.frame(seen.contiguous(memory_format=torch.channels_last))
        found = find_objects(maps, self.config)
        self._look_closer(resized(frames, NEAR_FRAME), found)
        pose = rows.pop("pose").unflatten(0, (B, F))
        scene = {name: x.log_softmax(-1).unflatten(0, (B, F)).mean(1) for name, x in rows.items()}
        tracks = [
            make_tracks(found[b * F : (b + 1) * F], pose[b], self.config.min_share)
            for b in range(B)
        ]
        return Look(tracks, pose, scene)

    def _look_closer(self, x_M3YX: Tensor, found: list[Found]) -> None:
        """Read shape, material and colour of all objects again, from close-ups, in place."""
        counts = [len(some) for some in found]
        if not sum(counts):
            return
        frame = torch.arange(len(found)).repeat_interleave(torch.tensor(counts))
        boxes = torch.cat([some.box for some in found])
        words = self.near.read(x_M3YX, frame, boxes, self.config.near)
        for name, chances in words.items():
            for some, own in zip(found, chances.split(counts)):
                some.chances[name] = own

    def _read(self, video: Tensor) -> list[Reading]:
        look = self.look(video)
        whole = torch.ones(look.pose.shape[:2], dtype=torch.bool)
        moves, speeds = self.camera(look.pose, whole)[1].split(list(CAMERA_WORDS), -1)
        readings = []
        for b, tracks in enumerate(look.tracks):
            followed = self.follow(tracks)
            things = self._things(tracks, followed)
            words = {name: int(chance[b].argmax()) for name, chance in look.scene.items()}
            words |= {"camera": int(moves[b].argmax()), "camera_speed": int(speeds[b].argmax())}
            readings.append(Reading(things, followed.touches, **words))
        return readings

    @torch.inference_mode()
    def follow(self, tracks: Tracks) -> Followed:
        """Where the objects of a clip are and what they do, from left to right as first seen."""
        if not len(tracks):
            return Followed([], torch.zeros(0, tracks.seen.shape[1], 3), [], ())
        whole = torch.ones(tracks.seen.shape, dtype=torch.bool)
        places, logits = self.course(tracks.features, whole)
        words = [part.argmax(-1).tolist() for part in logits.split(list(COURSE_WORDS), -1)]
        first = tracks.seen.int().argmax(1)
        across = tracks.box[torch.arange(len(tracks)), first, 0].tolist()
        order = sorted(range(len(tracks)), key=lambda t: across[t])
        rows = [tuple(column[t] for column in words) for t in order]
        return Followed(order, places[order], rows, self._touches(tracks, places, order))

    def _things(self, tracks: Tracks, followed: Followed) -> tuple[SeenThing, ...]:
        looks = {name: chance.argmax(-1).tolist() for name, chance in tracks.chances.items()}
        first = tracks.seen.int().argmax(1) if len(tracks) else torch.zeros(0)
        share = tracks.seen.float().mean(1).tolist()
        things = []
        for t, (motion, second, direction, speed) in zip(followed.order, followed.words):
            look = {name: values[t] for name, values in looks.items()}
            things.append(
                SeenThing(
                    **look,
                    motion=motion,
                    second=second,
                    direction=direction,
                    speed=speed,
                    place=float(tracks.box[t, int(first[t]), 0]),
                    share=share[t],
                )
            )
        return tuple(things)

    def _touches(self, tracks: Tracks, places: Tensor, order: list[int]) -> tuple[Touch, ...]:
        """The first touch of each pair, at the frame that is most likely."""
        found = []
        for i in range(len(order)):
            for j in range(i + 1, len(order)):
                x_FE = pair_features(tracks, places, order[i], order[j])
                whole = torch.ones(1, len(x_FE), dtype=torch.bool)
                each, ever = self.pair(x_FE[None], whole)
                if float(ever.sigmoid()) > self.config.touch:
                    found.append(Touch(i, j, int(each[0, :, 0].argmax())))
        return tuple(sorted(found, key=lambda touch: touch.frame))


def shipped_folder() -> Path:
    """Where the judge that ships lies."""
    from importlib import resources

    return Path(str(resources.files("kinetoscope.pretrained"))) / SHIPPED


def _check(video: Tensor) -> None:
    if video.dim() != 5 or video.shape[1] != 3 or video.dtype != torch.uint8:
        raise ValueError(
            f"the judge reads uint8 clips [B, 3, F, Y, X]; got {video.dtype} {list(video.shape)}"
        )
    if video.shape[2] < MIN_FRAMES:
        raise ValueError(f"the judge needs at least {MIN_FRAMES} frames; got {video.shape[2]}")


def calibrate(judge: PixelJudge, clips: Iterable[tuple[Tensor, list[Facts]]]) -> dict[str, Any]:
    """Accuracy per attribute on batches of video uint8 [B, 3, F, Y, X] and what it shows."""
    readings: list[Reading] = []
    truths: list[Facts] = []
    for video, shown in clips:
        readings += judge.read(video)
        truths += shown
    return score(readings, truths)
