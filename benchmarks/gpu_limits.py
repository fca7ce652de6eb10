"""The shares of a device's arithmetic and memory limits that a computation uses.

The traffic is counted operator by operator, as eager PyTorch runs them: every input is read and
every result written once. Both limits are measured in the same run, by a large bfloat16 matrix
product and by a large copy.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode


class Traffic(TorchDispatchMode):
    """Adds up the bytes that operators read and write; views are free."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view and "empty" not in func.name():
            tensors = [
                leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)
            ]
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return result


def seconds_of(work: Callable[[], Any], device: str, repeats: int = 10) -> float:
    """Mean of a few runs after two to warm up, the device's queue emptied before and after."""
    for _ in range(2):
        work()
    if device == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(repeats):
        work()
    if device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - begin) / repeats


def device_limits(device: str, side: int = 8192) -> tuple[float, float]:
    """Floating-point operations and bytes of memory traffic per second."""
    matrix = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    block = torch.empty(side * side * 4, device=device)
    copy = torch.empty_like(block)
    operations = 2 * side**3 / seconds_of(lambda: matrix @ matrix, device)
    return operations, 2 * block.nbytes / seconds_of(lambda: copy.copy_(block), device)


def shares_of_limits(
    work: Callable[[], Any], device: str, limits: tuple[float, float]
) -> tuple[float, float, float]:
    """Seconds of `work`, and the shares of the arithmetic and memory limits that it reaches."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter, Traffic() as traffic:
        work()
    with torch.inference_mode():
        seconds = seconds_of(work, device)
    return (
        seconds,
        counter.get_total_flops() / seconds / limits[0],
        traffic.bytes / seconds / limits[1],
    )
