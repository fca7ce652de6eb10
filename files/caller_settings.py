"""What a program that calls us has set for all of PyTorch, put aside while our own code runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

PROCESSORS = ("cpu", "cuda", "mps", "xpu")


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """Inside, numbers are float32 unless our code says otherwise, and new tensors lie on the CPU.

    Autocast, a default dtype and a default device of the caller hold again afterwards. A session
    that is half drawn under autocast would otherwise be another video, and tensors that our code
    moves where they belong would begin on a device that cannot make them.
    """
    if torch.compiler.is_compiling():  # a graph is made for the settings that hold then
        yield
        return
    with contextlib.ExitStack() as stack:
        for processor in PROCESSORS:
            if torch.is_autocast_enabled(processor):
                stack.enter_context(torch.autocast(processor, enabled=False))
        dtype = torch.get_default_dtype()
        if dtype != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, dtype)
        # only where it is needed: a mode costs time at every call of PyTorch
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


def wanted_device() -> torch.device:
    """Where a caller wants new models: on the default device, but never where nothing can be
    computed."""
    device = torch.get_default_device()
    return torch.device("cpu") if device.type == "meta" else device
