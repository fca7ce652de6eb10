"""The sizes of a sound tokenizer."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from ...files.config_fields import read_fields
from ..quantizer import QuantizerConfig


@dataclass(frozen=True)
class SoundTokenizerConfig:
    """Sizes of a sound tokenizer.

    rate: samples per second. frame_samples: samples of one video frame; frames_per_latent: frames
        of every latent but the first, which is one frame. codes_per_latent: time steps of a latent
        that have a code (or one of each codebook).
    hop: samples from one fine step to the next; window: of the waveform that each adds.
    windows, bands: samples of the past whose spectrum a fine step sees, and bands of each.
    width, wide: channels of the fine and of the coarse steps. encoder, decoder: dilations of the
        blocks, of the fine and of the coarse steps each. taps: steps that a block looks at.
    tones, noises: fixed sines and bands of noise that the decoder mixes.
    """

    LIMITS: ClassVar = {
        "rate": (1, 1 << 20),
        "frame_samples": (1, 1 << 20),
        "frames_per_latent": (1, 64),
        "codes_per_latent": (1, 4096),
        "window": (1, 1 << 16),
        "hop": (1, 1 << 16),
        "width": (1, 1 << 14),
        "wide": (1, 1 << 14),
        "encoder": (1, 1 << 12),
        "decoder": (1, 1 << 12),
        "taps": (1, 63),
        "expand": (1, 64),
    }

    rate: int = 24_000
    frame_samples: int = 2_000
    frames_per_latent: int = 4
    codes_per_latent: int = 16
    hop: int = 125
    window: int = 500
    windows: tuple[int, ...] = (500, 2000)
    bands: tuple[int, ...] = (48, 96)
    width: int = 96
    wide: int = 152
    encoder: tuple[tuple[int, ...], tuple[int, ...]] = ((1, 2, 4), (1, 2))
    decoder: tuple[tuple[int, ...], tuple[int, ...]] = ((1, 2, 4, 8), (1, 2, 4))
    taps: int = 5
    tones: int = 160
    noises: int = 24
    expand: int = 2
    quantizer: QuantizerConfig = field(
        default_factory=lambda: QuantizerConfig("FSQ", {"levels": [8, 8, 8, 5, 5]})
    )

    def __post_init__(self) -> None:
        for name in ("encoder", "decoder"):  # JSON and YAML give lists
            fine, coarse = getattr(self, name)
            object.__setattr__(self, name, (tuple(fine), tuple(coarse)))
        object.__setattr__(self, "windows", tuple(self.windows))
        object.__setattr__(self, "bands", tuple(self.bands))
        if len(self.windows) != len(self.bands) or min(self.windows, default=0) < self.hop:
            raise ValueError(
                f"windows and bands need as many numbers, and windows at least a hop, {self.hop}; "
                f"got {self.windows} and {self.bands}"
            )
        for name in ("rate", "frame_samples", "frames_per_latent", "codes_per_latent", "hop"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.window < self.hop or self.window % self.hop:
            raise ValueError(
                f"window must be a multiple of hop, {self.hop}, and at least that; got "
                f"{self.window}"
            )
        if self.latent_samples % (self.codes_per_latent * self.hop):
            raise ValueError(
                f"a latent has {self.latent_samples} samples, which must be a multiple of "
                f"codes_per_latent x hop, {self.codes_per_latent} x {self.hop}"
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
    def steps_per_code(self) -> int:
        """Fine steps of a coarse one."""
        return self.latent_samples // self.codes_per_latent // self.hop

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "SoundTokenizerConfig":
        """The inverse of `dataclasses.asdict`. ValueError, naming the field, on what no sound
        tokenizer has."""
        return read_fields(cls, values)
