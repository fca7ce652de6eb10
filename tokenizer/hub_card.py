"""What the card of a tokenizer on the Hugging Face hub says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..files.hub.card import CardFacts

if TYPE_CHECKING:
    from .model import VideoTokenizer

EXAMPLE = "\n".join(
    [
        "from kinetoscope.tokenizer import VideoTokenizer",
        "",
        'tokenizer = VideoTokenizer.from_pretrained("{id}")',
        "codes = tokenizer.encode(video)    # float [B, 3, F, Y, X] in [-1, 1]",
        "video = tokenizer.decode(codes)",
    ]
)


def facts(tokenizer: VideoTokenizer) -> CardFacts:
    config = tokenizer.config
    rows = [
        ("pixels of a code", f"{config.patch} x {config.patch}"),
        ("frames of a code", str(config.frames_per_latent)),
        ("codebook", f"{config.quantizer.name}, {tokenizer.codebook_size} codes"),
        ("parameters", f"{sum(p.numel() for p in tokenizer.parameters()) / 1e6:.1f} M"),
    ]
    return CardFacts("tokenizer", None, rows, EXAMPLE)
