"""What a video becomes: a grid of codes that remembers the size of the video it came from.

Legend: B batch, T H W latent grid, F Y X frames and pixels, k frames per latent.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

FORMAT = "kinetoscope-codes-1"


def frame_count(latents: int, frames_per_latent: int) -> int:
    """Frames that `latents` latent frames decode to: the first is one image, each later one is k frames."""
    if latents < 1:
        raise ValueError(f"latents must be at least 1; got {latents}")
    return 1 + frames_per_latent * (latents - 1)


def latent_count(frames: int, frames_per_latent: int) -> int:
    """Latent frames needed to hold `frames` frames (the last one may be partly padding)."""
    if frames < 1:
        raise ValueError(f"frames must be at least 1; got {frames}")
    return 1 + -(-(frames - 1) // frames_per_latent)


@dataclass(frozen=True)
class VideoCodes:
    """Codes of a batch of videos of one size.

    indices: int64 `[B, T, H, W]`; num_frames, height, width: size of the video before padding; fps: frames per second,
    0 if unknown; tokenizer: the id of the tokenizer that wrote the codes and the only one that can read them.
    """

    indices: Tensor
    num_frames: int
    height: int
    width: int
    fps: float = 0.0
    tokenizer: str = ""

    def __post_init__(self) -> None:
        if self.indices.dim() != 4:
            raise ValueError(f"indices must be [B, T, H, W]; got shape {list(self.indices.shape)}")
        if self.indices.dtype != torch.int64:
            raise ValueError(f"indices must be int64; got {self.indices.dtype}; call .long() on them")
        for name in ("num_frames", "height", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}")
        if self.fps < 0:
            raise ValueError(f"fps must be 0 (unknown) or more; got {self.fps}")

    def to(self, device: torch.device | str) -> "VideoCodes":
        indices = self.indices.to(device)
        return VideoCodes(indices, self.num_frames, self.height, self.width, self.fps, self.tokenizer)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file: indices as int32, the rest as metadata. Written beside its place, then renamed."""
        path = Path(path)
        if not path.parent.is_dir():
            raise ValueError(f"folder {path.parent} does not exist; create it first")
        metadata = {
            "format": FORMAT,
            "num_frames": str(self.num_frames),
            "height": str(self.height),
            "width": str(self.width),
            "fps": repr(float(self.fps)),
            "tokenizer": self.tokenizer,
        }
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as beside:
            partial = Path(beside) / path.name
            save_file({"indices": self.indices.to("cpu", torch.int32).contiguous()}, partial, metadata)
            partial.replace(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "VideoCodes":
        """Read what `save` wrote. ValueError if the file is anything else."""
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise ValueError(f"{path} holds no codes of this format ({FORMAT}); encode the video again")
                indices = file.get_tensor("indices").long()
        except FileNotFoundError as error:
            raise ValueError(f"{path} does not exist") from error
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
        return cls(
            indices=indices,
            num_frames=int(metadata["num_frames"]),
            height=int(metadata["height"]),
            width=int(metadata["width"]),
            fps=float(metadata["fps"]),
            tokenizer=metadata["tokenizer"],
        )
