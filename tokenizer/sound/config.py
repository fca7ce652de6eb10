"""The sizes of a sound tokenizer."""

from dataclasses import dataclass
from typing import Any, ClassVar

from ...files.config_fields import read_fields

LARGEST_CODE = 16  # bits


@dataclass(frozen=True)
class SoundTokenizerConfig:
    """Sizes of a sound tokenizer.

    rate: samples per second. frame_samples: samples of one video frame; frames_per_latent: frames
        of every latent but the first, which is one frame.
    hop: samples of a step; window: samples whose spectrum a step sees, and rise: those at its end
        over which its weight falls, by which encoding looks ahead of the step.
    bands: of the spectrum. block: steps that are coded together; past: decoded steps from which
        those of a block are predicted.
    codes_per_latent: codes, the same number of each block; code_bits: bits of a code.
    components: numbers of a block that are rounded, at most 64 levels each.
    exponent: amplitudes are rounded on this power of theirs, so that loud bands are finer.
    """

    LIMITS: ClassVar = {
        "rate": (1, 1 << 20),
        "frame_samples": (1, 1 << 20),
        "frames_per_latent": (1, 64),
        "codes_per_latent": (1, 4096),
        "code_bits": (1, LARGEST_CODE),
        "hop": (1, 1 << 16),
        "window": (1, 1 << 16),
        "rise": (1, 1 << 16),
        "bands": (2, 4096),
        "block": (1, 4096),
        "past": (1, 64),
        "components": (1, 4096),
        "exponent": (0.01, 1),
    }

    rate: int = 24_000
    frame_samples: int = 2_000
    frames_per_latent: int = 4
    codes_per_latent: int = 96
    code_bits: int = 14
    hop: int = 250
    window: int = 1_000
    rise: int = 250
    bands: int = 96
    block: int = 8
    past: int = 2
    components: int = 96
    exponent: float = 0.2

    def __post_init__(self) -> None:
        for name, (low, high) in self.LIMITS.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be from {low} to {high}; got {getattr(self, name)}")
        if self.latent_samples % (self.hop * self.block):
            raise ValueError(
                f"a latent has {self.latent_samples} samples, which must be a multiple of hop x "
                f"block, {self.hop} x {self.block}"
            )
        if self.codes_per_latent % self.blocks:
            raise ValueError(
                f"codes_per_latent must be a multiple of the {self.blocks} blocks of a latent; "
                f"got {self.codes_per_latent}"
            )
        if self.window % 2 or self.window < 2 * self.hop:
            raise ValueError(
                f"window must be even and at least two hops, {2 * self.hop}; got {self.window}"
            )
        if self.rise >= self.window or self.rise > self.lead_in:
            raise ValueError(
                f"rise must be below window={self.window} and at most the {self.lead_in} samples "
                f"that go before the first frame; got {self.rise}"
            )
        if self.past > self.block:
            raise ValueError(f"past must be at most block={self.block}; got {self.past}")
        if self.components > self.block * self.bands:
            raise ValueError(
                f"components must be at most block x bands, {self.block * self.bands}; got "
                f"{self.components}"
            )

    @property
    def latent_samples(self) -> int:
        """Samples of every latent but the first."""
        return self.frame_samples * self.frames_per_latent

    @property
    def lead_in(self) -> int:
        """Zeros that go before the first frame to make it a whole latent."""
        return self.frame_samples * (self.frames_per_latent - 1)

    @property
    def blocks(self) -> int:
        """Blocks of a latent."""
        return self.latent_samples // (self.hop * self.block)

    @property
    def codes_per_block(self) -> int:
        return self.codes_per_latent // self.blocks

    @property
    def codebook_size(self) -> int:
        return 1 << self.code_bits

    @property
    def levels(self) -> tuple[int, ...]:
        """Inner structure of a code, fastest first: its bits."""
        return (2,) * self.code_bits

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SoundTokenizerConfig":
        """The inverse of `dataclasses.asdict`. ValueError, naming the field, on what no sound
        tokenizer has."""
        return read_fields(cls, values)
