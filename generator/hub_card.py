"""What the card of a generator on the Hugging Face hub says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..files.hub.card import CardFacts
from .conditions import EVERY_MODEL

if TYPE_CHECKING:
    from .pipeline import VideoGenerator

EXAMPLE = "\n".join(
    [
        "from kinetoscope.generator import VideoGenerator",
        "",
        'generator = VideoGenerator.from_pretrained("{id}")',
        'video = generator.generate("a red ball rolls to the right", frames=33)',
    ]
)


def facts(generator: VideoGenerator) -> CardFacts:
    height, width = generator.size
    config = generator.decoder.config
    parts = {
        "decoder": generator.decoder,
        "tokenizer": generator.tokenizer,
        "text encoder": generator.text,
    }
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    rows = [
        ("picture", f"{height} x {width} pixels"),
        ("frames of a latent frame", str(config.frames_per_latent)),
        ("codes of a latent frame", str(config.cells * config.codebooks)),
        ("takes", ", ".join([*EVERY_MODEL, *dict(config.conditions)])),
        *((f"parameters of the {name}", f"{count / 1e6:.1f} M") for name, count in counts.items()),
    ]
    return CardFacts("generator", "text-to-video", rows, EXAMPLE)
