"""Look for the mark in a video, or in a picture, that came from anywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .embed import OPEN_KEY, check_video
from .evidence import Evidence
from .owner import SIDE, check_key, shift_places, symbol_spectra
from .pattern import PERIOD, spectrum
from .search import GRID, STEP, Place, at_offsets, search, whitened

FALSE_ALARM = 1e-6
FINER = 4  # steps between two places that were tried, when the best one is refined


@dataclass(frozen=True)
class Verdict:
    """What a detector says about one video.

    A mark is evidence that a model made the video. That none is found says nothing: it may have
    been removed, or never been there.

    Attributes:
        found: the chance of a false alarm is at most the one that was permitted.
        false_alarm: an upper bound of the chance that a video without a mark looks as much like a
            marked one, at any of the places that are tried.
        strength: of the best place, in standard deviations.
        scale: side of the part that is shown, as a share of the side of the whole marked picture.
        mirrored: left and right are exchanged.
        frames: how many frames were looked at.
        payload: the owner's 16 bits, if a private key was given and they could be read.
        payload_false_alarm: the same bound for the payload; None without a private key.
    """

    found: bool
    false_alarm: float
    strength: float
    scale: float
    mirrored: bool
    frames: int
    payload: int | None = None
    payload_false_alarm: float | None = None


def detect(
    video: Tensor, private_key: bytes | None = None, false_alarm: float = FALSE_ALARM
) -> Verdict:
    """Look for the mark in one video `[3, F, Y, X]` or `[1, 3, F, Y, X]`, uint8 or float in
    [-1, 1]. Nothing else need be known: sizes, crops, rates and mirrors are searched.

    Args:
        private_key: also read the 16 bits that the owner of this key wrote.
        false_alarm: how many videos without a mark may be called marked, for each that is looked
            at; between 0 and 1.

    Raises:
        ValueError: for other shapes, more than one video, no frames, a short key, or a chance
            outside of (0, 1).
    """
    check_video(video)
    if video.ndim == 5 and len(video) == 1:
        video = video[0]
    if video.ndim != 4:
        raise ValueError(f"give one video [3, frames, height, width]; got {list(video.shape)}")
    detector = Detector(private_key, false_alarm)
    detector.add(video)
    return detector.verdict()


class Detector:
    """`detect` for videos that are read chunk by chunk: `add` the chunks `[3, f, Y, X]`, then ask
    for the `verdict`. The memory does not grow."""

    def __init__(self, private_key: bytes | None = None, false_alarm: float = FALSE_ALARM) -> None:
        if private_key is not None:
            check_key(private_key)
        if not 0 < false_alarm < 1:
            raise ValueError(f"false_alarm must lie between 0 and 1; got {false_alarm}")
        self.private_key = private_key
        self.false_alarm = false_alarm
        self._evidence = Evidence()

    def add(self, chunk: Tensor) -> None:
        self._evidence.add(chunk)

    def verdict(self) -> Verdict:
        picture = self._evidence.picture
        place = search(picture, [spectrum(OPEN_KEY)])[0]
        found = place.false_alarm <= self.false_alarm
        payload = None
        chance = None
        if self.private_key is not None:
            chance = 1.0
            if found:
                payload, chance = read_payload(picture, place, self.private_key)
            payload = payload if chance <= self.false_alarm else None
        return Verdict(
            found=found,
            false_alarm=place.false_alarm,
            strength=place.strength,
            scale=place.scale,
            mirrored=place.mirrored,
            frames=self._evidence.frames,
            payload=payload,
            payload_false_alarm=chance,
        )


def read_payload(picture: Tensor, place: Place, private_key: bytes) -> tuple[int, float]:
    """The most likely 16 bits at a place of the open pattern, and a bound of the chance that a key
    that wrote nothing looks as good."""
    waves, down, across = _refined(picture, place)
    shifts = shift_places()
    strength = 0.0
    payload = 0
    for symbols in symbol_spectra(private_key):
        table = at_offsets(waves, symbols, down - shifts, across - shifts)
        best = int(table.argmax())
        strength += float(table.flatten()[best])
        payload = payload * SIDE**2 + best
    # The mean of two such sums is one of half the variance.
    chance = SIDE**4 * math.exp(-0.25 * max(strength, 0.0) ** 2)
    return payload, min(1.0, chance)


def _refined(picture: Tensor, place: Place) -> tuple[Tensor, float, float]:
    """Waves, and offset down and across, where the open pattern is strongest near a place."""
    opened = spectrum(OPEN_KEY)
    steps = torch.arange(-FINER, FINER + 1) / FINER
    down = place.offset[0] + steps * (PERIOD / GRID)
    across = place.offset[1] + steps * (PERIOD / GRID)
    best = -math.inf
    for step in steps.tolist():
        waves = whitened(picture, place.scale * math.exp(step * STEP))
        waves = waves.flip(1) if place.mirrored else waves
        table = at_offsets(waves, opened, down, across)
        if float(table.max()) > best:
            best = float(table.max())
            row, column = divmod(int(table.argmax()), len(steps))
            result = waves, float(down[row]), float(across[column])
    return result
