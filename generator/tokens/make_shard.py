"""Makes one shard of codes from its videos.

Every clip is encoded as one stream: the state of the tokenizer is carried through all of it, in
chunks as they are decoded.

Legend: T H W latent grid, F Y X frames and pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...data.datasets.actions import at_frames, read_actions
from ...data.datasets.layouts.base import LaidVideo
from ...data.datasets.layouts.read import local_file, measure
from ...data.datasets.shards import Clip, ClipInfo, shard_path, write_shard
from ...data.datasets.shots import CUT, split_shots
from ...data.datasets.wanted import Wanted
from ...data.ledger.content import video_sha256
from ...data.video import VideoError, to_float
from ...data.video.codec import computed
from ...data.video.pixels import WHITE, background_colour
from ...data.video.sound import read_span
from ...data.video.workers import DecodedVideo
from ...files.json_file import write_json
from ...tokenizer import VideoTokenizer
from ...tokenizer.sound import SoundTokenizer
from ..conditions.text_encoder import TextEncoder
from ..devices import choose_device
from .shards import embed_captions

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
SOUND_AT_ONCE = 64  # latents whose sound is encoded at once


@dataclass(frozen=True)
class ShardOptions:
    """Settings that change the contents of shards; `kinetoscope prepare` explains them."""

    size: tuple[int, int] | None = (64, 64)
    fps: float | None = None
    clip_frames: int | None = None
    min_frames: int = 9
    cut: float = CUT
    captions: str = "auto"
    dtype: str = "float32"
    videos_per_shard: int = 64
    background: str = WHITE
    wanted: Wanted = field(default_factory=Wanted)
    actions: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)}; got {self.dtype!r}")
        background_colour(self.background)
        if not 0 < self.cut <= 1:
            raise ValueError(f"cut must be above 0, up to 1 (no cuts); got {self.cut}")

    @property
    def shortest(self) -> int:
        """Frames of the shortest clip that is kept."""
        return self.clip_frames or self.min_frames


@dataclass(frozen=True)
class Models:
    tokenizer: VideoTokenizer
    text: TextEncoder | None
    device: torch.device
    sound: SoundTokenizer | None = None


@lru_cache(maxsize=1)
def load_models(
    tokenizer: str, text: str | None, device: str | None, sound: str | None = None
) -> Models:
    place = choose_device(device)
    encoder = TextEncoder.from_pretrained(text).to(place) if text else None
    hearing = SoundTokenizer.from_pretrained(sound).to(place) if sound else None
    return Models(VideoTokenizer.from_pretrained(tokenizer).to(place), encoder, place, hearing)


def make_shard(
    folder: Path,
    number: int,
    videos: Iterable[DecodedVideo],
    models: Models,
    options: ShardOptions,
) -> dict[str, Any]:
    """Write the shard of a unit and then its record, which lists videos that cannot be used."""
    skipped: list[tuple[str, str]] = []
    short = 0

    def clips() -> Iterator[Clip]:
        nonlocal short
        for video in videos:
            try:
                made, missed = video_clips(video, models, options)
            except VideoError as error:
                skipped.append((video.video.name, str(error)))
            else:
                short += missed
                yield from made

    path = shard_path(folder, number)
    record = write_shard(path, clips())
    record |= {"skipped": skipped, "short_frames": short}
    write_json(path.with_suffix(".json"), record)
    return record


@torch.inference_mode()
def video_clips(
    video: DecodedVideo, models: Models, options: ShardOptions
) -> tuple[list[Clip], int]:
    """The clips of a video, and the number of frames in shots that are too short for a clip.

    Raises:
        VideoError: the video is broken, has no clip that is long enough, or has a caption that is
            too long.
    """
    words = video.video.words
    spoken = tuple(caption for caption in words.captions if caption)
    states = _states(spoken, models.text)
    text = torch.cat(states).numpy() if states else None
    lengths = tuple(len(part) for part in states)
    digest = ""
    clips: list[Clip] = []
    begin = short = 0
    for _, pieces in groupby(
        split_shots(video, options.cut, options.clip_frames), key=lambda piece: piece[0]
    ):
        codes, (frames, height, width) = _encode(
            (frames for _, frames in pieces), models, DTYPES[options.dtype]
        )
        end = begin + frames
        fps = video.fps
        if frames >= options.shortest:
            source = (video.video.name, begin / fps, end / fps)
            digest = digest or video_sha256(video.video)
            ledger = (words.licence, digest, words.owner, words.source)
            info = ClipInfo(spoken, *source, frames, height, width, fps, *ledger, lengths)
            done = _actions(video, begin, frames) if options.actions else None
            heard = _sound(video, models, begin / fps, frames)
            clips.append(Clip(info, codes, text, done, heard))
        else:
            short += frames
        begin = end
    if not clips:
        raise VideoError(
            f"has no shot of at least {options.shortest} frames (it has {begin} frames in all)"
        )
    return clips, short


def _actions(video: DecodedVideo, begin: int, frames: int) -> NDArray[Any]:
    """Actions [F, A] of the frames of a clip, which may be read at another rate than its file's."""
    step = measure(video.video).fps / video.fps
    return at_frames(read_actions(video.video), begin * step, step, frames).numpy()


def _sound(video: DecodedVideo, models: Models, begin: float, frames: int) -> NDArray[Any] | None:
    """Codes [T, K] of the sound of a clip that begins at this second of its video; None where the
    video has no sound track, or no sound is asked for."""
    tokenizer = models.sound
    listed = video.video
    if tokenizer is None or (isinstance(listed, LaidVideo) and listed.pictures):
        return None
    if listed.path.is_dir():  # numbered pictures
        return None
    config = tokenizer.config
    start = begin + (listed.span[0] if listed.span else 0.0)
    with local_file(listed) as path:
        wave = read_span(path, start, frames * config.frame_samples, config.rate)
    if wave is None:
        return None
    pieces = wave.to(models.device)[None].split(SOUND_AT_ONCE * config.latent_samples, dim=1)
    codes = torch.cat([part.cpu() for part in tokenizer.stream_encode(pieces)], dim=1)[0]
    return codes.numpy().astype(np.int16 if tokenizer.codebook_size <= 1 << 15 else np.int32)


def _states(captions: tuple[str, ...], encoder: TextEncoder | None) -> list[Tensor]:
    try:
        return embed_captions(captions, encoder) if encoder else []
    except ValueError as error:
        raise VideoError(f"has a caption that cannot be embedded: {error}") from error


def _encode(
    pieces: Iterable[Tensor], models: Models, dtype: torch.dtype
) -> tuple[NDArray[Any], tuple[int, int, int]]:
    """Frames uint8 [3, f, Y, X] of one clip to its codes [T, H, W], and its F, Y and X."""
    size = (0, 0, 0)

    def pixels() -> Iterator[Tensor]:
        nonlocal size
        for piece in pieces:
            if size[0] and size[1:] != piece.shape[2:]:
                raise VideoError("changes its size in the middle; choose a --size for all videos")
            size = (size[0] + piece.shape[1], piece.shape[2], piece.shape[3])
            yield to_float(piece.to(models.device))[None]

    stream = computed(models.tokenizer.stream_encode(pixels()), models.device, dtype)
    codes = torch.cat([part.cpu() for part in stream], dim=1)[0]
    return codes.numpy().astype(
        np.int16 if models.tokenizer.codebook_size <= 1 << 15 else np.int32
    ), size
