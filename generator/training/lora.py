"""Low-rank adapters (LoRA, arXiv:2106.09685) of a decoder, by peft: a few megabytes that turn one
model into another.

A folder of an adapter holds `config.json` (rank, alpha, name and id of the model it belongs to) and
`model.safetensors`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...files.model_folder import WEIGHTS, find_folder, read_config, save_folder
from ...files.tensors import load_tensors
from ..model.decoder import Decoder

if TYPE_CHECKING:
    from ..pipeline import VideoGenerator

LINEARS = ("qkv", "out", "gate_up", "down")  # of every block


@dataclass(frozen=True)
class LoraSize:
    """Rank of the adapters, 0 for none, and how strongly they count: by alpha / rank; `alpha` is
    the rank if 0."""

    rank: int = 0
    alpha: int = 0

    def __post_init__(self) -> None:
        if self.rank < 0 or self.alpha < 0:
            raise ValueError(
                f"lora.rank and lora.alpha must not be negative; got {self.rank} and {self.alpha}"
            )


def add_lora(decoder: Decoder, size: LoraSize) -> None:
    """Freeze the decoder and put adapters, which do nothing yet, beside the linear layers of its
    blocks."""
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
    """Those of the adapters alone."""
    return {name: tensor for name, tensor in weights.items() if "lora_" in name}


@torch.no_grad()
def merge_lora(decoder: Decoder) -> None:
    """Add the adapters to the weights and take them out; the decoder computes the same as
    before."""
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
    """Write the adapters among `weights`, and the model that they belong to (the name it was
    loaded by, and its id)."""
    config: dict[str, Any] = {"lora": vars(size), "base": str(base), "base_id": base_id}
    save_folder(folder, config, lora_weights(weights))


def load_adapter(
    generator: VideoGenerator, folder: str | os.PathLike[str], merge: bool = True
) -> None:
    """Turn a generator into the one that `folder` adapts it to.

    Args:
        merge: add the adapters to the weights, so that sampling costs what it did and
            `save_pretrained` writes the new model; else they stay beside them.

    Raises:
        ValueError: the folder holds no adapter, or that of another model.
    """
    place = find_folder(folder, "adapter")
    config = read_config(place)
    if not {"lora", "base", "base_id"} <= set(config):
        raise ValueError(f"'{folder}' holds a model and no adapter; give it as the model")
    if config["base_id"] != generator.id:
        raise ValueError(
            f"the adapter in '{folder}' belongs to model '{config['base']}' ({config['base_id']}), "
            "and this one is "
            f"{generator.id}"
        )
    decoder = generator.decoder
    device = generator.decoder.no_text.device
    add_lora(decoder, LoraSize(**config["lora"]))
    decoder.load_state_dict(
        decoder.state_dict() | _read_weights(place / WEIGHTS, lora_weights(decoder.state_dict()))
    )
    decoder.to(device).eval()
    if merge:
        merge_lora(decoder)


def _read_weights(file: Path, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    tensors, _ = load_tensors(file)
    if {name: tensor.shape for name, tensor in tensors.items()} != {
        n: tensor.shape for n, tensor in wanted.items()
    }:
        raise ValueError(f"{file} does not fit the config.json beside it")
    return {name: tensor.float() for name, tensor in tensors.items()}
