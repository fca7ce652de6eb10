"""A limit on what the constructor of a module makes, for modules that a file describes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

MAKERS = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.full, torch.eye}
MAKERS |= {torch.arange, torch.linspace}


class MemoryLimit(TorchFunctionMode):
    """Inside the block tensors may be made until they hold `numbers` in all.

    Raises:
        ValueError: one more would be beyond it; it is not made.
    """

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.left = numbers

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in MAKERS:
            self.left -= _numbers(func, args, kwargs)
            if self.left < 0:
                raise ValueError("the sizes in it ask for more memory than its weights can need")
        return func(*args, **kwargs)


def _numbers(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """How many numbers a call makes, at most."""
    sizes: Any = kwargs.get("size", args)
    if args and isinstance(args[0], Sequence):
        sizes = args[0]
    whole = [abs(int(size)) for size in sizes if isinstance(size, int | float)]
    if func in (torch.arange, torch.linspace):
        return max(whole, default=0)
    if func is torch.eye:
        return math.prod(whole) ** (2 if len(whole) == 1 else 1)
    return math.prod(whole)
