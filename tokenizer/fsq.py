"""From codes of finite scalar quantization (FSQ, arXiv:2309.15505) to their vectors, by arithmetic.

It stands in for the library of quantizers where codes are only decoded: importing that library
takes longer than importing torch. The library stays the one that quantizes, and the oracle of
these lines.
"""

import math
from collections.abc import Mapping
from itertools import accumulate
from operator import mul
from typing import Any

import torch
from torch import Tensor, nn

# Of the library's arguments, those that say what a code stands for.
ARGUMENTS = {"levels", "num_codebooks", "preserve_symmetry"}


def is_plain(args: Mapping[str, Any]) -> bool:
    """Whether these arguments of the library's FSQ are such as `FSQVectors` decodes."""
    if not ARGUMENTS.issuperset(args):
        return False
    least = 2 if args.get("preserve_symmetry", False) else 3
    return all(isinstance(size, int) and size >= least for size in args["levels"])


class FSQVectors(nn.Module):
    """A code is a number whose digits are the levels of its dimensions, the first one lowest.

    Args:
        levels: how many there are in each dimension.
        preserve_symmetry: whether they lie evenly from -1 to 1; otherwise 0 is one of them, and
            of an even number one more lies below it than above.
    """

    sizes: Tensor
    places: Tensor

    def __init__(self, levels: list[int], preserve_symmetry: bool = False) -> None:
        super().__init__()
        self.symmetric = preserve_symmetry
        self.codebook_size = math.prod(levels)
        places = accumulate([1, *levels[:-1]], mul)
        for name, numbers in (("sizes", levels), ("places", list(places))):
            tensor = torch.tensor(numbers, dtype=torch.int32)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, indices: Tensor) -> Tensor:
        """Indices int64 `[...]` to vectors float32 `[..., d]`, of d dimensions."""
        digits = indices[..., None] // self.places % self.sizes
        if self.symmetric:
            return digits * (2.0 / (self.sizes - 1)) - 1.0
        half = self.sizes // 2
        return (digits - half) / half
