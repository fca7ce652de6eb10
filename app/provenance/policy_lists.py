"""The policy that ships: lists of words and of pictures in a folder, for its operator to edit.

- `words.txt`: a word or phrase on a line. It is found however it is written: in capitals, with
  accents, with full-width letters, with its letters spaced out, with invisible characters between.
- `pictures.txt`: hashes of pictures, 16 hexadecimal digits on a line, as `kinetoscope inspect`
  prints them. Pictures that were scaled, stored anew or made a little lighter are found as well.

Lines that start with # do not count. What lists cannot do is said in docs/safety.md.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ...data.datasets.tables import decode_text
from .policy import Answer, Request, allow, refuse

WORDS = "words.txt"
PICTURES = "pictures.txt"
SIDE = 8  # of the grid of comparisons: 64 bits
LIGHTER = 0.01  # share of the range from black to white that a bit stands for
NEAR = 6  # bits in which the hashes of one picture may differ
FRAMES = 8  # of a clip that are looked at, spread over its length


class ListPolicy:
    """Refuses sentences, and words in conditions, that hold a listed word, and pictures and clips
    that show a listed picture.

    Raises:
        ValueError: no such folder, neither list in it, or a line that is no hash.
    """

    def __init__(self, folder: str) -> None:
        root = Path(folder)
        files = [root / WORDS, root / PICTURES]
        if not any(file.is_file() for file in files):
            raise ValueError(f"'{folder}' holds neither {WORDS} nor {PICTURES}")
        self.phrases = {number: plain(line) for number, line in _lines(files[0])}
        self.pictures = {number: _hash_of(line, files[1]) for number, line in _lines(files[1])}

    def __call__(self, request: Request) -> Answer:
        texts = [request.prompt or "", *_texts(request.conditions)]
        for text in texts:
            if (number := self._phrase_in(text)) is not None:
                return refuse(f"a word in it is not allowed here ({WORDS}, line {number})")
        for video in _videos(request.conditions):
            if (number := self._picture_in(video)) is not None:
                return refuse(f"a picture in it is not allowed here ({PICTURES}, line {number})")
        return allow(request)

    def _phrase_in(self, text: str) -> int | None:
        """The number of the line that is found in a text."""
        words = f" {plain(text)} "
        joined = f" {_joined(words)} "
        for number, phrase in self.phrases.items():
            if phrase and (f" {phrase} " in words or f" {phrase.replace(' ', '')} " in joined):
                return number
        return None

    def _picture_in(self, video_B3FYX: Tensor) -> int | None:
        frames = video_B3FYX.shape[2]
        places = torch.linspace(0, frames - 1, min(frames, FRAMES)).round().long().tolist()
        for frame in video_B3FYX[:, :, places].transpose(1, 2).flatten(0, 1):
            found = picture_hash(frame)
            for number, listed in self.pictures.items():
                if (found ^ listed).bit_count() <= NEAR:
                    return number
        return None


def plain(text: str) -> str:
    """Words in small letters without accents and invisible characters, one space between."""
    spread = unicodedata.normalize("NFKD", text)
    seen = "".join(c for c in spread if unicodedata.category(c) not in ("Mn", "Cf"))
    return " ".join(re.findall(r"[^\W_]+", seen.casefold()))


def _joined(words: str) -> str:
    """Letters that stand alone, one after another, put together to words."""
    return re.sub(r"(?<= \w) (?=\w )", "", words).strip()


def picture_hash(picture_3YX: Tensor) -> int:
    """64 bits that say where the square in the middle of a picture, uint8 or float in [-1, 1], gets
    lighter from left to right. A model sees little more than that square of what is given. Even
    surfaces have no such place: there a codec or a mark would decide. So all pictures that show
    little else have nearly the same hash.

    Reference: N. Krawetz, "Kind of like that" (2013), the difference hash.
    """
    height, width = picture_3YX.shape[1:]
    side = min(height, width)
    top = (height - side) // 2
    left = (width - side) // 2
    square_3YX = picture_3YX[:, top : top + side, left : left + side]
    grey_1YX = square_3YX.float().mean(0, keepdim=True)
    small_YX = functional.adaptive_avg_pool2d(grey_1YX, (SIDE, SIDE + 1))[0]
    least = LIGHTER * (2 if picture_3YX.is_floating_point() else 255)
    bits = (small_YX[:, 1:] - small_YX[:, :-1] > least).flatten().tolist()
    return sum(bit << place for place, bit in enumerate(bits))


def hash_text(number: int) -> str:
    return f"{number:0{SIDE * SIDE // 4}x}"


def _hash_of(line: str, path: Path) -> int:
    if not re.fullmatch(r"[0-9a-fA-F]{16}", line):
        raise ValueError(f"'{path}' holds '{line}', which is no hash of 16 hexadecimal digits")
    return int(line, 16)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbers and texts of the lines that count."""
    if not path.is_file():
        return
    for number, line in enumerate(decode_text(path).splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.split("#")[0].strip()


def _texts(value: Any) -> Iterator[str]:
    """All words in what is given, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for each in value:
            yield from _texts(each)


def _videos(value: Any) -> Iterator[Tensor]:
    """All pictures and clips in what is given, as [B, 3, F, Y, X]."""
    if isinstance(value, Tensor):
        if value.ndim >= 3 and value.shape[-3] == 3:
            yield value.unflatten(-3, (3, 1)).reshape(-1, 3, 1, *value.shape[-2:])
        elif value.ndim >= 4 and value.shape[-4] == 3:
            yield value.reshape(-1, *value.shape[-4:])
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _videos(each)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for each in value:
            yield from _videos(each)
