"""A decoder that is divided over the devices of a run with FSDP2, block by block.

Every device holds a part of each weight and gathers one block at a time. The weights are made as a
whole in the main memory of the first process, so that they do not depend on the number of devices,
and distributed from there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    set_model_state_dict,
)
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.utils.checkpoint import checkpoint

from ..model.decoder import Decoder


def recompute_blocks(decoder: Decoder) -> None:
    """Compute each block again in the backward pass: far less memory, a third more work."""
    for block in decoder.blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)  # type: ignore[method-assign]


def divide(
    decoder: Decoder, whole: Callable[[], Decoder], mesh: DeviceMesh, device: torch.device
) -> None:
    """Divide `decoder`, made on "meta", and fill it with the weights of `whole()`, which the first
    process calls.

    Args:
        mesh: of one dimension, over which weights are divided, or two: copies, and the parts of
            each copy.
        device: of this process.
    """
    source = whole() if dist.get_rank() == 0 else None
    for block in decoder.blocks:
        fully_shard(block, mesh=mesh)
    # validation has no backward pass that would shard the weights again
    fully_shard(decoder, mesh=mesh, reshard_after_forward=True)
    decoder.to_empty(device=device)
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
    set_model_state_dict(decoder, source.state_dict() if source else {}, options=options)
    for name, buffer in decoder.named_buffers():
        if source:
            buffer.copy_(source.get_buffer(name))
        dist.broadcast(buffer, src=0)


def gather(decoder: Decoder) -> dict[str, Tensor]:
    """All weights, whole, on the CPU of the first process; {} in the others, which take part."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return cast(dict[str, Tensor], get_model_state_dict(decoder, options=options))
