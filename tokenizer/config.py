"""The sizes of a tokenizer."""

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from ..files.config_fields import read_fields
from .blocks import StackConfig, refiner_radius
from .quantizer import QuantizerConfig


@dataclass(frozen=True)
class TokenizerConfig:
    """Sizes of a tokenizer; see `StackConfig` for the blocks.

    `refine_channels=0` leaves the pixel refiner out. With a `refine_stride` of 1 it looks at pixels
    of three frames; with 2, 4, … within frames at that fraction of their size, which is faster.
    `codes_of` is the id of the tokenizer whose codes this one shares, such as the same encoder's
    with a decoder for another size; empty if the codes are its own.
    """

    LIMITS: ClassVar = {
        "patch": (1, 64),
        "frames_per_latent": (1, 64),
        "whitening_floor": (0, 10),
        "refine_channels": (0, 1024),
        "refine_stride": (1, 64),
    }

    patch: int = 8
    frames_per_latent: int = 4
    whitening_floor: float = 0.02
    encoder: StackConfig = field(
        default_factory=lambda: StackConfig(
            width=192, depth=4, expand=3, kernel=3, spatial=(1,), temporal=(1, 2)
        )
    )
    decoder: StackConfig = field(default_factory=StackConfig)
    refine_channels: int = 8
    quantizer: QuantizerConfig = field(default_factory=QuantizerConfig)
    refine_stride: int = 1
    codes_of: str = ""

    def __post_init__(self) -> None:
        for name in ("patch", "frames_per_latent"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.refine_stride < 1 or self.patch % self.refine_stride:
            raise ValueError(
                f"refine_stride must divide the patch, {self.patch}; got {self.refine_stride}"
            )
        if self.refine_channels < 0:
            raise ValueError(f"refine_channels must be 0 (off) or more; got {self.refine_channels}")

    @property
    def cell(self) -> tuple[int, int]:
        """What one code covers: frames, and pixels along a side."""
        return self.frames_per_latent, self.patch

    @property
    def halos(self) -> tuple[int, int]:
        """How many cells away a cell's code can see, and how many cells away its pixels can."""
        pixels = refiner_radius(self.refine_channels, self.refine_stride)
        return self.encoder.radius, self.decoder.radius + -(-pixels // self.patch)

    def marks(self) -> dict[str, Any]:
        """What the id of a tokenizer covers: settings that came later count once they are used."""
        values = asdict(self)
        for name, unused in (("refine_stride", 1), ("codes_of", "")):
            if values[name] == unused:
                del values[name]
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TokenizerConfig":
        """The inverse of `dataclasses.asdict`. ValueError, naming the field, on what no tokenizer
        has."""
        return read_fields(cls, values)
