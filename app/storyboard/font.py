"""Text as pixels: a font that has every letter, lines that fit, and a mask to lay on a picture."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

SHIPPED = Path(__file__).with_name("fonts") / "DejaVuSans.ttf"  # Latin, Greek and Cyrillic
SMALLEST = 10  # pixels
NOTHING = "\U0010ffff"  # a number that never is a letter
INVISIBLE = ("Cc", "Cf", "Zs", "Zl", "Zp")  # categories of what is not drawn


class Font:
    """A font file.

    Args:
        path: TrueType or OpenType; the one that ships if not given.

    Raises:
        ValueError: the file is no font.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or SHIPPED
        try:
            self.at(20)
        except OSError:
            raise ValueError(f"'{self.path}' is no font; give a .ttf or .otf file") from None
        self._known: dict[str, bool] = {}

    def at(self, pixels: int) -> ImageFont.FreeTypeFont:
        """The font at a size."""
        return ImageFont.truetype(str(self.path), max(SMALLEST, pixels))

    def lacks(self, text: str) -> list[str]:
        """Letters of a text that the font cannot draw."""
        new = {letter for letter in text if letter not in self._known}
        if new:
            font = self.at(40)
            box = _drawn(font, NOTHING)
            for letter in new:
                unseen = unicodedata.category(letter) in INVISIBLE
                self._known[letter] = unseen or _drawn(font, letter) not in (box, b"")
        return [letter for letter in dict.fromkeys(text) if not self._known[letter]]

    def check(self, text: str) -> None:
        """ValueError that names the letters which the font lacks."""
        lacking = self.lacks(text)
        if lacking:
            names = ", ".join(f"'{letter}' (U+{ord(letter):04X})" for letter in lacking[:5])
            raise ValueError(
                f"the font {self.path.name} has no letter for {names}; name one that has under "
                "'font:'"
            )


def _drawn(font: ImageFont.FreeTypeFont, letter: str) -> bytes:
    mask = font.getmask(letter)
    return bytes(mask) if mask.size[0] and mask.size[1] else b""


def wrapped(text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Lines that are no wider than so many pixels; a word that is wider stands alone, cut."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and font.getlength(longer) > width:
                lines.append(line)
                longer = word
            while font.getlength(longer) > width and len(longer) > 1:
                fits = _fitting(longer, font, width)
                lines.append(longer[:fits])
                longer = longer[fits:]
            line = longer
        lines.append(line)
    return [line for line in lines if line]


def _fitting(word: str, font: ImageFont.FreeTypeFont, width: float) -> int:
    """How many letters of a word fit."""
    count = 1
    while count < len(word) and font.getlength(word[: count + 1]) <= width:
        count += 1
    return count


def lettering(
    text: str, font: Font, size: tuple[int, int], middle: float, share: float
) -> tuple[Tensor, Tensor]:
    """White letters with a dark edge, to lay on a picture.

    Args:
        size: height and width of the picture.
        middle: where the middle of the text lies, 0 at the top and 1 at the bottom; it is moved
            so that all of it is inside.
        share: height of a line as a share of the picture's.

    Returns:
        Colours uint8 [3, Y, X] and how much of them is seen, float [Y, X].

    Raises:
        ValueError: the font lacks a letter, or the text does not fit.
    """
    font.check(text)
    height, width = size
    face = font.at(round(height * share))
    lines = wrapped(text, face, width * 0.9)
    edge = max(1, round(face.size / 12))
    step = round(face.size * 1.25)
    tall = step * len(lines) + 2 * edge
    if tall > height:
        raise ValueError(
            f"the text '{text[:40]}…' has {len(lines)} lines and does not fit into the picture; "
            "shorten it"
        )
    top = min(max(round(middle * height - tall / 2), 0), height - tall)
    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        left = (width - face.getlength(line)) / 2
        place = (left, top + edge + number * step)
        pen.text(place, line, "white", face, stroke_width=edge, stroke_fill="black")
    pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)
    return pixels[:3].contiguous(), pixels[3].float() / 255
