"""How the studio writes a video: the one place that does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..provenance.generation import Generation, Ingredient, public_name

if TYPE_CHECKING:
    from ...generator.pipeline import VideoGenerator
    from ..provenance.writer import GeneratedVideoWriter, Signing
    from .gallery import Gallery
    from .settings import Settings

WATCHABLE = 256  # small pictures are enlarged to about this many pixels


def saved_video(
    path: Path,
    seed: int,
    settings: Settings,
    gallery: Gallery,
    generator: VideoGenerator,
    signing: Signing,
    sound: bool,
) -> GeneratedVideoWriter:
    """A writer of one video of an order, perhaps with sound, see `GeneratedVideoWriter`."""
    about = generation(seed, settings, gallery, generator)
    scale = settings.scale or enlargement(*generator.size)
    rate = generator.sound_rate if sound else None
    return signing.writer(path, settings.fps, about, scale, sound_rate=rate)


def enlargement(height: int, width: int) -> int:
    """How many times pictures are enlarged, so that they can be watched."""
    return max(1, WATCHABLE // min(height, width))


def generation(
    seed: int, settings: Settings, gallery: Gallery, generator: VideoGenerator
) -> Generation:
    """What a video says of how it came about."""
    from ...generator.conditions import CONDITIONS

    ingredients = [
        Ingredient(gallery.given(value["file"]), name, CONDITIONS[name].port == "past")
        for name, value in settings.conditions.items()
        if isinstance(value, Mapping)
    ]
    if settings.origin is not None and settings.origin.frame:
        ingredients.append(Ingredient(gallery.path(settings.origin.video), "init", True))
    told = {name: text for name, text in settings.conditions.items() if name != "prompt"}
    told |= settings.names()
    if settings.adapter is not None:
        told["adapter"] = public_name(settings.adapter)
    model = public_name(settings.model)
    if generator.sound is not None and not settings.sound:
        told["sound"] = False
    about = {**settings.sampling, **told}
    return Generation(model, generator.id, settings.prompt, seed, about, ingredients)
