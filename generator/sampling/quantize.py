"""Weights for sampling: packed for the processor, in half precision, or in eight bits.

A processor multiplies a few tokens fastest from copies of the weights that lie as it reads them:
single precision with the inputs along the first axis, half precision in a layout of oneDNN's own. A
session packs such a copy of the weights that it samples with; the decoder itself stays as it is.

Eight bits are a number per weight in [-127, 127] and a scale per output channel, rounded to the
nearest.

Legend: M tokens, N outputs, K inputs of a linear layer.
"""

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model.decoder import Decoder
from ..model.depth import DepthDecoder
from ..model.sound import SoundTokens
from .parts import PICTURE_STREAM, SOUND_STREAM, CarriedVectors, FramePart

AnyModule = TypeVar("AnyModule", bound=nn.Module)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
LINEARS = ("qkv", "out", "gate_up", "down")  # of every block
DEPTH_LINEARS = ("gate_up", "down")  # of every block that draws the codes of a cell
# tokens up to which eight bits are multiplied as they are; above it pays to unpack them first
FEW = 4


class PackedLinear(nn.Module):
    """`x @ weight.T` from a packed copy, where there is such a thing.

    Half precision is that of the products: what comes in is rounded, and what goes out has the type
    of what came in.
    """

    def __init__(self, weight_NK: Tensor) -> None:
        super().__init__()
        self.weight_NK = weight_NK
        self._pack()

    def _pack(self) -> None:
        weight_NK = self.weight_NK.detach()
        self.packed: Tensor | None = None
        self.dtype = weight_NK.dtype
        if weight_NK.device.type != "cpu":
            return
        if self.dtype == torch.bfloat16 and packable():
            self.packed = torch.ops.mkldnn._reorder_linear_weight(weight_NK.contiguous(), None)
        elif self.dtype in (torch.bfloat16, torch.float32):
            self.dtype = torch.float32
            self.packed = weight_NK.float().T.contiguous()

    def __getstate__(self) -> dict[str, Any]:
        """Without what is packed, whose layout is oneDNN's own and cannot be copied or written."""
        return {**self.__dict__, "packed": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._pack()

    def forward(self, x: Tensor) -> Tensor:
        if self.packed is None:
            return F.linear(x.to(self.dtype), self.weight_NK).to(x.dtype)
        if self.dtype == torch.float32:
            return (x.float() @ self.packed).to(x.dtype)
        rounded = x.to(self.dtype)
        product = torch.ops.mkldnn._linear_pointwise(rounded, self.packed, None, "none", [], "")
        return product.to(x.dtype)


def packable() -> bool:
    """Whether this processor multiplies in half precision from a layout of oneDNN's own."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def state_dtype(decoder: Decoder) -> torch.dtype:
    """Of states, keys and values while sampling. On a CPU half precision is for products alone:
    whatever else is done takes as long in float32, and drafts agree more often."""
    dtype = decoder.no_text.dtype
    half_on_cpu = dtype == torch.bfloat16 and decoder.no_text.device.type == "cpu"
    return torch.float32 if half_on_cpu and not has_lora(decoder) else dtype


class Int8Linear(nn.Module):
    """A linear layer whose weights take a byte each."""

    weight_NK: Tensor
    scale_N: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight_NK = linear.weight.detach()
        scale_N = weight_NK.float().abs().amax(1).clamp(min=1e-12) / 127
        self.register_buffer(
            "weight_NK", (weight_NK.float() / scale_N[:, None]).round().to(torch.int8)
        )
        self.register_buffer("scale_N", scale_N.to(weight_NK.dtype))

    def forward(self, x: Tensor) -> Tensor:
        given = x.dtype
        x = x.to(self.scale_N.dtype)
        few = x.dtype == torch.bfloat16 and x.device.type == "cpu" and x[..., 0].numel() <= FEW
        if few:
            out_MN = torch.ops.aten._weight_int8pack_mm(
                x.flatten(0, -2), self.weight_NK, self.scale_N
            )
            return out_MN.unflatten(0, x.shape[:-1]).to(given)
        return (F.linear(x, self.weight_NK.to(x.dtype)) * self.scale_N).to(given)


def pack(decoder: Decoder) -> Decoder:
    """A decoder that shares the weights of this one and computes the same from packed copies of
    them."""
    packed = _shallow(decoder)
    packed.blocks = nn.ModuleList([_shallow(block) for block in decoder.blocks])
    if decoder.depth is not None:
        packed.depth = _shallow_depth(decoder.depth)
    if decoder.sound is not None and decoder.sound.depth is not None:
        packed.sound = _shallow(decoder.sound)
        packed.sound.depth = _shallow_depth(decoder.sound.depth)
    _replace_linears(packed, _packed)
    for depth in _depths(packed):
        _replace(depth, ("seen",), _packed)
    return packed


def lighten(decoder: Decoder, dtype: str = "float32", quantize: str | None = None) -> None:
    """Turn a decoder into a smaller and less exact one, in place. It can be sampled from and not be
    trained.

    Args:
        dtype: one of `DTYPES`, of all weights and of what is computed with them; on a CPU half
            precision is that of products alone (`state_dtype`).
        quantize: "int8" for eight bits per weight of the linear layers, where nearly all weights of
            large models are.

    Raises:
        ValueError: another dtype or way to quantize.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}; got {dtype!r}")
    if quantize not in (None, "int8"):
        raise ValueError(f"quantize must be int8, or None for not at all; got {quantize!r}")
    if quantize:
        _replace_linears(decoder, Int8Linear)
    decoder.to(DTYPES[dtype])


def is_quantized(decoder: Decoder) -> bool:
    return any(isinstance(part, Int8Linear) for part in decoder.modules())


def has_lora(decoder: Decoder) -> bool:
    """Whether adapters lie beside the weights."""
    return any("lora_" in name for name, _ in decoder.named_parameters())


def weight_bytes(decoder: Decoder) -> int:
    """Of all parameters and buffers: what a decoder takes in memory, without packed copies."""
    return sum(tensor.nbytes for tensor in (*decoder.parameters(), *decoder.buffers()))


class SamplingWeights:
    """What every engine of a model needs of it, made once: packed blocks, and of each part of a
    frame the table of what tokens carry and the packed heads. Engines may share it."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = pack(decoder)
        self.dtype = state_dtype(decoder)
        config = decoder.config
        tables = decoder.head().split(config.codebook_size)
        self.picture = FramePart(
            decoder.order,
            first=0,
            codebook_size=config.codebook_size,
            codes=config.codebooks,
            vectors=CarriedVectors(decoder.table().to(self.dtype)),
            heads=tuple(PackedLinear(table_KD) for table_KD in tables),
            depth=self.decoder.depth,
            stream=PICTURE_STREAM,
        )
        self.sound = None if self.decoder.sound is None else self._sound(self.decoder.sound)

    def _sound(self, sound: SoundTokens) -> FramePart:
        order = self.decoder.layout(sound=True).sound
        assert order is not None
        # one packed copy for all codes of a token
        head = PackedLinear(sound.head())
        return FramePart(
            order,
            first=self.decoder.order.length,
            codebook_size=self.decoder.config.sound.vocab_size,
            codes=sound.books,
            vectors=CarriedVectors(sound.table().to(self.dtype), sound.gain),
            heads=(head,) * sound.books,
            depth=sound.depth,
            stream=SOUND_STREAM,
        )


def _replace_linears(decoder: Decoder, make: Callable[[nn.Linear], nn.Module]) -> None:
    """In every block, but for layers that have eight bits already, or adapters beside them."""
    parts: list[tuple[nn.Module, tuple[str, ...]]]
    parts = [(block, LINEARS) for block in decoder.blocks]
    for depth in _depths(decoder):
        parts += [(block, DEPTH_LINEARS) for block in depth.blocks]
    for block, names in parts:
        _replace(block, names, make)


def _replace(
    module: nn.Module, names: tuple[str, ...], make: Callable[[nn.Linear], nn.Module]
) -> None:
    for name in names:
        if type(layer := getattr(module, name)) is nn.Linear:
            setattr(module, name, make(layer))


def _packed(layer: nn.Linear) -> PackedLinear:
    return PackedLinear(layer.weight)


def _depths(decoder: Decoder) -> list[DepthDecoder]:
    """What draws the codes of a cell, and those of a token of sound, if they have several."""
    depths = (decoder.depth, None if decoder.sound is None else decoder.sound.depth)
    return [depth for depth in depths if depth is not None]


def _shallow_depth(depth: DepthDecoder) -> DepthDecoder:
    new = _shallow(depth)
    new.blocks = nn.ModuleList([_shallow(block) for block in depth.blocks])
    return new


def _shallow(module: AnyModule) -> AnyModule:
    """A module that shares all parts with this one, and may get others."""
    new = copy.copy(module)
    new._modules = dict(module._modules)
    return new
