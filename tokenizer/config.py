"""The sizes of a tokenizer."""

from dataclasses import dataclass, field
from typing import Any

from .blocks import PixelRefiner, StackConfig
from .quantizer import QuantizerConfig


@dataclass(frozen=True)
class TokenizerConfig:
    """Sizes of a tokenizer. `refine_channels=0` leaves the pixel refiner out."""

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

    def __post_init__(self) -> None:
        for name in ("patch", "frames_per_latent"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.refine_channels < 0:
            raise ValueError(f"refine_channels must be 0 (off) or more; got {self.refine_channels}")

    @property
    def cell(self) -> tuple[int, int]:
        """What one code covers: frames, and pixels along a side."""
        return self.frames_per_latent, self.patch

    @property
    def halos(self) -> tuple[int, int]:
        """How many cells away a cell's code depends on pixels, and a cell's pixels on codes."""
        refiner = -(-PixelRefiner.radius // self.patch) if self.refine_channels else 0
        return self.encoder.radius, self.decoder.radius + refiner

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TokenizerConfig":
        """The inverse of `dataclasses.asdict`. ValueError on a key that no tokenizer has."""
        nested: dict[str, Any] = {
            "encoder": StackConfig,
            "decoder": StackConfig,
            "quantizer": QuantizerConfig,
        }
        try:
            return cls(
                **{
                    name: nested[name](**value) if name in nested else value
                    for name, value in values.items()
                }
            )
        except TypeError as error:
            raise ValueError(f"not a tokenizer config: {error}") from error
