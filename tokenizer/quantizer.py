"""From continuous latents to codes, with a quantizer of vector-quantize-pytorch named by class
path.

A cell may have several codebooks, coarse to fine, so that one model serves several rates: any
prefix of them decodes. There are two kinds. `FSQ` or `LFQ` with `num_codebooks` gives each codebook
code dimensions of its own, which training with random prefixes sorts by importance (nested dropout,
Rippel et al. 2014); a codebook left out is all zeros. `ResidualFSQ` with `num_quantizers` lets each
codebook refine the rounding of those before it.

The library takes longer to import than torch. A quantizer can be made without it: it is imported
when something is encoded, and codes of plain `FSQ` are decoded by arithmetic of our own (`fsq`).

Legend: B batch, T H W latent grid, N = T*H*W, C trunk width, d size of a code vector, Q codebooks
of a cell.
"""

import importlib
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..files.config_fields import shown, whole
from .fsq import FSQVectors, is_plain

LIBRARY = "vector_quantize_pytorch"
NEEDED = {
    "FSQ": ("levels",),
    "LFQ": ("codebook_size",),
    "ResidualFSQ": ("levels", "num_quantizers"),
    "VectorQuantize": ("dim", "codebook_size"),
}
# These change the layout that we rely on, or make vectors differ from those that their indices
# stand for; and dropping codebooks is ours to do, per clip: the library drops them for a whole
# batch.
REFUSED = {
    "accept_3d_fmap",
    "accept_image_fmap",
    "channel_first",
    "channel_last",
    "codebook_dim",
    "dim",
    "has_projections",
    "heads",
    "is_channel_first",
    "keep_num_codebooks_dim",
    "noise_dropout",
    "quantize_dropout",
    "return_indices",
}
LARGEST_CODEBOOK = 1 << 20
LARGEST_TABLE = 1 << 26  # numbers in a table of vectors
MOST_LEVELS = 64
LIMITS = {
    "codebook_size": (2, LARGEST_CODEBOOK),
    "dim": (1, 4096),
    "num_codebooks": (1, 64),
    "num_quantizers": (1, 64),
}


@dataclass(frozen=True)
class QuantizerConfig:
    """`name` is FSQ, LFQ, ResidualFSQ or VectorQuantize; `args` go to the class of that name as
    they are."""

    name: str = "FSQ"
    args: dict[str, Any] = field(default_factory=lambda: {"levels": [8, 8, 8, 8]})

    def __post_init__(self) -> None:
        name = self.name.removeprefix(f"{LIBRARY}.")
        if name not in NEEDED:
            raise ValueError(
                f"quantizer must be one of {', '.join(NEEDED)} of {LIBRARY}; got {shown(self.name)}"
            )
        object.__setattr__(self, "name", name)
        for argument in NEEDED[name]:
            if argument not in self.args:
                raise ValueError(
                    f"{name} needs the arguments {', '.join(NEEDED[name])}; {argument} is missing"
                )
        for argument in sorted(REFUSED.intersection(self.args) - {*NEEDED[name]}):
            raise ValueError(f"{name} cannot be used with {argument} here; leave it out")
        object.__setattr__(self, "args", _checked(name, self.args))

    @property
    def rates(self) -> int:
        """Codebooks of a cell, Q."""
        return self.args.get("num_quantizers" if self.name == "ResidualFSQ" else "num_codebooks", 1)

    @property
    def dim(self) -> int:
        """Size of one code vector."""
        if self.name == "FSQ":
            return len(self.args["levels"]) * self.rates
        if self.name == "LFQ":
            return int(math.log2(self.args["codebook_size"])) * self.rates
        return len(self.args["levels"]) if self.name == "ResidualFSQ" else self.args["dim"]


def _checked(name: str, args: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a quantizer; ValueError, naming the one that is none or too large."""
    checked = dict(args)
    for argument in LIMITS.keys() & args.keys():
        checked[argument] = whole(args[argument], f"{name}'s {argument}", LIMITS[argument])
    for argument, value in args.items():
        known = argument in LIMITS or argument == "levels"
        if not known and not isinstance(value, bool | int | float | str | None):
            raise ValueError(f"{name}'s {argument} must be one value; got {shown(value)}")
    if "levels" in args:
        levels = args["levels"]
        if not isinstance(levels, list | tuple) or not 1 <= len(levels) <= MOST_LEVELS:
            raise ValueError(
                f"{name}'s levels must be a list of 1 to {MOST_LEVELS} numbers; got {shown(levels)}"
            )
        checked["levels"] = [
            whole(size, f"{name}'s levels[{i}]", (2, 4096)) for i, size in enumerate(levels)
        ]
        codes = math.prod(checked["levels"])
        if codes > LARGEST_CODEBOOK:
            raise ValueError(
                f"{name}'s levels {shown(levels)} make {shown(codes)} codes; the most is "
                f"{LARGEST_CODEBOOK}"
            )
    if name == "VectorQuantize" and checked["dim"] * checked["codebook_size"] > LARGEST_TABLE:
        raise ValueError(f"{name}'s codebook_size times dim must be {LARGEST_TABLE} at the most")
    return checked


class Quantizer(nn.Module):
    """Norm, projection to a few numbers, and the library's quantizer, all in float32.

    Half precision would merge neighbouring codes: bfloat16 cannot even count to 15,360.

    Args:
        config: which quantizer.
        width: C.
        library: import the library at once; otherwise, if decoding is mere arithmetic, when
            something is encoded first (`load_library` does it sooner, as a compiler needs it).

    Raises:
        ValueError: the library does not take the arguments.
    """

    def __init__(self, config: QuantizerConfig, width: int, library: bool = True) -> None:
        super().__init__()
        self.config = config
        self.name = config.name
        self.rates = config.rates
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.project = nn.Linear(width, config.dim)
        self.levels = tuple(config.args.get("levels", ()))
        self.fsq: FSQVectors | None = None
        self.codebook: Any = None  # the library's
        if config.name == "FSQ" and is_plain(config.args):
            self.fsq = FSQVectors(list(self.levels), config.args.get("preserve_symmetry", False))
        if library or self.fsq is None:
            self.load_library()

    def load_library(self) -> None:
        """Import the library and make its quantizer, unless that is done."""
        if self.codebook is not None:
            return
        kind = getattr(importlib.import_module(LIBRARY), self.name)
        try:
            with torch.inference_mode(False):  # it may be trained later
                codebook = kind(**self.config.args)
        except Exception as error:  # whatever its constructor trips over
            raise ValueError(
                f"{self.name} does not take the arguments {shown(self.config.args)}: "
                f"{str(error) or 'one of them is of the wrong kind or size'}"
            ) from error
        self.codebook = codebook.to(self.project.weight.device).train(self.training)

    @property
    def codebook_size(self) -> int:
        return int((self.fsq or self.codebook).codebook_size)

    @property
    def learned(self) -> list[Tensor]:
        """What the codebook itself learns: nothing in FSQ."""
        return [] if self.codebook is None else list(self.codebook.state_dict().values())

    def forward(
        self, x_BTHWC: Tensor, quantize: bool = True, rate: int | Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return code vectors `[B, T, H, W, d]`, all indices int64 and the quantizer's own loss (a
        scalar).

        The indices are `[B, T, H, W]`, or `[B, T, H, W, Q]` with several codebooks. The vectors are
        those of the first `rate` codebooks, one number or one per clip `[B]`; all if not given.

        With `quantize=False` the vectors stay continuous (bounded as the quantizer would bound
        them): the first part of training runs so. The indices are those that quantizing would give.
        """
        self.load_library()
        with torch.autocast(x_BTHWC.device.type, enabled=False):
            z_BTHWd = self.project(self.norm(x_BTHWC.float()))
            # a sequence [B, N, d]: the library takes four or more axes for channels first
            z_BNd = z_BTHWd.flatten(1, 3)
            vectors, indices, *losses = self.codebook(z_BNd)
            if not quantize:
                vectors = z_BNd if self.name == "VectorQuantize" else z_BNd.tanh()
                losses = []
            if self.rates > 1:
                rate = torch.as_tensor(self.rates if rate is None else rate, device=z_BNd.device)
                kept_BNQ = (
                    torch.arange(self.rates, device=z_BNd.device) < rate.view(-1, 1, 1)
                ).expand_as(indices)
                if self.name != "ResidualFSQ":
                    vectors = vectors * self._dimensions(kept_BNQ)
                elif quantize:
                    # not the library's sum of straight-through stages, whose gradient grows with
                    # their number
                    clamp = self.codebook.soft_clamp_input_value
                    smooth = (z_BNd / clamp).tanh() * clamp
                    vectors = (
                        smooth
                        + (self._vectors(indices.masked_fill(~kept_BNQ, -1)) - smooth).detach()
                    )
        loss = losses[0].sum() if losses else z_BTHWd.new_zeros(())
        return vectors.view_as(z_BTHWd), indices.long().unflatten(1, z_BTHWd.shape[1:-1]), loss

    def code_vectors(self, indices: Tensor) -> Tensor:
        """Indices `[B, T, H, W]`, or `[B, T, H, W, q]` with q of Q codebooks, to code vectors
        `[B, T, H, W, d]`."""
        sequence = indices.flatten(1, 3)
        if self.rates > 1:
            sequence = functional.pad(sequence, (0, self.rates - indices.shape[-1]), value=-1)
        with torch.autocast(indices.device.type, enabled=False):
            return self._vectors(sequence).float().unflatten(1, indices.shape[1:4])

    def _vectors(self, indices: Tensor) -> Tensor:
        """`[B, N]` or `[B, N, Q]`, -1 for a codebook left out, to `[B, N, d]`."""
        if self.name in ("VectorQuantize", "ResidualFSQ"):
            return self.codebook.get_output_from_indices(indices)
        if self.fsq is not None:
            vectors = self.fsq(indices.clamp_min(0))
            vectors = vectors.flatten(-2) if self.rates > 1 else vectors
        else:
            vectors = self.codebook.indices_to_codes(indices.clamp_min(0))
        return vectors * self._dimensions(indices >= 0) if self.rates > 1 else vectors

    def _dimensions(self, kept_BNQ: Tensor) -> Tensor:
        """Which codebooks count, as the code dimensions `[B, N, d]` that they own."""
        return kept_BNQ.repeat_interleave(self.project.out_features // self.rates, dim=-1)
