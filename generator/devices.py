"""Which device a command runs on."""

from __future__ import annotations

import torch


def choose_device(name: str | None) -> torch.device:
    """The device of that name, or a GPU if there is one. ValueError for a device that is not
    there."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ValueError(
            f"device '{name}' cannot be used here; leave --device out to use what there is"
        ) from None
