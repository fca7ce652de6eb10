"""The judge: it reads from the pixels of a physics clip what the clip shows.

It never sees a caption, a code or a scene. It scores clips without a known scene, such as
reconstructions and generated clips, so an object counts only if it lasts: enough pixels of one
colour in enough of the frames.

Legend: B clips, F frames, N colours, M = B * F, Y X pixels.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from .....files.config_fields import read_fields
from .....files.errors import UnreadableFile
from .....files.model_folder import WEIGHTS, load_config, load_model, save_folder
from ..captions import Attributes
from ..scene import CAMERAS, COLOURS, MOTIONS, SHAPES, TIMES
from .network import ContactNet, FrameNet, JudgeConfig, Looks, ObjectNet
from .tracks import Tracks, camera_of, make_tracks, pair_features

MIN_FRAMES = 9  # fewer do not show which way the camera moves
READ_FRAMES = 33  # by then every move of the world is over
CHUNK = 264  # frames per forward pass


@dataclass(frozen=True)
class Reading:
    """What the judge read from one clip, as indices into the tables of `scene`."""

    # colour, shape, first motion of each, from left to right as first seen
    objects: tuple[tuple[int, int, int], ...]
    camera: int
    time: int
    collides: bool
    pixels: tuple[float, ...]  # mean number of pixels of each object in the frames
    camera_gain: tuple[float, float, float]  # share of a full pan, orbit and move in

    def __str__(self) -> str:
        things = [
            f"{COLOURS[colour]} {SHAPES[shape]} {MOTIONS[motion]}"
            for colour, shape, motion in self.objects
        ]
        touch = ["they touch"] if self.collides else []
        return ", ".join([*things, *touch, f"camera {CAMERAS[self.camera]}", TIMES[self.time]])


class Judge(nn.Module):
    """Reads clips of the physics world at 12 frames a second."""

    def __init__(self, config: JudgeConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or JudgeConfig()
        self.frame = FrameNet(config)
        self.object = ObjectNet(config)
        self.contact = ContactNet(config)

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str] | None = None) -> Judge:
        """The shipped judge, or the one in `folder` (`config.json`, `model.safetensors`)."""
        path = (
            Path(folder)
            if folder
            else Path(str(resources.files("kinetoscope.pretrained"))) / "physics-judge"
        )
        if not (path / WEIGHTS).is_file():
            raise UnreadableFile(
                f"{path} holds no judge; make one with "
                f"`python -m kinetoscope.data.worlds.physics.judge.fit --out {path}`"
            )
        config = load_config(path, partial(read_fields, JudgeConfig))
        return load_model(path, lambda: cls(config)).eval()

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write `config.json` and half-precision `model.safetensors` into `folder`."""
        weights = {name: tensor.half() for name, tensor in self.state_dict().items()}
        save_folder(folder, asdict(self.config), weights)

    @torch.inference_mode()
    def read(self, video: Tensor) -> list[Reading]:
        """Read uint8 clips [B, 3, F, Y, X] of at least 9 frames; only the first 33 frames count.

        Raises ValueError for another type or shape.
        """
        _check(video, MIN_FRAMES)
        video = video[:, :, :READ_FRAMES]
        clips = max(1, CHUNK // video.shape[2])
        return [reading for part in video.split(clips) for reading in self._read(part)]

    @torch.inference_mode()
    def presence(self, video: Tensor) -> Tensor:
        """Pixels of every colour in every frame, [B, F, 8], of uint8 clips of any length."""
        _check(video, 1)
        frames = self._frames(video).split(CHUNK)
        masks = [self.frame(part).colour_MCYX.argmax(1) for part in frames]
        counts = [
            torch.stack([(mask == n + 1).sum((1, 2)) for n in range(len(COLOURS))], -1)
            for mask in masks
        ]
        return torch.cat(counts).unflatten(0, (len(video), -1))

    @torch.inference_mode()
    def features(self, video: Tensor) -> Tensor:
        """Features [B * F, D] of the frames of uint8 clips, to measure distances between sets."""
        _check(video, 1)
        return torch.cat([self.frame.features(part) for part in self._frames(video).split(CHUNK)])

    def look(self, video: Tensor) -> tuple[Looks, Tracks]:
        """What FrameNet sees in every frame, and the tracks of every colour."""
        looks = self.frame(self._frames(video))
        return looks, make_tracks(looks, len(video))

    def _frames(self, video: Tensor) -> Tensor:
        frames = video.transpose(1, 2).flatten(0, 1).float() / 127.5 - 1
        size = (self.config.size, self.config.size)
        if frames.shape[-2:] != size:
            frames = functional.interpolate(frames, size, mode="bilinear", antialias=True)
        return frames.contiguous(memory_format=torch.channels_last)

    def _read(self, video: Tensor) -> list[Reading]:
        looks, tracks = self.look(video)
        seen = tracks.pixels_BFN >= self.config.min_pixels
        present = seen.float().mean(1) >= self.config.min_share
        cameras = camera_of(tracks.gain_BP).tolist()
        times = (
            looks.time_MT.log_softmax(-1).unflatten(0, (len(video), -1)).sum(1).argmax(-1).tolist()
        )
        shapes = tracks.shape_BNS.argmax(-1).tolist()
        readings = []
        for b in range(len(video)):
            colours = sorted(
                present[b].nonzero()[:, 0].tolist(), key=lambda n: self._first_place(tracks, b, n)
            )
            motions, collides = self._follow(tracks.features_BFND[b], colours)
            readings.append(
                Reading(
                    tuple((n, shapes[b][n], motion) for n, motion in zip(colours, motions)),
                    cameras[b],
                    times[b],
                    collides,
                    tuple(tracks.pixels_BFN[b, :, n].mean().item() for n in colours),
                    tuple(tracks.gain_BP[b].tolist()),
                )
            )
        return readings

    def _first_place(self, tracks: Tracks, clip: int, colour: int) -> float:
        first = int((tracks.pixels_BFN[clip, :, colour] >= self.config.min_pixels).int().argmax())
        return float(tracks.features_BFND[clip, first, colour, 3])

    def _follow(self, features_FND: Tensor, colours: list[int]) -> tuple[list[int], bool]:
        """Motion of each object, and whether any two touch."""
        if not colours:
            return [], False
        x_KFD = features_FND[:, colours].transpose(0, 1)
        states_KF4, motions = self.object(x_KFD, torch.ones(x_KFD.shape[:2], dtype=torch.bool))
        one, two = torch.combinations(torch.arange(len(colours))).unbind(1)
        pairs = pair_features((x_KFD[one], x_KFD[two]), (states_KF4[one], states_KF4[two]))
        touch = (
            self.contact(pairs, torch.ones(pairs.shape[:2], dtype=torch.bool))
            > self.config.touch_logit
        )
        return motions.argmax(-1).tolist(), bool(touch.any())


def _check(video: Tensor, frames: int) -> None:
    if video.dim() != 5 or video.shape[1] != 3 or video.dtype != torch.uint8:
        raise ValueError(
            f"the judge reads uint8 clips [B, 3, F, Y, X]; got {video.dtype} {list(video.shape)}"
        )
    if video.shape[2] < frames:
        raise ValueError(f"the judge needs at least {frames} frames; got {video.shape[2]}")


def agreement(reading: Reading, truth: Attributes) -> dict[str, list[bool]]:
    """Which attributes of a clip were read as in `truth`; three of them once per true object.

    Those are colour, shape and motion. An object that was not seen has no shape and no motion
    either, so both count as wrong. "objects" needs every colour with its shape, "all" needs
    everything, and nothing more than that.
    """
    seen = {colour: (shape, motion) for colour, shape, motion in reading.objects}
    result = {
        "colour": [colour in seen for colour, *_ in truth.objects],
        "shape": [
            colour in seen and seen[colour][0] == shape for colour, shape, *_ in truth.objects
        ],
        "motion": [
            colour in seen and seen[colour][1] == motion for colour, _, _, motion in truth.objects
        ],
        "count": [len(reading.objects) == len(truth.objects)],
        "camera": [reading.camera == truth.camera],
        "time": [reading.time == truth.time],
        "collision": [reading.collides == truth.collides],
    }
    result["objects"] = [all(result["colour"] + result["shape"])]
    result["all"] = [all(all(values) for values in result.values())]
    return result


def score(readings: Sequence[Reading], truths: Sequence[Attributes]) -> dict[str, float]:
    """Share of agreements per attribute over clips; ValueError unless there is a truth for each."""
    if not readings or len(readings) != len(truths):
        raise ValueError(
            f"one truth per reading is needed, and at least one; got {len(readings)} and "
            f"{len(truths)}"
        )
    votes: dict[str, list[bool]] = defaultdict(list)
    for reading, truth in zip(readings, truths):
        for name, values in agreement(reading, truth).items():
            votes[name] += values
    return {name: sum(values) / len(values) for name, values in votes.items()}


def calibrate(judge: Judge, clips: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Accuracy per attribute on batches whose truth is known.

    A batch is {"video" uint8 [B, 3, F, Y, X], "attributes"}.
    """
    readings: list[Reading] = []
    truths: list[Attributes] = []
    for batch in clips:
        readings += judge.read(batch["video"])
        truths += batch["attributes"]
    return score(readings, truths)
