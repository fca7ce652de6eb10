"""Video to discrete codes and back: `VideoTokenizer.from_pretrained(name).encode(video)`."""

from ..files import moved
from .blocks import StackConfig
from .codes import VideoCodes, frame_count, latent_count
from .config import TokenizerConfig
from .model import VideoTokenizer
from .quantizer import QuantizerConfig

__all__ = [
    "QuantizerConfig",
    "StackConfig",
    "TokenizerConfig",
    "VideoCodes",
    "VideoTokenizer",
    "frame_count",
    "latent_count",
]

moved.install()
