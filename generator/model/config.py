"""Sizes of the decoder."""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ...files.config_fields import read_fields, shown, whole
from ..conditions import CONDITIONS, EVERY_MODEL
from .sound_config import SoundConfig

TOKENIZERS = ("tokenizer", "sound_tokenizer")  # ids beside the fields in a model's config.json


def check_shares(**shares: float) -> None:
    """Raises ValueError unless all are from 0 to 1."""
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is a share, from 0 to 1; got {share}")


@dataclass(frozen=True)
class DecoderConfig:
    """Sizes of a `Decoder`.

    Args:
        vocab_size: number of codes, of all codebooks together.
        text_dim: width of the text encoder's states.
        levels: sizes of the FSQ dimensions, fastest first; () when codes have no inner structure.
        grid: rows and columns of a latent frame, in cells of the decoder.
        dim, layers, heads, kv_heads: width, depth, query heads, key/value heads.
        max_text: longest caption in text tokens.
        sinks: first latent frames that stay visible for ever.
        window: latent frames that a token sees, its own included.
        max_distance: largest distance in latent frames between two tokens in training (clip length
            - 1).
        frames_per_latent: pixel frames of every latent frame but the first.
        conditions: further conditions that the decoder takes beside text, by their names in
            `generator.conditions`, each with a size that its class explains; in YAML a mapping.
        rope_base: ratio between the fastest and the slowest rotation.
        codebooks: codes of a cell, drawn one after another (depth.py).
        block: rows and columns of the tokenizer's cells that a cell stands for (codebooks.py).
        depth_layers: depth of the network that draws them, if there are several.
        wavefront: 0 draws the codes of a frame one after another; with l of at least 1 rows are
            drawn at once, each l cells after the one above, which is faster and less exact
            (order.py).
        sound: codes of the sound of a latent frame, drawn after its picture (sound.py).

    Raises:
        ValueError: sizes that do not fit each other.
    """

    LIMITS: ClassVar = {
        "vocab_size": (1, 1 << 24),
        "text_dim": (1, 1 << 16),
        "levels": (2, 4096),
        "grid": (1, 1024),
        "dim": (1, 1 << 16),
        "layers": (1, 256),
        "heads": (1, 1024),
        "kv_heads": (1, 1024),
        "max_text": (1, 1 << 16),
        "sinks": (0, 1024),
        "window": (1, 4096),
        "max_distance": (0, 1 << 20),
        "frames_per_latent": (1, 64),
        "rope_base": (1, 1e9),
        "conditions": (1, 1 << 20),
        "codebooks": (1, 64),
        "block": (1, 64),
        "depth_layers": (0, 64),
        "wavefront": (0, 1024),
    }

    vocab_size: int
    text_dim: int
    levels: tuple[int, ...] = ()
    grid: tuple[int, int] = (8, 8)
    dim: int = 256
    layers: int = 8
    heads: int = 4
    kv_heads: int = 2
    max_text: int = 48
    sinks: int = 1
    window: int = 5
    max_distance: int = 8
    frames_per_latent: int = 4
    conditions: tuple[tuple[str, int], ...] = ()
    rope_base: float = 100.0
    codebooks: int = 1
    block: int = 1
    depth_layers: int = 2
    wavefront: int = 0
    sound: SoundConfig = field(default_factory=SoundConfig)

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(self.levels))  # JSON and YAML give lists
        object.__setattr__(self, "grid", tuple(self.grid))
        pairs = self.conditions.items() if isinstance(self.conditions, dict) else self.conditions
        object.__setattr__(self, "conditions", tuple((name, size) for name, size in pairs))
        for name in (
            "vocab_size",
            "text_dim",
            "dim",
            "layers",
            "heads",
            "kv_heads",
            "max_text",
            "frames_per_latent",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        if len(self.grid) != 2 or min(self.grid) < 1:
            raise ValueError(
                f"grid must be two numbers, rows and columns, of at least 1; got {self.grid}"
            )
        if min(self.sinks, self.wavefront, self.depth_layers) < 0:
            raise ValueError("sinks, wavefront and depth_layers must not be negative")
        self._check_conditions()
        if self.block < 1 or self.codebooks % self.block**2:
            raise ValueError(
                f"codebooks={self.codebooks} must be a multiple of block * block, the cells that a "
                f"cell stands for; got block={self.block}"
            )
        if self.codebooks < 1 or self.vocab_size % self.codebooks:
            raise ValueError(
                f"codebooks must be at least 1 and divide vocab_size={self.vocab_size}; got "
                f"{self.codebooks}"
            )
        if self.levels and math.prod(self.levels) != self.vocab_size:
            codes = math.prod(self.levels)
            raise ValueError(
                f"levels {shown(self.levels)} make {codes} codes, not vocab_size={self.vocab_size}"
            )
        if self.dim % self.heads or self.head_size % 2:
            raise ValueError(f"dim={self.dim} must be an even multiple of heads={self.heads}")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads={self.heads} must be a multiple of kv_heads={self.kv_heads}")
        self.check_window(self.window)

    def _check_conditions(self) -> None:
        names = [name for name, _ in self.conditions]
        for name, size in self.conditions:
            condition = CONDITIONS.get(name)
            if condition is None or condition.port == "past" or name in EVERY_MODEL:
                ports = [c.name for c in CONDITIONS.values() if c.port != "past"]
                known = ", ".join(other for other in ports if other not in EVERY_MODEL)
                raise ValueError(f"conditions may be {known}; got {shown(name)}")
            if size < 1:
                raise ValueError(f"the size of {name} must be at least 1; got {size}")
        if len(set(names)) < len(names):
            raise ValueError(f"conditions must have different names; got {', '.join(names)}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "DecoderConfig":
        """From JSON, with or without the ids of the tokenizers. ValueError, naming the field, if
        one is unknown, missing or out of range."""
        values = {key: value for key, value in values.items() if key not in TOKENIZERS}
        former = {"actions": "num_actions", "regions": "grid_vocab"}
        sizes = {name: whole(values.get(key, 0), key, (0, 1 << 20)) for name, key in former.items()}
        rest = {key: value for key, value in values.items() if key not in former.values()}
        if any(sizes.values()):
            rest["conditions"] = {name: size for name, size in sizes.items() if size}
        return read_fields(cls, rest)

    def to_dict(self) -> dict[str, Any]:
        """As JSON. It is the same as ever for models without further conditions and without sound,
        so that their ids stay."""
        values = dataclasses.asdict(self)
        conditions = values.pop("conditions")
        values |= {"num_actions": 0, "grid_vocab": 0}
        sounds = self.sound.codes > 0
        if not sounds:
            del values["sound"]
        if self.codebooks == 1:
            del values["block"]
            if not sounds or self.sound.codes_per_token == 1:
                del values["depth_layers"]
        return values | ({"conditions": dict(conditions)} if conditions else {})

    @property
    def head_size(self) -> int:
        return self.dim // self.heads

    @property
    def hidden(self) -> int:
        """Width of the SwiGLU: 8/3 of dim, rounded to 32."""
        return max(32, round(8 * self.dim / 3 / 32) * 32)

    @property
    def cells(self) -> int:
        """G, of one latent frame."""
        return self.grid[0] * self.grid[1]

    @property
    def codebook_size(self) -> int:
        """K, codes of one codebook."""
        return self.vocab_size // self.codebooks

    @property
    def frame_tokens(self) -> int:
        """L, tokens of one latent frame: its cells and their start, or in a wavefront one start
        for each row; and those of its sound with a start of their own."""
        sound = self.sound.tokens + 1 if self.sound.codes else 0
        return self.cells + (self.grid[0] if self.wavefront else 1) + sound

    def anchor_shift(self, frame: int) -> int:
        """Frames by which prefix and sinks move up for a frame, so that they stay within
        `max_distance` of it."""
        return max(0, frame - self.max_distance)

    def check_window(self, window: int) -> None:
        """Raises ValueError unless sinks and window fit into the distances that training saw."""
        longest = self.max_distance - self.sinks + 1
        if not 1 <= window <= longest:
            raise ValueError(
                f"window must be 1 to {longest} latent frames (max_distance - sinks + 1); got "
                f"{window}"
            )


@dataclass(frozen=True)
class DecoderSize:
    """The part of `DecoderConfig` that tokenizer and text encoder do not decide."""

    dim: int = 256
    layers: int = 8
    heads: int = 4
    kv_heads: int = 2
    sinks: int = 1
    window: int = 5
    max_distance: int = 8
    max_text: int = 48
