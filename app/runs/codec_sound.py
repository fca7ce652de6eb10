"""The sound of `kinetoscope encode`, `decode` and `reconstruct`: which tokenizer takes it, and one
line where it has to be left out."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ...data.video.formats import holds_sound
from ...data.video.frame_source import FrameSource
from ...data.video.sound import has_track
from ...data.video.sound.coded import fits, frame_rate, rebuilt_sound
from ...files.model_folder import find_part, shipped_models
from ...tokenizer.codes import CodesFile
from ...tokenizer.sound import SoundTokenizer
from ...tokenizer.sound.spectra import mel_distance

COMPARED = 10  # seconds of sound that are compared at once


def say(note: str) -> None:
    """Print a note, if there is one, where it does not meet results."""
    if note:
        print(note, file=sys.stderr)


def sound_tokenizer(model: str) -> SoundTokenizer | None:
    """The tokenizer of sound that lies in the folder of a model, if there is one."""
    folder = find_part(model, "sound")
    return None if folder is None else SoundTokenizer.from_pretrained(folder)


class _Notes:
    """Says each thing once, however many files it holds for."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def say(self, key: str, note: str) -> None:
        if key not in self._said:
            self._said.add(key)
            say(note)


class SourceSound:
    """The tokenizer of sound for videos that are read.

    Args:
        model: the name of the tokenizer of the pictures, whose folder may have one of sound.
        is_silent: leave all sound out.
    """

    def __init__(self, model: str, is_silent: bool) -> None:
        self.model = model
        self.tokenizer = None if is_silent else sound_tokenizer(model)
        self._notes = _Notes()

    @property
    def id(self) -> str | None:
        """What results depend on."""
        return None if self.tokenizer is None else self.tokenizer.id

    def of(self, source: FrameSource, out: Path | None = None) -> SoundTokenizer | None:
        """The tokenizer for the sound of a source, if it has some that fits, and `out` has place
        for it."""
        fps = source.timing.fps  # which says in its own words what is no video
        if self.tokenizer is None or not has_track(source.path):
            return None
        if not fits(self.tokenizer, fps):
            wanted = f"{frame_rate(self.tokenizer):g}"
            self._notes.say(
                "rate",
                f"'{source.path}' is read at {fps:.5g} frames a second, and '{self.model}' keeps "
                f"sound at {wanted}: its sound is left out; --fps {wanted} keeps it",
            )
            return None
        if out is not None and not holds_sound(out):
            say_no_place(self._notes, out)
            return None
        return self.tokenizer


class CodesSound:
    """The tokenizer of sound for files of codes that are read.

    Args:
        is_silent: leave all sound out.
    """

    def __init__(self, is_silent: bool) -> None:
        self.is_silent = is_silent
        self._load = functools.cache(sound_tokenizer)
        self._notes = _Notes()

    def find(self, file: CodesFile, model: str | None) -> SoundTokenizer | None:
        """The one that wrote the sound that a file holds: that of the model whose pictures they
        are, or a shipped one; None if it is not there, or nothing is wanted of it."""
        if self.is_silent or not file.sound_shape:
            return None
        names = [model] if model is not None else []
        for name in [*names, *shipped_models()]:
            tokenizer = self._load(name)
            if tokenizer is not None and tokenizer.id == file.sound["tokenizer"]:
                return tokenizer
        return None

    def of(self, file: CodesFile, model: str, out: Path) -> SoundTokenizer | None:
        """The same; it says why a video will be silent though its codes are not."""
        if self.is_silent or not file.sound_shape:
            return None
        found = self.find(file, model)
        writer = file.sound["tokenizer"] or "unknown"
        if found is None:
            self._notes.say(
                writer,
                f"the sound of '{file.path}' was written by sound tokenizer {writer}, which "
                f"'{model}' does not have: it is left out; give --tokenizer the folder of a model "
                "that has it",
            )
        elif not holds_sound(out):
            say_no_place(self._notes, out)
            return None
        return found


def say_no_place(notes: _Notes, out: Path) -> None:
    notes.say(
        "place",
        f"{out} has no place for sound, which is left out; a name that ends in .mp4 keeps it",
    )


class RebuiltSound:
    """The sound of a source after a tokenizer of it, and how near it is."""

    def __init__(self, tokenizer: SoundTokenizer, path: Path) -> None:
        self.tokenizer = tokenizer
        self._path = path
        self._given: list[Tensor] = []
        self._rebuilt: list[Tensor] = []
        self._waiting = 0  # samples that are not compared yet
        self._samples = 0  # that were compared
        self._sum = 0.0

    def chunks(self) -> Iterator[Tensor]:
        """Samples [L] of the reconstruction, as they come, without end."""
        for given_L, rebuilt_L in rebuilt_sound(self.tokenizer, self._path):
            self._given.append(given_L)
            yield rebuilt_L

    def compare(self, samples_L: Tensor) -> None:
        """Compare the next samples that were taken from the chunks with the original."""
        self._rebuilt.append(samples_L)
        self._waiting += len(samples_L)
        if self._waiting >= COMPARED * self.tokenizer.config.rate:
            self._compare()

    def measures(self) -> str:
        """How near it is, and what it takes."""
        self._compare()
        config = self.tokenizer.config
        bits = config.codes_per_latent * math.log2(self.tokenizer.codebook_size)
        pace = bits * config.rate / config.latent_samples
        distance = self._sum / max(1, self._samples)
        return f"sound: mel distance {distance:.2f} dB   {pace:.0f} bits per second"

    def _compare(self) -> None:
        if not self._waiting:
            return
        given_L = torch.cat(self._given)
        rebuilt_L = torch.cat(self._rebuilt)
        length = len(rebuilt_L)
        rate = self.tokenizer.config.rate
        distance = mel_distance(rebuilt_L[None], given_L[None, :length], rate)
        self._sum += float(distance) * length
        self._samples += length
        self._given = [given_L[length:]]
        self._rebuilt = []
        self._waiting = 0
