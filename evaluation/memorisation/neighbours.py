"""The training clips that a video is nearest to, in the latents of a tokenizer.

Nothing is downloaded: a latent frame is described by the code vectors of its cells, averaged over
`REGIONS` x `REGIONS` regions, or, if somebody names a network that sees pictures, by what that says
of its last frame. A video is laid over a clip at every latent frame where one of them fits into the
other, and the best place counts.

Legend: T latent frames, H W cells, D features, N places.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ...data.datasets.shards import Shards
from ...data.video import read_clip, to_float, to_uint8
from ...tokenizer import VideoCodes, VideoTokenizer, frame_count
from ..features import Network

REGIONS = 4
LONGEST = 256  # latent frames that are described at once
ASKED = 64  # clips whose own neighbours show how near strangers are
MOST_FRAMES = 257  # of a video that is looked up


@dataclass(frozen=True)
class Neighbour:
    """A clip of the shards.

    Attributes:
        distance: 0 for the same latents, about 1 for two clips that share nothing.
        clip: its number in the shards.
        source: the video that it comes from.
        start: seconds in that video at which the likeness begins.
    """

    distance: float
    clip: int
    source: str
    start: float
    licence: str
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Nearest:
    """The nearest clips, best first, and how near clips of other videos are to each other: the
    median, and the nearest of `asked` of them."""

    neighbours: tuple[Neighbour, ...]
    usual: float
    least: float
    asked: int


class Neighbours:
    """Finds the clips of shards that are nearest to some codes.

    All clips are described in memory: T x D numbers each, in half precision.

    Args:
        clips: their numbers in the shards; all of them if not given.
        network: sees pictures, and describes clips in place of the tokenizer's latents.

    Raises:
        ValueError: the codes are of another tokenizer, or there are no clips.
    """

    def __init__(
        self,
        shards: Shards,
        tokenizer: VideoTokenizer,
        clips: Iterable[int] | None = None,
        network: Network | None = None,
    ) -> None:
        made = shards.manifest["tokenizer"]
        if made["id"] != tokenizer.id:
            raise ValueError(
                f"the shards in '{shards.folder}' are codes of tokenizer {made['name']} "
                f"({made['id']}); this one is {tokenizer.id}"
            )
        self.shards = shards
        self.tokenizer = tokenizer
        self.network = network
        self.clips = list(range(len(shards)) if clips is None else clips)
        if not self.clips:
            raise ValueError("there are no clips to compare with")
        raw = [self._described(self.codes(clip)) for clip in self.clips]
        all_ND = torch.cat(raw)
        self._mean = all_ND.mean(0)
        self._scale = all_ND.std(0, correction=0).clamp_min(1e-6)
        self._features = [self._standard(features).half() for features in raw]

    def codes(self, clip: int) -> Tensor:
        """Codes int64 [T, H, W] (or [T, H, W, Q]) of a clip."""
        return torch.from_numpy(self.shards.codes(clip)).long()

    def features(self, codes_THW: Tensor) -> Tensor:
        """Of codes `[T, H, W]` or `[T, H, W, Q]`, float32 [T, D], with a mean of 0 and a variance
        of 1 over the shards."""
        return self._standard(self._described(codes_THW))

    def nearest(
        self, codes_THW: Tensor, count: int = 1, other_than: str | None = None
    ) -> list[Neighbour]:
        """The nearest clips, best first; none of the video `other_than`."""
        query = self.features(codes_THW)
        found = []
        for row, clip in enumerate(self.clips):
            if self.shards.records[clip]["source"] != other_than:
                distance, place = best_place(query, self._features[row].float())
                found.append((distance, clip, place))
        return [self._neighbour(*each) for each in sorted(found)[:count]]

    def between_videos(self, asked: int = ASKED) -> list[float]:
        """Distances from some clips, evenly spread, to the nearest clip of another video; none
        where all clips are of one video."""
        step = max(1, len(self.clips) // asked)
        distances = []
        for clip in self.clips[::step][:asked]:
            own = self.shards.records[clip]["source"]
            near = self.nearest(self.codes(clip), 1, own)
            distances += [near[0].distance] if near else []
        return distances

    def _neighbour(self, distance: float, clip: int, place: int) -> Neighbour:
        info = self.shards.info(clip)
        k = self.tokenizer.config.frames_per_latent
        start = info.start + max(0, 1 + (place - 1) * k) / info.fps
        return Neighbour(distance, clip, info.source, start, info.licence, info.captions)

    @torch.inference_mode()
    def _described(self, codes_THW: Tensor) -> Tensor:
        if self.network is not None:
            return self._seen(self.network, codes_THW)
        parts = []
        for part in codes_THW.split(LONGEST):
            vectors = self.tokenizer.code_vectors(part[None].to(self._device))[0]
            maps_TCHW = vectors.float().movedim(-1, 1)
            regions = (min(REGIONS, maps_TCHW.shape[2]), min(REGIONS, maps_TCHW.shape[3]))
            parts.append(functional.adaptive_avg_pool2d(maps_TCHW, regions).flatten(1).cpu())
        return torch.cat(parts)

    def _seen(self, network: Network, codes_THW: Tensor) -> Tensor:
        pictures = self._pictures(codes_THW)
        features = network.call(pictures).float().cpu()
        if features.dim() != 2 or len(features) != len(pictures):
            raise ValueError(
                f"'{network.name}' must return one row of features for each picture, "
                f"[{len(pictures)}, D]; got {list(features.shape)}"
            )
        return features

    def _pictures(self, codes_THW: Tensor) -> Tensor:
        """The last frame of each latent frame, uint8 [T, 3, Y, X]."""
        config = self.tokenizer.config
        T, H, W = codes_THW.shape[:3]
        frames = frame_count(T, config.frames_per_latent)
        height = H * config.patch
        width = W * config.patch
        indices = codes_THW[None].to(self._device)
        codes = VideoCodes(indices, frames, height, width, 0.0, self.tokenizer.id)
        pixels_3FYX = self.tokenizer.decode(codes)[0]
        return to_uint8(pixels_3FYX[:, :: config.frames_per_latent]).transpose(0, 1)

    def _standard(self, raw_TD: Tensor) -> Tensor:
        return (raw_TD - self._mean) / self._scale

    @property
    def _device(self) -> torch.device:
        return next(self.tokenizer.parameters()).device


def best_place(a_TD: Tensor, b_TD: Tensor) -> tuple[float, int]:
    """The shorter one is laid over the longer one wherever it fits: half the mean squared
    difference at the best place, and the first latent frame of `b` there."""
    shorter, longer = (a_TD, b_TD) if len(a_TD) <= len(b_TD) else (b_TD, a_TD)
    windows_NDT = longer.unfold(0, len(shorter), 1)
    distances_N = (windows_NDT - shorter.T).square().mean((1, 2)) / 2
    place = int(distances_N.argmin())
    return float(distances_N[place]), place if longer is b_TD else 0


class TrainingClips:
    """The clips of shards, to look files up among.

    Args:
        shards: the folder.
        tokenizer: of the shards; by default it is loaded by the name that they give.

    Raises:
        ValueError: the folder holds no shards, or the tokenizer is another one.
    """

    def __init__(self, shards: str | Path, tokenizer: VideoTokenizer | None = None) -> None:
        opened = Shards(shards)
        self.tokenizer = tokenizer or VideoTokenizer.from_pretrained(
            opened.manifest["tokenizer"]["name"]
        )
        self.neighbours = Neighbours(opened, self.tokenizer)
        self._settings = opened.manifest["settings"]
        self._between = self.neighbours.between_videos()

    def nearest(self, path: str | Path, count: int = 3) -> Nearest:
        """The clips that are nearest to a video file, or to a picture.

        The file is read as `kinetoscope prepare` read the videos: the same size, cut in the centre,
        and rate. Only its first 257 frames are looked up. Raises VideoError if it cannot be read.
        """
        size = self._settings.get("size")
        fps = self._settings.get("fps")
        video = read_clip(
            path, frames=MOST_FRAMES, fps=fps, size=tuple(size) if size else None
        ).video
        with torch.inference_mode():
            pixels = to_float(video[None]).to(next(self.tokenizer.parameters()).device)
            codes = self.tokenizer.encode(pixels).indices[0]
        return Nearest(
            tuple(self.neighbours.nearest(codes, count)),
            statistics.median(self._between) if self._between else float("nan"),
            min(self._between, default=float("nan")),
            len(self._between),
        )
