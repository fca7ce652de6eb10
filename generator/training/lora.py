"""Low-rank adapters (LoRA, arXiv:2106.09685) of a decoder, by peft: a few megabytes each.

The folder of an adapter holds `config.json` (rank, alpha, name and id of the model it belongs to)
and `model.safetensors`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from ...files.config_fields import read_fields, shown
from ...files.errors import UnreadableFile
from ...files.model_folder import WEIGHTS, find_folder, load_config, read_config, save_folder
from ...files.tensors import load_tensors, tensor_shapes
from ..model.decoder import Decoder
from ..sampling.quantize import LINEARS, has_lora, is_quantized

if TYPE_CHECKING:
    from ..pipeline import VideoGenerator


@dataclass(frozen=True)
class LoraSize:
    """Rank of the adapters, 0 for none, and their scale alpha / rank; `alpha` 0 means the rank."""

    LIMITS: ClassVar = {"rank": (0, 4096), "alpha": (0, 1 << 20)}

    rank: int = 0
    alpha: int = 0

    def __post_init__(self) -> None:
        if self.rank < 0 or self.alpha < 0:
            raise ValueError(
                f"lora.rank and lora.alpha must not be negative; got {self.rank} and {self.alpha}"
            )


@dataclass(frozen=True)
class AdapterConfig:
    """What a folder says of its adapter: its size, and name and id of the model it belongs to."""

    lora: LoraSize
    base: str
    base_id: str

    def __post_init__(self) -> None:
        if self.lora.rank < 1:
            raise ValueError(f"lora.rank of an adapter must be at least 1; got {self.lora.rank}")


def add_lora(decoder: Decoder, size: LoraSize) -> None:
    """Freeze the decoder and add adapters, which change nothing yet, to its linear layers."""
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ValueError("LoRA needs peft: pip install 'kinetoscope[lora]'") from error
    config = LoraConfig(
        r=size.rank, lora_alpha=size.alpha or size.rank, target_modules=list(LINEARS)
    )
    inject_adapter_in_model(config, decoder)
    for name, parameter in decoder.named_parameters():
        parameter.requires_grad_("lora_" in name)


def lora_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the adapters alone."""
    return {name: tensor for name, tensor in weights.items() if "lora_" in name}


@torch.no_grad()
def merge_lora(decoder: Decoder) -> None:
    """Add the adapters to the weights and remove them; the decoder computes the same."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for block in decoder.blocks:
        for name in LINEARS:
            layer = getattr(block, name)
            if isinstance(layer, BaseTunerLayer):
                layer.merge()
                setattr(block, name, layer.get_base_layer())
    for parameter in decoder.parameters():
        parameter.requires_grad_(True)


def save_adapter(
    folder: str | os.PathLike[str],
    weights: dict[str, Tensor],
    size: LoraSize,
    base: str,
    base_id: str,
) -> None:
    """Write the adapters among `weights`, and the name and id of the model they belong to."""
    config: dict[str, Any] = {"lora": vars(size), "base": str(base), "base_id": base_id}
    save_folder(folder, config, lora_weights(weights))


def load_adapter(
    generator: VideoGenerator, folder: str | os.PathLike[str], merge: bool = True
) -> None:
    """Add the adapter in `folder` to a generator.

    Args:
        merge: add the adapter to the weights, so that sampling costs no more than before and
            `save_pretrained` writes the new model; otherwise it stays beside them.

    Raises:
        ValueError: the folder holds no adapter, a damaged one, or that of another model. The
            generator is as it was then.
    """
    place, config = _read_adapter(folder)
    check_plain(generator)
    if config.base_id != generator.id:
        raise ValueError(
            f"the adapter in '{folder}' belongs to model {shown(config.base)} "
            f"({shown(config.base_id)[1:-1]}), and this one is {generator.id}; draw with the former"
        )
    decoder = generator.decoder
    device = generator.decoder.no_text.device
    weights = _read_weights(place / WEIGHTS, _lora_shapes(decoder, config.lora.rank))
    add_lora(decoder, config.lora)
    decoder.load_state_dict(decoder.state_dict() | weights)
    decoder.to(device).eval()
    if merge:
        merge_lora(decoder)


def base_name(folder: str | os.PathLike[str]) -> str:
    """What the training of an adapter called its model; ValueError for what is no adapter."""
    return _read_adapter(folder)[1].base


def base_model(folder: str | os.PathLike[str]) -> str:
    """Name, folder or hub id of the model that an adapter belongs to, where it can be found.

    Raises:
        ValueError: the folder holds no adapter, or its model is not to be found.
    """
    base = base_name(folder)
    try:
        find_folder(base, "generator")
    except ValueError as error:
        raise ValueError(
            f"the adapter in '{folder}' belongs to model {shown(base)}, which is not to be found "
            f"here; name the place where it is now as the model (--model): {error}"
        ) from error
    return base


def check_plain(generator: VideoGenerator) -> None:
    """ValueError unless the weights are those that adapters are trained on: of single precision,
    with no adapter beside them."""
    decoder = generator.decoder
    if has_lora(decoder):
        raise ValueError("this model has an adapter beside its weights; call merge_lora first")
    if is_quantized(decoder) or decoder.no_text.dtype != torch.float32:
        raise ValueError(
            "an adapter belongs to weights in float32: load the model without dtype and quantize, "
            "then the adapter, then call lighten(dtype, quantize)"
        )


def _read_adapter(folder: str | os.PathLike[str]) -> tuple[Path, AdapterConfig]:
    """Where an adapter lies, and what its folder says of it."""
    place = find_folder(folder, "adapter")
    if "vocab_size" in read_config(place):
        raise ValueError(f"'{folder}' holds a model and no adapter; give it as the model")
    return place, load_config(place, partial(read_fields, AdapterConfig))


def _lora_shapes(decoder: Decoder, rank: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights that adapters of a rank add to a decoder, by their names."""
    shapes: dict[str, tuple[int, ...]] = {}
    for index, block in enumerate(decoder.blocks):
        for name in LINEARS:
            layer = getattr(block, name)
            place = f"blocks.{index}.{name}"
            shapes[f"{place}.lora_A.default.weight"] = (rank, layer.in_features)
            shapes[f"{place}.lora_B.default.weight"] = (layer.out_features, rank)
    return shapes


def _read_weights(file: Path, wanted: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """UnreadableFile unless the file has just these weights, and all are numbers."""
    stored = tensor_shapes(file)
    if {name: shape for name, (shape, _) in stored.items()} != wanted:
        raise UnreadableFile(f"'{file}' does not fit the config.json beside it")
    weights = {name: tensor.float() for name, tensor in load_tensors(file)[0].items()}
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise UnreadableFile(f"'{file}' is damaged: {name} holds something that is no number")
    return weights
