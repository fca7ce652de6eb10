"""The forward of the small text encoder that ships: a ModernBERT (arXiv:2412.13663) in which every
layer sees the whole caption.

Importing a model class of transformers takes longer than drawing a video, so these lines stand in
for it. They read the same files and take nothing but what they implement exactly; transformers
reads every other encoder, trains them all, and is the oracle of these lines.

- no biases, no dropout; LayerNorm before every sublayer but the first
- rotary positions: the halves of a head turn against each other
- a GELU with a gate

Legend: B captions, S length of the longest in tokens, D width, N heads, K head size.
"""

import os
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...files.model_folder import UndrawnWeights, save_folder

# What a config.json must say, word for word; what may be any size; and what means nothing here.
EXACTLY = {
    "model_type": "modernbert",
    "architectures": ["ModernBertModel"],
    "attention_bias": False,
    "hidden_activation": "gelu",
    "mlp_bias": False,
    "norm_bias": False,
}
SIZES = (
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "norm_eps",
    "num_attention_heads",
    "num_hidden_layers",
    "vocab_size",
)
TRAINING = ("attention_dropout", "embedding_dropout", "mlp_dropout", "tie_word_embeddings")
HEADS = ("classifier_", "decoder_", "initializer_", "sparse_")
TOKENS = ("bos_token_id", "cls_token_id", "eos_token_id", "pad_token_id", "sep_token_id")
OTHERS = ("deterministic_flash_attn", "dtype", "local_attention", "transformers_version", "world")


def is_small_modernbert(config: Mapping[str, Any]) -> bool:
    """Whether the config.json of a Hugging Face folder describes exactly what is implemented
    here."""
    known = {*EXACTLY, *SIZES, "layer_types", "rope_parameters", *TRAINING, *TOKENS, *OTHERS}
    if any(name not in known and not name.startswith(HEADS) for name in config):
        return False
    if not known.difference(TRAINING, TOKENS, OTHERS).issubset(config):
        return False
    rope = config["rope_parameters"].get("full_attention", {})
    return (
        all(config[name] == value for name, value in EXACTLY.items())
        and all(config[name] > 0 for name in SIZES)
        and config["hidden_size"] % (2 * config["num_attention_heads"]) == 0
        and config["layer_types"] == ["full_attention"] * config["num_hidden_layers"]
        and rope.keys() == {"rope_theta", "rope_type"}
        and rope["rope_type"] == "default"
    )


class Output(NamedTuple):
    """Named as transformers names it: states float [B, S, D]."""

    last_hidden_state: Tensor


class SmallModernBert(nn.Module):
    """The encoder of a folder; its weights are still to be loaded.

    Args:
        values: the config.json of the folder.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__()
        self.values = values
        self.config = SimpleNamespace(**values, is_encoder_decoder=False)
        with UndrawnWeights():
            self.embeddings = nn.ModuleDict(
                {
                    "tok_embeddings": nn.Embedding(values["vocab_size"], values["hidden_size"]),
                    "norm": _norm(values),
                }
            )
            layers = [Layer(values, index) for index in range(values["num_hidden_layers"])]
            self.layers = nn.ModuleList(layers)
            self.final_norm = _norm(values)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Output:
        """States of tokens, both arguments int64 [B, S]; the mask is 0 at padding."""
        x_BSD = self.embeddings["norm"](self.embeddings["tok_embeddings"](input_ids))
        turn = self._rotation(x_BSD)
        real_BS = attention_mask.bool()
        mask = None if real_BS.all() else real_BS[:, None, None].expand(-1, 1, x_BSD.shape[1], -1)
        for layer in self.layers:
            x_BSD = layer(x_BSD, turn, mask)
        return Output(self.final_norm(x_BSD))

    def _rotation(self, x_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine [S, K] of the angle of every position."""
        size = self.config.hidden_size // self.config.num_attention_heads
        base = self.values["rope_parameters"]["full_attention"]["rope_theta"]
        pairs = torch.arange(0, size, 2, dtype=torch.float, device=x_BSD.device)
        places = torch.arange(x_BSD.shape[1], dtype=torch.float, device=x_BSD.device)
        angle_SK = (places[:, None] * (1.0 / base ** (pairs / size))).repeat(1, 2)
        return angle_SK.cos().to(x_BSD.dtype), angle_SK.sin().to(x_BSD.dtype)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write config.json and model.safetensors, as transformers would."""
        dtype = str(self.final_norm.weight.dtype).removeprefix("torch.")
        save_folder(folder, {**self.values, "dtype": dtype}, self.state_dict(), half=False)


class Layer(nn.Module):
    """Attention among the tokens of a caption, then a gated network on each of them."""

    def __init__(self, values: Mapping[str, Any], index: int) -> None:
        super().__init__()
        D = values["hidden_size"]
        hidden = values["intermediate_size"]
        self.heads = values["num_attention_heads"]
        self.attn_norm = _norm(values) if index else nn.Identity()
        self.attn = nn.ModuleDict({"Wqkv": _linear(D, 3 * D), "Wo": _linear(D, D)})
        self.mlp_norm = _norm(values)
        self.mlp = nn.ModuleDict({"Wi": _linear(D, 2 * hidden), "Wo": _linear(hidden, D)})

    def forward(self, x_BSD: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        qkv_BSD = self.attn["Wqkv"](self.attn_norm(x_BSD))
        qkv_BNSK = qkv_BSD.unflatten(-1, (3, self.heads, -1)).transpose(1, 3).unbind(2)
        q, k = (_turned(x_BNSK, *turn) for x_BNSK in qkv_BNSK[:2])
        mixed_BNSK = F.scaled_dot_product_attention(q, k, qkv_BNSK[2], attn_mask=mask)
        x_BSD = x_BSD + self.attn["Wo"](mixed_BNSK.transpose(1, 2).flatten(2))
        inner, gate = self.mlp["Wi"](self.mlp_norm(x_BSD)).chunk(2, dim=-1)
        return x_BSD + self.mlp["Wo"](F.gelu(inner) * gate)


def _turned(x_BNSK: Tensor, cos_SK: Tensor, sin_SK: Tensor) -> Tensor:
    first, second = x_BNSK.float().chunk(2, dim=-1)
    crossed = torch.cat([-second, first], dim=-1)
    return (x_BNSK.float() * cos_SK + crossed * sin_SK).to(x_BNSK.dtype)


def _norm(values: Mapping[str, Any]) -> nn.LayerNorm:
    return nn.LayerNorm(values["hidden_size"], eps=values["norm_eps"], bias=False)


def _linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=False)
