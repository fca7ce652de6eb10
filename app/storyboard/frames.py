"""One picture of the finished video after another: shots, what lies on them, and how they join.

Legend: f Y X frames and pixels; m Z the frames and pixels of a clip that is laid in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .font import Font, lettering
from .plan import Chain, Plan, Span, source_frame
from .schema import Line, Pointer

TITLE = (0.42, 0.11)  # middle and height of a line, as shares of the picture
CAPTION = (0.9, 0.055)
POINT_SIZE = 0.022  # radius of a pointer, as a share of the height
POINT_COLOUR = (230, 40, 40)
DIMMED = 0.45  # light of what is not highlighted

Decode = Callable[[Chain], Iterator[Tensor]]  # pictures of a chain, uint8 [3, y, x]
Shown = Callable[[Span], Iterator[Tensor]]  # pictures of given pixels, as they are


@dataclass(frozen=True)
class Picture:
    """uint8 [3, Y, X], and where a model drew it, bool [Y, X]."""

    pixels: Tensor
    drawn: Tensor


def fitted(picture_3yx: Tensor, size: tuple[int, int]) -> tuple[Tensor, tuple[int, ...]]:
    """A picture as large as fits into a size, uint8, and its top, left, height and width there.

    Whole multiples keep the pixels sharp; otherwise it is interpolated.
    """
    height, width = picture_3yx.shape[1:]
    times = min(size[0] / height, size[1] / width)
    target = (min(size[0], round(height * times)), min(size[1], round(width * times)))
    box = ((size[0] - target[0]) // 2, (size[1] - target[1]) // 2, *target)
    if target == (height, width):
        return picture_3yx, box
    if times >= 1 and times == int(times):
        whole = int(times)
        return picture_3yx.repeat_interleave(whole, 1).repeat_interleave(whole, 2), box
    resized = interpolate(
        picture_3yx[None].float(), target, mode="bicubic", antialias=True, align_corners=False
    )
    return resized[0].round().clamp(0, 255).to(torch.uint8), box


class Film:
    """All pictures of a plan.

    Args:
        size: height and width of the video.
        decode: pictures of what a model drew, at its own rate.
        shown: pictures of given pixels, at the video's rate; the last one is held.
        font: of titles and captions.
        burns: whether captions are drawn into the pictures.
    """

    def __init__(
        self,
        plan: Plan,
        size: tuple[int, int],
        decode: Decode,
        shown: Shown,
        font: Font,
        burns: bool,
    ) -> None:
        self.plan = plan
        self.size = size
        self.decode = decode
        self.shown = shown
        self.font = font
        self.burns = burns
        self._sources: dict[int, _Source] = {}  # of chains, by their identity

    def __iter__(self) -> Iterator[Picture]:
        """`plan.frames` pictures."""
        before: Iterator[Picture] | None = None
        spans = self.plan.spans
        for index, span in enumerate(spans):
            after = spans[index + 1] if index + 1 < len(spans) else None
            pictures = self._span(span)
            for number in range(span.frames):
                picture = next(pictures)
                if span.shot.join.kind == "crossfade" and number < span.blend:
                    assert before is not None
                    share = (number + 1) / (span.blend + 1)
                    picture = _blended(next(before), picture, share)
                yield _faded(picture, self._light(span, after, number))
            before = pictures if span.tail else None

    def _light(self, span: Span, after: Span | None, number: int) -> float:
        """How bright a frame of a shot is: a fade takes half its time from either shot."""
        light = 1.0
        if span.shot.join.kind == "fade":
            light = min(light, (number + 0.5) / max(1, span.blend / 2))
        if after is not None and after.shot.join.kind == "fade":
            left = span.frames - number
            light = min(light, (left - 0.5) / max(1, after.blend / 2))
        return max(0.0, min(1.0, light))

    def _span(self, span: Span) -> Iterator[Picture]:
        """Pictures of a shot, `frames` and `tail` of them."""
        layers = self._layers(span)
        if span.chain is not None:
            below = self._of_chain(span.chain, span.first)
        else:
            below = self._of_pixels(span)
        laid = [
            (inset.first - span.first, inset.frames, self._inset(inset.chain, inset.inset.box))
            for inset in span.insets
        ]
        for number in range(span.frames + span.tail):
            picture = next(below)
            for first, frames, clip in laid:
                if first <= number < first + frames:
                    picture = next(clip)(picture)
            for pointer in span.shot.pointers:
                if self._is_on(pointer, span, number):
                    picture = _pointed(picture, pointer)
            for line, layer in layers:
                if self._is_on(line, span, number):
                    picture = _lettered(picture, *layer)
            yield picture

    def _is_on(self, what: Line | Pointer, span: Span, number: int) -> bool:
        first = round(what.at * self.plan.fps)
        if what.seconds is None:
            return number >= first
        return first <= number < first + max(1, round(what.seconds * self.plan.fps))

    def _layers(self, span: Span) -> list[tuple[Line, tuple[Tensor, Tensor]]]:
        """The lines of text of a shot, drawn once."""
        lines = [] if span.shot.title is None else [(span.shot.title, TITLE, "title")]
        if self.burns:
            lines += [(line, CAPTION, "caption") for line in span.shot.captions]
        layers = []
        for line, look, key in lines:
            try:
                layers.append((line, lettering(line.text, self.font, self.size, *look)))
            except ValueError as error:
                span.shot.at(key).fail(str(error))
        return layers

    def _of_chain(self, chain: Chain, first: int) -> Iterator[Picture]:
        source = self._sources.get(id(chain))
        if source is None:
            source = self._sources[id(chain)] = _Source(self.decode(chain))
        for number in range(first - chain.start, 1 << 40):
            index = source_frame(number, self.plan.story.model_fps, self.plan.fps)
            yield self._placed(source.at(index), True)

    def _of_pixels(self, span: Span) -> Iterator[Picture]:
        last: Picture | None = None
        for pixels in self.shown(span):
            last = self._placed(pixels, False)
            yield last
        if last is None:
            span.shot.at("show").fail("there is no picture in it")
        while True:
            yield last

    def _placed(self, picture_3yx: Tensor, is_drawn: bool) -> Picture:
        """A picture in the middle of a black one of the video's size."""
        inside, (top, left, height, width) = fitted(picture_3yx, self.size)
        drawn = torch.zeros(self.size, dtype=torch.bool)
        drawn[top : top + height, left : left + width] = is_drawn
        if (height, width) == self.size:
            return Picture(inside, drawn)
        pixels = torch.zeros(3, *self.size, dtype=torch.uint8)
        pixels[:, top : top + height, left : left + width] = inside
        return Picture(pixels, drawn)

    def _inset(
        self, chain: Chain, box: tuple[float, float, float, float]
    ) -> Iterator[Callable[[Picture], Picture]]:
        """What lays one frame after another of a clip on a picture."""
        left, top, width, height = box
        room = (max(2, round(height * self.size[0])), max(2, round(width * self.size[1])))
        corner = (round(top * self.size[0]), round(left * self.size[1]))
        source = _Source(self.decode(chain))
        for number in range(1 << 40):
            index = source_frame(number, self.plan.story.model_fps, self.plan.fps)
            clip, (down, right, tall, wide) = fitted(source.at(index), room)
            y = min(corner[0] + down, self.size[0] - tall)
            x = min(corner[1] + right, self.size[1] - wide)

            def lay(
                picture: Picture,
                clip: Tensor = clip,
                rows: slice = slice(y, y + tall),
                columns: slice = slice(x, x + wide),
            ) -> Picture:
                pixels = picture.pixels.clone()
                drawn = picture.drawn.clone()
                pixels[:, rows, columns] = clip
                drawn[rows, columns] = True
                return Picture(pixels, drawn)

            yield lay


class _Source:
    """Frames of a chain by their number, read forwards; the last one is held."""

    def __init__(self, frames: Iterator[Tensor]) -> None:
        self.frames = frames
        self.kept: dict[int, Tensor] = {}  # a crossfade reads a little behind
        self.count = 0

    def at(self, index: int) -> Tensor:
        while self.count <= index:
            frame = next(self.frames, None)
            if frame is None:
                break
            self.kept[self.count] = frame
            self.count += 1
            self.kept.pop(self.count - 3, None)
        return self.kept[min(index, self.count - 1)]


def _blended(before: Picture, after: Picture, share: float) -> Picture:
    mixed = torch.lerp(before.pixels.float(), after.pixels.float(), share)
    return Picture(mixed.round().to(torch.uint8), before.drawn | after.drawn)


def _faded(picture: Picture, light: float) -> Picture:
    if light >= 1:
        return picture
    return Picture((picture.pixels.float() * light).round().to(torch.uint8), picture.drawn)


def _lettered(picture: Picture, colours: Tensor, seen: Tensor) -> Picture:
    mixed = torch.lerp(picture.pixels.float(), colours.float(), seen)
    return Picture(mixed.round().to(torch.uint8), picture.drawn & (seen == 0))


def _pointed(picture: Picture, pointer: Pointer) -> Picture:
    """A picture with a dot, or with all but a box darker."""
    height, width = picture.drawn.shape
    if pointer.kind == "highlight":
        left, top, wide, tall = pointer.place
        rows = slice(round(top * height), round((top + tall) * height))
        columns = slice(round(left * width), round((left + wide) * width))
        pixels = (picture.pixels.float() * DIMMED).to(torch.uint8)
        pixels[:, rows, columns] = picture.pixels[:, rows, columns]
        return Picture(pixels, picture.drawn)
    x, y = pointer.place
    radius = max(3.0, POINT_SIZE * height)
    down = torch.arange(height)[:, None] - y * (height - 1)
    right = torch.arange(width)[None] - x * (width - 1)
    distance = (down**2 + right**2).sqrt()
    inside = (radius - distance + 0.5).clamp(0, 1)
    edge = (radius * 1.35 - distance + 0.5).clamp(0, 1)
    white = torch.full((3, 1, 1), 255.0)
    colour = torch.tensor(POINT_COLOUR, dtype=torch.float32)[:, None, None]
    mixed = torch.lerp(torch.lerp(picture.pixels.float(), white, edge), colour, inside)
    return Picture(mixed.round().to(torch.uint8), picture.drawn & (edge == 0))
