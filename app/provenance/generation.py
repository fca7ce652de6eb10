"""What there is to say about a video that a model drew: the record behind credentials and tags."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from ...files.walk import files_below
from ...generator.conditions import CONDITIONS

MADE_BY = "made by a generative model"
SHARED = "made by a generative model, with pictures that were given to it"
PIECE = 1 << 20  # bytes that are hashed at once


@dataclass(frozen=True)
class Ingredient:
    """A picture, clip, sound or other file that was given to a model.

    Args:
        path: the file, or a folder of numbered pictures.
        role: the name of the condition that it was given as, such as "init".
        is_shown: its own pixels, or what a tokenizer makes of them, are part of the video.
    """

    path: Path
    role: str
    is_shown: bool = False

    def sha256(self) -> str:
        """Of the content; of a folder, of its files in the order of their names."""
        digest = hashlib.sha256()
        files = sorted(files_below(self.path)) if self.path.is_dir() else [self.path]
        for name in files:
            with open(name, "rb") as file:
                while piece := file.read(PIECE):
                    digest.update(piece)
        return digest.hexdigest()


@dataclass(frozen=True)
class Shot:
    """One part of a video that was drawn, or laid in, by itself.

    Args:
        start, end: in seconds of the video.
        description: what was done, in a few words; no sentence of the user.
        prompt: the sentence that was drawn.
        seed: of the drawing.
        is_drawn: a model drew it; otherwise its pixels were given.
        ingredient: number of the video's ingredient that its pixels come from; that one must be
            `is_shown`.
    """

    start: float
    end: float
    description: str = "drawn by the model"
    prompt: str | None = None
    seed: int | None = None
    is_drawn: bool = True
    ingredient: int | None = None


@dataclass(frozen=True)
class Generation:
    """How a video came about.

    Args:
        model: its public name, which tells nothing about a machine (see `public_name`).
        fingerprint: short hash of the model's config and weights, `VideoGenerator.id`.
        prompt: the sentence.
        seed: of the drawing.
        settings: what else decided about the pixels, by name.
        ingredients: what was given to the model.
        shots: the parts of the video in their order; none if it was drawn in one go.
        shows_given_pixels: parts of the video were given and not drawn; true as well if an
            ingredient or a shot says so.
    """

    model: str
    fingerprint: str | None = None
    prompt: str | None = None
    seed: int | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    ingredients: Sequence[Ingredient] = ()
    shots: Sequence[Shot] = ()
    shows_given_pixels: bool = False

    @property
    def is_composite(self) -> bool:
        """Are there pixels in it that no model drew?"""
        given = any(each.is_shown for each in self.ingredients)
        laid_in = any(not shot.is_drawn for shot in self.shots)
        return self.shows_given_pixels or given or laid_in

    def tags(self, with_prompt: bool = True) -> dict[str, object]:
        """What the container's own metadata say, for readers that know nothing of credentials."""
        tags: dict[str, object] = {"comment": SHARED if self.is_composite else MADE_BY}
        if with_prompt and self.prompt is not None:
            tags["prompt"] = self.prompt
        if self.seed is not None:
            tags["seed"] = self.seed
        told = self.told_settings(with_prompt)
        return {**tags, "model": self.model, "version": package_version(), **told}

    def told_settings(self, with_prompt: bool) -> dict[str, object]:
        """The settings, without those that are sentences unless these may be told."""
        return {
            name: value
            for name, value in self.settings.items()
            if with_prompt or name not in CONDITIONS or CONDITIONS[name].kind != "sentence"
        }


def public_name(name: str | os.PathLike[str]) -> str:
    """The name of a model to store in files: of a folder only its last part, which tells nothing
    about this machine."""
    path = Path(name)
    return path.resolve().name if path.is_dir() else str(name)


def package_version() -> str:
    return f"kinetoscope {version('kinetoscope')}"
