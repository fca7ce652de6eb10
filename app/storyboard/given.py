"""Pixels that are shown as they are: pages, pictures and clips."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ...data.video import VideoWriter, clip_rate, iterate_frames, read_clip
from ...files.image_files import is_image
from .plan import Span
from .schema import Storyboard
from .slides.pages import Slides

NOT_DRAWN = "put together from given pictures; no model drew any of it"


class GivenPictures:
    """Reads what shots show, at the video's rate.

    Args:
        size: height and width that a page of the slides fits into.
    """

    def __init__(self, story: Storyboard, fps: float, size: tuple[int, int]) -> None:
        self.fps = fps
        self.size = size
        self.slides = None if story.slides is None else Slides(story.slides)

    def __call__(self, span: Span) -> Iterator[Tensor]:
        """Pictures uint8 [3, y, x] of a shot; a still one comes once."""
        shot = span.shot
        if shot.page is not None:
            assert self.slides is not None
            if shot.page > len(self.slides):
                shot.at("page").fail(f"there is no page {shot.page}; there are {len(self.slides)}")
            yield self.slides.picture(shot.page - 1, self.size)
            return
        assert shot.show is not None
        try:
            if is_still(shot.show):
                yield read_clip(shot.show, background="black").video[:, 0]
                return
            count = span.frames + span.tail
            for chunk in iterate_frames(shot.show, frames=count, fps=self.fps, chunk=4):
                yield from torch.unbind(chunk, dim=1)
        except ValueError as error:
            shot.at("show").fail(str(error))


def is_still(path: Path) -> bool:
    """Is a file one picture?"""
    return path.is_file() and is_image(path)


def plain_video(path: Path, fps: float) -> VideoWriter:
    """A writer of a video in which no model drew anything: it has no mark and is not signed."""
    return VideoWriter(path, fps, {"comment": NOT_DRAWN})


def own_size(story: Storyboard) -> tuple[int, int] | None:
    """Height and width, both even, of the first thing that is shown; None if nothing is."""
    if story.slides is not None:
        with Slides(story.slides) as slides:
            return slides.video_size()
    for shot in story.shots:
        if shot.show is not None:
            fps = None if is_still(shot.show) else clip_rate(shot.show, 12.0)
            height, width = read_clip(shot.show, frames=1, fps=fps).video.shape[2:]
            return height + height % 2, width + width % 2
    return None
