"""Single or half precision to sample in, by which of them this machine computes faster.

The same seed gives the same video only in the same precision, so this is for those who ask.
"""

from __future__ import annotations

import time

import torch

from ..model.decoder import Decoder
from .quantize import DTYPES, LINEARS, PackedLinear

GAIN = 1.3  # how many times as fast bfloat16 must be
TOKENS = 8  # that are computed at once; with drafts they are a few
TRIES = 20


def faster_dtype(decoder: Decoder) -> tuple[str, str]:
    """The name of one of `DTYPES` for the device of a decoder, and a line that says why."""
    single = block_seconds(decoder, torch.float32)
    half = block_seconds(decoder, torch.bfloat16)
    choice = "bfloat16" if single / half >= GAIN else "float32"
    assert choice in DTYPES
    why = (
        f"dtype {choice}: the products of a layer take {1000 * single:.2f} ms in float32 and "
        f"{1000 * half:.2f} ms in bfloat16 here, {single / half:.1f} times as fast ({GAIN} are "
        "needed)"
    )
    return choice, why


@torch.inference_mode()
def block_seconds(decoder: Decoder, dtype: torch.dtype) -> float:
    """Seconds of the products of a block, packed as for sampling, the least of a few tries."""
    device = decoder.no_text.device
    weights = [getattr(decoder.blocks[0], name).weight.to(dtype) for name in LINEARS]
    layers = [PackedLinear(weight_NK) for weight_NK in weights]
    inputs = [torch.ones(1, TOKENS, weight_NK.shape[1], device=device) for weight_NK in weights]
    seconds: list[float] = []
    for _ in range(1 + TRIES):  # the first one also sets things up
        begin = time.perf_counter()
        for layer, x in zip(layers, inputs):
            layer(x)
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        seconds.append(time.perf_counter() - begin)
    return min(seconds[1:])
