"""Read video files and images as uint8 tensors `[3, F, Y, X]`; `write` makes them.

Videos go through PyAV, whose wheel carries FFmpeg, and images through Pillow. An image is a video
of one frame, and numbered images are the frames of one video. Sizes are those a viewer shows:
rotated and mirrored as the file says, with square pixels. Times are seconds from the first frame.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...files.image_files import is_image, numbered_pictures
from .containers import open_container
from .frames import VideoError, VideoSource, select_frames, steady_rate
from .pixels import WHITE, Renderer, View

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif", ".mpg", ".mpeg", ".m2v"}
    | {".ts", ".mts", ".m2ts", ".wmv", ".flv", ".ogv", ".3gp", ".vob"}
)
CENTRE = (0.5, 0.5)


@dataclass(frozen=True)
class VideoClip:
    """`video` uint8 `[3, F, Y, X]` and the frames per second at which it plays."""

    video: Tensor
    fps: float


@dataclass(frozen=True)
class VideoInfo:
    """What a file says about itself; `frames` may be off by one in large files of formats that
    store only their length (Matroska, FLV, ASF)."""

    path: Path
    width: int
    height: int
    fps: float
    frames: int
    seconds: float
    codec: str
    has_audio: bool


@contextlib.contextmanager
def open_video(
    path: str | Path, fps: float | None = None, threads: int = 0, background: str = WHITE
) -> Iterator[VideoSource]:
    """An open video, image, or folder or pattern of numbered images.

    Args:
        fps: frames per second of numbered images, which have no rate of their own.
        threads: decoder threads; 0 lets FFmpeg choose.
        background: a colour to lay transparent images on.

    Raises:
        VideoError: nothing is there, or it is no video.
    """
    path = Path(path)
    pictures = numbered_pictures(path)
    if pictures:
        if fps is None:
            raise VideoError(
                f"'{path}' are {len(pictures)} numbered pictures; give fps, the frames per second "
                "of the video that they make"
            )
        yield _images(pictures, background, fps)
        return
    _check_file(path)
    if is_image(path):
        yield _images([path], background)
        return
    with open_container(path, threads) as video:
        yield video


def _images(files: Sequence[Path], background: str, fps: float | None = None) -> VideoSource:
    from .pictures import PictureVideo  # Pillow is seldom needed

    return PictureVideo(files, background, fps)


def _check_file(path: Path) -> None:
    if not path.exists():
        raise VideoError(f"'{path}' does not exist; check the name")
    if path.is_dir():
        raise VideoError(
            f"'{path}' is a folder, and not one of numbered pictures; give one video file"
        )
    if not path.is_file():
        raise VideoError(f"'{path}' is no ordinary file; give one video file")
    if path.stat().st_size == 0:
        raise VideoError(f"'{path}' is empty (0 bytes); export or download it again")


def probe(path: str | Path, fps: float | None = None) -> VideoInfo:
    """Size, length and rate of a video or image, from its header and its first frame.

    Where the header does not tell how many frames there are, they are counted, without decoding.
    `fps` is the rate of numbered images.
    """
    with open_video(path, fps) as video:
        return _info(path, video, Renderer(video, WHITE).size(video.first()))


def first_look(path: str | Path) -> tuple[VideoInfo, Tensor]:
    """What `probe` says, and the first frame uint8 `[3, Y, X]`, of a file that is opened once."""
    with open_video(path, threads=1) as video:
        frame = video.first()
        image = Renderer(video, WHITE, 1).tensor(frame, View(None, CENTRE, 1.0))
        return _info(path, video, (image.shape[1], image.shape[2])), image


def _info(path: str | Path, video: VideoSource, size: tuple[int, int]) -> VideoInfo:
    frames, seconds = video.length()
    return VideoInfo(
        path=Path(path),
        height=size[0],
        width=size[1],
        fps=video.rate,
        frames=frames,
        seconds=seconds,
        codec=video.codec,
        has_audio=video.has_audio,
    )


def read_metadata(path: str | Path) -> dict[str, str]:
    """The key-value pairs stored in a file, such as the prompt and seed of a generated video."""
    with open_video(path) as video:
        return dict(video.metadata)


def read_clip(
    path: str | Path,
    start_seconds: float = 0.0,
    frames: int | None = None,
    *,
    fps: float | None = None,
    stride: int = 1,
    size: int | tuple[int, int] | None = None,
    crop: tuple[float, float] = CENTRE,
    zoom: float = 1.0,
    threads: int = 0,
    background: str = WHITE,
) -> VideoClip:
    """Read frames into one uint8 tensor `[3, F, Y, X]`. Fewer than `frames` come back when the
    video ends before.

    Args:
        path: any video or image that FFmpeg or Pillow reads; a folder of numbered images, or a
            pattern of them such as frames/%03d.png or frames/*.png.
        start_seconds: where to start; the first frame is the one shown at that time.
        frames: how many frames at most; None reads to the end (`iterate_frames` does so at bounded
            memory).
        fps: sample by time at this rate, whatever the rate of the file (frames are left out or
            repeated). Numbered images have no rate: it is theirs, and each is taken once.
        stride: without `fps`, keep every stride-th frame of the file.
        size: None keeps the size; a number scales the shorter side to it; (height, width) scales to
            cover that size, keeping the proportions, and cuts off the rest.
        crop: where that cut window lies, from (0, 0) top left to (1, 1) bottom right.
        zoom: with (height, width), scale up this many times further, so that the window shows a
            part of the picture.
        threads: decoder threads; 0 lets FFmpeg choose.
        background: the colour that lies below transparent pictures, such as white, black or
            #20c0ff.

    Raises:
        VideoError: the file is missing, not a video, empty, truncated or without pictures, ends
            before the start, or changes its size where no (height, width) is given.
        ValueError: a number is out of range.
    """
    chunks = iterate_frames(
        path,
        start_seconds,
        frames,
        fps=fps,
        stride=stride,
        size=size,
        crop=crop,
        zoom=zoom,
        threads=threads,
        background=background,
    )
    video = torch.cat(list(chunks), dim=1)
    return VideoClip(video, clip_rate(path, fps, stride))


def clip_rate(path: str | Path, fps: float | None = None, stride: int = 1) -> float:
    """Frames per second of what `read_clip` and `iterate_frames` return with these settings."""
    if fps is not None:
        return float(fps)
    with open_video(path) as video:
        return video.rate / operator.index(stride)


@dataclass(frozen=True)
class Timing:
    """How all frames of a file keep their times at one rate: `fps` is that rate, and `sampled` what
    to give to `iterate_frames` (None takes the file's own frames)."""

    fps: float
    sampled: float | None


def even_timing(path: str | Path, fps: float | None = None) -> Timing:
    """The rate at which to read all of a file whose rate may vary, unless `fps` says it.

    Where its own frames come at one rate, as most do, they are taken as they are. Otherwise it is
    sampled at the rate of its closest frames, so that a picture that is shown at 2 seconds is shown
    then.
    """
    if fps is not None:
        return Timing(float(fps), float(fps))
    with open_video(path) as video:
        sampled = steady_rate(video.steps())
        return Timing(sampled or video.rate, sampled)


def iterate_frames(
    path: str | Path,
    start_seconds: float = 0.0,
    frames: int | None = None,
    *,
    fps: float | None = None,
    stride: int = 1,
    size: int | tuple[int, int] | None = None,
    crop: tuple[float, float] = CENTRE,
    zoom: float = 1.0,
    chunk: int = 16,
    threads: int = 0,
    background: str = WHITE,
) -> Iterator[Tensor]:
    """As `read_clip`, but yields uint8 chunks `[3, f, Y, X]` of up to `chunk` frames, so memory
    stays bounded."""
    start = float(start_seconds)
    fps = None if fps is None else float(fps)
    frames = None if frames is None else operator.index(frames)
    view = View(_whole_numbers(size), (float(crop[0]), float(crop[1])), float(zoom))
    _check(start, frames, fps, operator.index(stride), view, operator.index(chunk))
    batch: list[Tensor] = []
    with open_video(path, fps, threads, background) as video:
        renderer = Renderer(video, background, threads)
        shown = video.shown(start)
        shape: tuple[int, ...] | None = None
        stride = operator.index(stride)
        chosen = select_frames(path, shown, video.rate, start, frames, fps, stride)
        for frame, times in chosen:
            image = renderer.tensor(frame, view)
            shape = shape or tuple(image.shape)
            if image.shape != shape:
                raise VideoError(
                    f"'{path}' changes its size from {shape[1]} x {shape[2]} to {image.shape[1]} x "
                    f"{image.shape[2]}; cut it there, or give a height and width for all frames"
                )
            for _ in range(times):
                batch.append(image)
                if len(batch) == chunk:
                    yield torch.stack(batch, dim=1)
                    batch = []
    if batch:
        yield torch.stack(batch, dim=1)


def _whole_numbers(size: int | tuple[int, int] | None) -> int | tuple[int, int] | None:
    """The size in Python's own numbers, of whatever kind they are."""
    if size is None:
        return None
    if not isinstance(size, Sequence):
        return operator.index(size)
    height, width = size
    return operator.index(height), operator.index(width)


def _check(
    start: float, frames: int | None, fps: float | None, stride: int, view: View, chunk: int
) -> None:
    if not start >= 0:
        raise ValueError(f"start_seconds must be at least 0; got {start}")
    size = view.size
    sides = () if size is None else (size,) if isinstance(size, int) else size
    counts = [("frames", frames), ("stride", stride), ("chunk", chunk)]
    for name, value in [*counts, *(("size", side) for side in sides)]:
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")
    if not view.zoom >= 1:
        raise ValueError(f"zoom must be at least 1; got {view.zoom}")
    if fps is not None and not fps > 0:
        raise ValueError(f"fps must be above 0; got {fps}")
    if fps is not None and stride != 1:
        raise ValueError(f"give either fps or stride; got fps={fps} and stride={stride}")
    if not all(0 <= part <= 1 for part in view.crop):
        raise ValueError(f"crop must lie between (0, 0) and (1, 1); got {view.crop}")
