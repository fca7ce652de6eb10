"""What the HTTP side knows of the model, from its config alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...files.model_folder import find_folder, load_config, read_config
from ...generator.conditions import Canvas
from ...generator.model.config import DecoderConfig
from ..fields import Field, condition_fields
from ..heard import folder_sound_fps

WATCHABLE = 256  # pixels of the shorter side that videos have unless a size is asked for
LARGEST = 1024


@dataclass(frozen=True)
class ServedModel:
    """The model that a server draws with.

    Args:
        name: by which requests may ask for it.
        height, width: of its pictures in pixels.
        frames_per_latent: k.
        longest_window: frames that it can look back at most.
        fields: of its conditions.
        sound_fps: frames per second that it draws sound for; None if it draws none.
    """

    name: str
    height: int
    width: int
    frames_per_latent: int
    longest_window: int
    fields: tuple[Field, ...]
    sound_fps: float | None = None

    @classmethod
    def read(cls, model: str) -> ServedModel:
        """Of a shipped model, a folder or a hub id.

        Raises:
            ValueError: there is no such model.
        """
        folder = find_folder(model, "generator")
        config = load_config(folder, DecoderConfig.from_dict)
        patch = int(read_config(folder / "tokenizer")["patch"])
        return cls(
            Path(model).name,
            config.grid[0] * config.block * patch,
            config.grid[1] * config.block * patch,
            config.frames_per_latent,
            (config.max_distance - config.sinks + 1) * config.frames_per_latent,
            tuple(condition_fields(config)),
            folder_sound_fps(folder),
        )

    def canvas(self, fps: float, frames: int) -> Canvas:
        return Canvas(self.height, self.width, fps, frames, self.frames_per_latent)

    @property
    def usual_scale(self) -> int:
        """Pixels of the video per pixel of the model, if no size is asked for."""
        return max(1, WATCHABLE // min(self.height, self.width))

    def sizes(self) -> list[str]:
        """What may be asked for, as "256x256" (width first): the model's size and multiples."""
        most = max(1, LARGEST // max(self.height, self.width))
        return [f"{self.width * scale}x{self.height * scale}" for scale in range(1, most + 1)]
