"""Sound to discrete codes and back: `SoundTokenizer.from_pretrained("stage-256").encode(wave)`."""

from ..codes import SoundCodes
from .config import SoundTokenizerConfig
from .model import SoundTokenizer

__all__ = ["SoundCodes", "SoundTokenizer", "SoundTokenizerConfig"]
