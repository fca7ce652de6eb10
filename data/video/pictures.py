"""Pictures as videos: an image is a video of one frame, an animated one plays at its own times, and
numbered images are the frames of one video."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageOps, ImageSequence

from .frames import ShownFrame, VideoError
from .pixels import background_colour

ANIMATED = {"WEBP", "PNG", "AVIF"}  # pictures of other formats (TIFF, MPO) are pages, no moments
STILL_RATE = 25.0  # frames per second of a video of one frame
BLINK = 0.01  # seconds; delays up to this are shown for 0.1 seconds, as browsers do


class PictureVideo:
    """A `VideoSource` of one image file, or of several as the frames of one video."""

    has_audio = False
    aspect = 1.0
    own_size: tuple[int, int] | None = None

    def __init__(self, files: Sequence[Path], background: str, rate: float | None = None) -> None:
        self.files = files
        self.background = background_colour(background)
        self._given_rate = rate
        with _opened(files[0]) as image:
            self.codec = str(image.format).lower()
            info = {str(k): v for k, v in image.info.items() if isinstance(v, str)}
            self.metadata: dict[str, str] = info
            self._delays = [] if rate is not None else _delays(image)
        seconds = sum(self._delays)
        self.rate = rate or (len(self._delays) / seconds if seconds else STILL_RATE)

    def first(self) -> Any:
        return next(self.shown()).frame

    def shown(self, start: float = 0.0) -> Iterator[ShownFrame]:
        if self._given_rate is not None:
            for index, file in enumerate(self.files):
                end = (index + 1) / self.rate
                if end > start:
                    with _opened(file) as image:
                        yield ShownFrame(index / self.rate, end, _frame(image, self.background))
            return
        with _opened(self.files[0]) as image:
            if not self._delays:
                yield ShownFrame(0.0, 1 / STILL_RATE, _frame(image, self.background))
            time = 0.0
            pictures = ImageSequence.Iterator(image)
            for delay, picture in zip(self._delays, pictures, strict=False):
                yield ShownFrame(time, time + delay, _frame(picture, self.background))
                time += delay

    def length(self) -> tuple[int, float]:
        frames = len(self.files) if self._given_rate is not None else max(1, len(self._delays))
        return frames, sum(self._delays) or frames / self.rate

    def steps(self) -> list[float]:
        return self._delays


def _delays(image: Image.Image) -> list[float]:
    """How long each picture of an animated image is shown, in seconds; [] for a still one."""
    if image.format not in ANIMATED or getattr(image, "n_frames", 1) == 1:
        return []
    delays = []
    for picture in ImageSequence.Iterator(image):
        picture.load()
        seconds = float(picture.info.get("duration") or 0) / 1000
        delays.append(seconds if seconds > BLINK else 0.1)
    return delays


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield image
    except PermissionError:
        raise VideoError(f"'{path}' may not be read; check its permissions") from None
    except VideoError:
        raise
    except Exception as error:  # decoders of a dozen formats raise what they like
        reason = " ".join(str(error).split()) or type(error).__name__
        raise VideoError(
            f"'{path}' cannot be read as an image: it is truncated or damaged ({reason})"
        ) from None


def _frame(image: Image.Image, background: tuple[int, int, int]) -> Any:
    """An upright `av.VideoFrame` of 8 bits per colour, laid on the background."""
    upright = ImageOps.exif_transpose(image)
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(_rgb(upright, background)), "rgb24")


def _rgb(image: Image.Image, background: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    if image.mode.startswith("I") or image.mode == "F":
        levels = _eight_bits(
            np.asarray(image).astype(np.float64), 1 if image.mode == "F" else 65535
        )
        return np.repeat(levels[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        below = Image.new("RGBA", seen.size, (*background, 255))
        image = Image.alpha_composite(below, seen)
    return np.asarray(image.convert("RGB"))


def _eight_bits(levels: np.ndarray[Any, Any], white: int) -> np.ndarray[Any, Any]:
    """Grey levels from 0 to `white` as 0 to 255."""
    lowest = float(levels.min())
    highest = float(levels.max())
    if not 0 <= lowest <= highest <= white:
        raise ValueError(f"its levels go from {lowest:g} to {highest:g}, not from 0 to {white}")
    return (levels * (255 / white)).round().astype(np.uint8)
