"""From continuous latents to codes, with a quantizer of vector-quantize-pytorch named by class path.

Legend: B batch, T H W latent grid, C trunk width, d size of a code vector.
"""

import importlib
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

LIBRARY = "vector_quantize_pytorch"
SUPPORTED = ("FSQ", "LFQ", "VectorQuantize")


@dataclass(frozen=True)
class QuantizerConfig:
    """`name` is FSQ, LFQ or VectorQuantize; `args` go to the class of that name as they are."""

    name: str = "FSQ"
    args: dict[str, Any] = field(default_factory=lambda: {"levels": [8, 8, 8, 8]})

    def __post_init__(self) -> None:
        name = self.name.removeprefix(f"{LIBRARY}.")
        if name not in SUPPORTED:
            raise ValueError(f"quantizer must be one of {', '.join(SUPPORTED)} of {LIBRARY}; got {self.name!r}")
        object.__setattr__(self, "name", name)

    @property
    def dim(self) -> int:
        """Size of one code vector."""
        if self.name == "FSQ":
            return len(self.args["levels"])
        if self.name == "LFQ":
            return int(math.log2(self.args["codebook_size"]))
        return int(self.args["dim"])


class Quantizer(nn.Module):
    """Norm, projection to a few numbers, and the library's quantizer, all in float32.

    Half precision would merge neighbouring codes: bfloat16 cannot even count to 15,360.
    """

    def __init__(self, config: QuantizerConfig, width: int) -> None:
        super().__init__()
        self.name = config.name
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.project = nn.Linear(width, config.dim)
        self.codebook = getattr(importlib.import_module(LIBRARY), config.name)(**config.args)
        self.levels = tuple(config.args.get("levels", ()))

    @property
    def codebook_size(self) -> int:
        return int(self.codebook.codebook_size)

    def forward(self, x_BTHWC: Tensor, quantize: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """Return code vectors `[B, T, H, W, d]`, indices int64 `[B, T, H, W]` and the quantizer's own loss (a scalar).

        With `quantize=False` the vectors stay continuous (bounded as the quantizer would bound them): the first part of
        training runs so. The indices are those that quantizing would give.
        """
        with torch.autocast(x_BTHWC.device.type, enabled=False):
            z_BTHWd = self.project(self.norm(x_BTHWC.float()))
            # a sequence [B, N, d]: the library takes four or more axes for channels first
            vectors, indices, *losses = self.codebook(z_BTHWd.flatten(1, 3))
            if not quantize:
                smooth = z_BTHWd if self.name == "VectorQuantize" else z_BTHWd.tanh()
                vectors, losses = smooth.flatten(1, 3), []
        loss = losses[0].sum() if losses else z_BTHWd.new_zeros(())
        return vectors.view_as(z_BTHWd), indices.long().view(z_BTHWd.shape[:-1]), loss

    def code_vectors(self, indices_BTHW: Tensor) -> Tensor:
        """Indices `[B, T, H, W]` to code vectors `[B, T, H, W, d]`."""
        sequence = indices_BTHW.flatten(1)
        with torch.autocast(indices_BTHW.device.type, enabled=False):
            if self.name == "VectorQuantize":
                vectors = self.codebook.get_output_from_indices(sequence)
            else:
                vectors = self.codebook.indices_to_codes(sequence)
        return vectors.float().unflatten(1, indices_BTHW.shape[1:])
