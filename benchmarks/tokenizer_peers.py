"""Video tokenizers with one interface, for `tokenizer.py`: ours, and peers that can be installed.

The peers have random weights: speed does not depend on them, and quality is not compared.

Legend: F Y X frames and pixels; clips are float `[1, 3, F, Y, X]` in [-1, 1].
"""

import importlib.util
import math
import sys
import types
from collections.abc import Callable
from typing import Any, Protocol

import torch
from kinetoscope.tokenizer import VideoCodes, VideoTokenizer
from torch import Tensor

FULL = "float32"
AUTOCAST = "bfloat16"
WEIGHTS = "bfloat16 weights"
MAGVIT2_LAYERS = (  # the example in its README: 8x8 pixels and 4 frames a code, as in the other two
    "residual",
    "compress_space",
    ("consecutive_residual", 2),
    "compress_space",
    ("consecutive_residual", 2),
    "linear_attend_space",
    "compress_space",
    ("consecutive_residual", 2),
    "attend_space",
    "compress_time",
    ("consecutive_residual", 2),
    "compress_time",
    ("consecutive_residual", 2),
    "attend_time",
)
INSTALL = (
    "pip install --no-deps --target PEERS magvit2-pytorch beartype gateloop-transformer "
    "rotary-embedding-torch "
    "taylor-series-linear-attention jaxtyping wadler-lindig, and run with PYTHONPATH=PEERS"
)


class Codec(Protocol):
    """A tokenizer to measure.

    It has the `bits` of one code, the `modes` it can run in, the `frames` that it takes of a clip,
    `steps` (encode and decode, without what cannot be compiled), and the `count` of its codes.
    """

    name: str
    model: Any
    bits: float
    modes: tuple[str, ...]

    def frames(self, given: int) -> int: ...

    def encode(self, clip: Tensor) -> Any: ...

    def decode(self, codes: Any) -> Tensor: ...

    def steps(self) -> tuple[Callable[[Tensor], Any], Callable[[Any], Tensor]]: ...

    def count(self, codes: Any) -> int: ...


class Ours:
    """A tokenizer of this package, whole clips at once."""

    modes: tuple[str, ...] = (AUTOCAST, FULL)

    def __init__(self, model: str) -> None:
        self.name = f"kinetoscope {model}"
        self.model = VideoTokenizer.from_pretrained(model).requires_grad_(False)
        self.bits = math.log2(self.model.codebook_size)

    def frames(self, given: int) -> int:
        return given

    def encode(self, clip: Tensor) -> Any:
        return self.model.encode(clip)

    def decode(self, codes: Any) -> Tensor:
        return self.model.decode(codes)

    def steps(self) -> tuple[Callable[[Tensor], Any], Callable[[Any], Tensor]]:
        return lambda clip: self.model.encode_step(clip, {})[
            0
        ], lambda codes: self.model.decode_step(codes, {})[0]

    def count(self, codes: VideoCodes) -> int:
        return codes.indices.numel()


class OursStreamed(Ours):
    """The same as from a camera: one latent frame in, one out."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.name += ", streamed"

    def encode(self, clip: Tensor) -> Any:
        chunks = [clip[:, :, :1], *clip[:, :, 1:].split(self.model.config.frames_per_latent, dim=2)]
        return list(self.model.stream_encode(chunks))

    def decode(self, codes: Any) -> Tensor:
        return torch.cat(list(self.model.stream_decode(codes)), dim=2)

    def count(self, codes: Any) -> int:
        return sum(chunk.numel() for chunk in codes)


class Emu3:
    """`Emu3VQVAE` of transformers in its default size; it takes 16 frames, four per latent."""

    name = "transformers Emu3VQVAE"
    modes = (WEIGHTS, AUTOCAST, FULL)

    def __init__(self) -> None:
        from transformers import Emu3VQVAE, Emu3VQVAEConfig

        self.model: Any = Emu3VQVAE(Emu3VQVAEConfig()).requires_grad_(False)
        self.bits = math.log2(self.model.config.codebook_size)

    def frames(self, given: int) -> int:
        step = self.model.config.temporal_downsample_factor
        return given // step * step

    def encode(self, clip: Tensor) -> Any:
        return torch.stack(
            self.model.encode(clip.movedim(1, 2), torch.tensor([clip.shape[3:]])).image_tokens
        )

    def decode(self, codes: Any) -> Tensor:
        return self.model.decode(codes).movedim(2, 1)

    def steps(self) -> tuple[Callable[[Tensor], Any], Callable[[Any], Tensor]]:
        return self.encode, self.decode

    def count(self, codes: Tensor) -> int:
        return codes.numel()


class Magvit2:
    """`VideoTokenizer` of magvit2-pytorch in the size of its README, with 4,096 codes."""

    name = "magvit2-pytorch"
    bits = 12.0
    modes = (AUTOCAST, WEIGHTS, FULL)

    def __init__(self) -> None:
        self.model: Any = (
            _magvit2_class()(
                image_size=128,
                init_dim=64,
                max_dim=512,
                codebook_size=4096,
                layers=MAGVIT2_LAYERS,
                use_gan=False,
                perceptual_loss_weight=0.0,
            )
            .requires_grad_(False)
            .eval()
        )

    def frames(self, given: int) -> int:
        return given

    def encode(self, clip: Tensor) -> Any:
        self.model.image_size = clip.shape[-1]  # only compared with the input
        return self.model.tokenize(clip.to(next(iter(self.model.parameters())).dtype))

    def decode(self, codes: Any) -> Tensor:
        return self.model.decode_from_code_indices(codes)

    def steps(self) -> tuple[Callable[[Tensor], Any], Callable[[Any], Tensor]]:
        return self.encode, self.decode

    def count(self, codes: Tensor) -> int:
        return codes.numel()


class _Absent:
    """Stands for what only training would use."""

    DEFAULT = None


def _magvit2_class() -> Any:
    """The class, without imports that only training needs (some have no build for CPU torch)."""
    spec = importlib.util.find_spec("magvit2_pytorch")
    if spec is None:
        raise ImportError(f"magvit2_pytorch is not installed; {INSTALL}")
    stand_ins: dict[str, dict[str, Any]] = {
        "magvit2_pytorch": {"__path__": spec.submodule_search_locations},
        "torchvision": {},
        "torchvision.models": {"VGG16_Weights": _Absent},
        "kornia": {},
        "kornia.filters": {"filter3d": None},
    }
    for name, members in stand_ins.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(members)
    try:
        return importlib.import_module("magvit2_pytorch.magvit2_pytorch").VideoTokenizer
    finally:
        for name in stand_ins:
            del sys.modules[name]


PEERS: dict[str, type[Any]] = {"emu3": Emu3, "magvit2": Magvit2}
