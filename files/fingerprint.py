"""Short hashes that name a model by its config and weights."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


def fingerprint(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Twelve hexadecimal digits of config and weights, the same before and after a save in half
    precision."""
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        stored = tensor.half() if tensor.is_floating_point() else tensor
        digest.update(name.encode())
        digest.update(stored.cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def file_fingerprint(path: str | os.PathLike[str]) -> str:
    """Twelve hexadecimal digits of the content of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def marks_of(module: nn.Module, probes: Iterable[Tensor]) -> tuple[object, ...]:
    """Numbers that differ when a weight has been replaced or written to, without reading all of
    them.

    PyTorch counts what is written to a tensor, but not through `.data`, which is how averages take
    the place of weights and how codebooks learn. These are told by the sums of `probes`, small
    tensors that change then.
    """
    tensors = [*module.parameters(), *module.buffers()]
    # made in inference mode: nothing is counted
    if any(tensor.is_inference() for tensor in tensors):
        return (object(),)
    writes = tuple((tensor.data_ptr(), tensor._version) for tensor in tensors)
    return (
        writes,
        *torch.stack([probe.detach().sum(dtype=torch.float64) for probe in probes]).tolist(),
    )
