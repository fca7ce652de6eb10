"""Pixels that are shown as they are: pages, pictures and clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from torch import Tensor

from ...data.video import VideoWriter, iterate_frames, read_clip
from ...files.image_files import is_image
from .plan import Span
from .schema import Shot, Storyboard
from .slides.pages import Slides

NOT_DRAWN = "put together from given pictures; no model drew any of it"
AT_ONCE = 4  # pictures of a clip that are held
ANY_FPS = 12.0  # where only the first picture counts

ReadPictures = Callable[[Path, int, float], Iterator[Tensor]]


def picture_chunks(path: Path, count: int, fps: float) -> Iterator[Tensor]:
    """Pictures of a file, uint8 [3, f, y, x]: the one of a still picture, or the first ones of a
    clip, a few at a time.

    Args:
        count: of a clip, at most.
        fps: at which a clip is read.
    """
    if is_still(path):
        yield read_clip(path, background="black").video[:, :1]
    else:
        yield from iterate_frames(path, frames=count, fps=fps, chunk=AT_ONCE)


def read_pictures(path: Path, count: int, fps: float) -> Iterator[Tensor]:
    """The same one by one, uint8 [3, y, x]."""
    for chunk in picture_chunks(path, count, fps):
        yield from chunk.unbind(1)


class GivenPictures:
    """Reads what shots show, at the video's rate.

    Args:
        size: height and width that a page of the slides fits into.
        read: as `read_pictures`.
    """

    def __init__(
        self,
        story: Storyboard,
        fps: float,
        size: tuple[int, int],
        read: ReadPictures = read_pictures,
    ) -> None:
        self.slides = story.slides
        self.fps = fps
        self.size = size
        self.read = read

    def __call__(self, span: Span) -> Iterator[Tensor]:
        """Pictures uint8 [3, y, x] of a shot; a still one comes once."""
        shot = span.shot
        if shot.page is not None:
            assert self.slides is not None
            with Slides(self.slides) as slides:
                picture = slides.picture(shot.page - 1, self.size)
            yield picture
            return
        assert shot.show is not None
        with shot.at("show").blamed():
            yield from self.read(shot.show, span.frames + span.tail, self.fps)


def is_still(path: Path) -> bool:
    """Is a file one picture?"""
    return path.is_file() and is_image(path)


def plain_video(path: Path, fps: float) -> VideoWriter:
    """A writer of a video in which no model drew anything: it has no mark and is not signed."""
    return VideoWriter(path, fps, {"comment": NOT_DRAWN})


def own_size(story: Storyboard, read: ReadPictures = read_pictures) -> tuple[int, int] | None:
    """Height and width, both even, of the first thing that is shown; None if nothing is."""
    if story.slides is not None:
        with story.at("slides").blamed(), Slides(story.slides) as slides:
            return slides.video_size()
    for shot in story.shots:
        if shot.show is not None:
            height, width = first_picture(shot, read).shape[1:]
            return height + height % 2, width + width % 2
    return None


def first_picture(shot: Shot, read: ReadPictures) -> Tensor:
    """The first picture of what a shot shows."""
    assert shot.show is not None
    with shot.at("show").blamed():
        for picture in read(shot.show, 1, ANY_FPS):
            return picture
    shot.at("show").fail("there is no picture in it")
