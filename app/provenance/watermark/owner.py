"""Whose video it is: 16 bits that only the holder of a private key can read.

Two patterns of the key say eight bits each, by how far each is shifted: `SIDE` steps down times
`SIDE` steps across.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .pattern import PERIOD, WAVES, spectrum

SIDE = 16  # shifts along one axis: 256 shifts say 8 bits
LARGEST = SIDE**4 - 1
SHORTEST_KEY = 16  # bytes


@dataclass(frozen=True)
class Owner:
    """A private key of at least 16 bytes, and a number of 16 bits (0 to 65,535) to write.

    Raises ValueError for a shorter key and for other numbers.
    """

    key: bytes = field(repr=False)
    payload: int = 0

    def __post_init__(self) -> None:
        check_key(self.key)
        if not 0 <= self.payload <= LARGEST:
            raise ValueError(f"payload must be between 0 and {LARGEST}; got {self.payload}")


def check_key(key: bytes) -> None:
    """Raise ValueError for a key that can be guessed by trying."""
    if len(key) < SHORTEST_KEY:
        raise ValueError(
            f"a private key needs at least {SHORTEST_KEY} bytes; got {len(key)}: "
            "secrets.token_bytes(32) makes one"
        )


def symbol_spectra(key: bytes) -> tuple[Tensor, Tensor]:
    """The two patterns of a private key before they are shifted."""
    name = b"kinetoscope owner\0"
    return spectrum(name + b"\0" + key), spectrum(name + b"\1" + key)


def shift_places() -> Tensor:
    """The `SIDE` shifts along one axis, in roots."""
    return torch.arange(SIDE) * (PERIOD / SIDE)


def owner_spectrum(owner: Owner) -> Tensor:
    """Both patterns, each shifted by its eight bits, complex64 [K, K]."""
    symbols = divmod(owner.payload, SIDE**2)
    spectra = symbol_spectra(owner.key)
    return torch.stack(
        [_shifted(one, symbol) for one, symbol in zip(spectra, symbols, strict=True)]
    ).sum(0)


def _shifted(spectrum_KK: Tensor, symbol: int) -> Tensor:
    rows, columns = divmod(symbol, SIDE)
    places = shift_places()
    turns = WAVES[:, None] * places[rows] + WAVES[None] * places[columns]
    return spectrum_KK * torch.polar(torch.ones_like(turns), -2 * math.pi * turns)
