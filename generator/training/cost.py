"""The cost of a generator, from its config: parameters, tokens, work per step, memory per device.

Legend: B clips of a batch, T latent frames, G cells of one, L its tokens, S text length, D width, V
codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...files.model_folder import find_folder, load_config, read_config
from ...tokenizer import TokenizerConfig
from ...tokenizer.sound import SoundTokenizerConfig
from ...training.config_file import check_config
from ..conditions import CONDITIONS
from ..model.codebooks import Codebooks
from ..model.config import DecoderConfig, DecoderSize
from ..model.sound_config import SoundConfig

if TYPE_CHECKING:
    from torch import nn

GB = 1e9
DEVICES = (1, 2, 4, 8, 16, 32, 64)
FLOAT = 4  # bytes
AUTO = "auto"  # the precision that follows the machine; counted as that of a GPU, which is half


@dataclass(frozen=True)
class Plan:
    """The part of a training run that decides its cost.

    Args:
        latents: T of the longest clips.
        batch: B, clips on each device.
        text: S.
        matrix_state: bytes that the optimizer keeps for each weight of a linear layer: 8 for AdamW,
            4 for Muon.
        averaged: whether an average of the weights is kept.
        half: whether activations are bfloat16.
        recompute: whether blocks are computed again in the backward pass.
    """

    decoder: DecoderConfig
    latents: int
    batch: int
    text: int
    matrix_state: int = 8
    averaged: bool = True
    half: bool = True
    recompute: bool = False


# ---- counts ----


def parameter_counts(config: DecoderConfig) -> dict[str, int]:
    """Weights of the parts of a `Decoder`."""
    D = config.dim
    N = config.heads
    M = config.kv_heads
    K = config.head_size
    matrices = D * (N + 2 * M) * K + D * D + 3 * D * config.hidden
    table = (config.vocab_size + sum(config.levels)) * D
    ports = sum(p.numel() for network in _ports(config) for p in network.parameters())
    counts = {
        "blocks": config.layers * (matrices + N),
        "depth decoder": depth_matrices(config) + config.codebooks * D,
        "code tables": 2 * table,
        "text and ports": config.text_dim * D + 3 * D + ports,
    }
    if config.codebooks == 1:
        del counts["depth decoder"]
    if config.sound.codes:
        counts["sound"] = sound_count(config)
    return counts


def sound_count(config: DecoderConfig) -> int:
    """Weights that only sound uses: its start, both tables, and what tells and draws the codes of
    a token."""
    sound = config.sound
    table = (sound.vocab_size + sum(sound.levels)) * config.dim
    places = 2 * sound.codes_per_token * config.dim if sound.codes_per_token > 1 else 0
    return config.dim + 2 * table + places + sound_matrices(config)


def sound_matrices(config: DecoderConfig) -> int:
    """Weights of the linear layers that draw the codes of a token of sound one after another."""
    if not config.sound.codes or config.sound.codes_per_token == 1:
        return 0
    return _depth_size(config)


def _depth_size(config: DecoderConfig) -> int:
    return config.dim * config.dim + config.depth_layers * 3 * config.dim * config.hidden


def depth_matrices(config: DecoderConfig) -> int:
    """Weights of the linear layers that draw the codes of a cell one after another."""
    if config.codebooks == 1:
        return 0
    return _depth_size(config)


def _ports(config: DecoderConfig) -> list[nn.Module]:
    """The networks of further conditions, without memory."""
    import torch

    with torch.device("meta"):
        return [CONDITIONS[name].network(size, config) for name, size in config.conditions]


def matrix_count(config: DecoderConfig) -> int:
    """Number of weights of linear layers, which Muon trains."""
    from torch import nn

    layers = [layer for network in _ports(config) for layer in network.modules()]
    ports = sum(layer.weight.numel() for layer in layers if isinstance(layer, nn.Linear))
    return (
        ports
        + parameter_counts(config)["blocks"]
        - config.layers * config.heads
        + depth_matrices(config)
        + sound_matrices(config)
        + config.text_dim * config.dim
    )


def clip_tokens(config: DecoderConfig, latents: int, text: int) -> int:
    return text + latents * config.frame_tokens


def keys_seen(config: DecoderConfig, latents: int, text: int) -> int:
    """Pairs of a query and a key that attention computes for one clip."""
    L = config.frame_tokens
    pairs = text * text
    for t in range(latents):
        start = t - config.window + 1
        frames = t + 1 if start <= config.sinks else config.sinks + config.window
        pairs += L * (text + frames * L)
    return pairs


def forward_flops(config: DecoderConfig, latents: int, text: int) -> int:
    """FLOPs of one clip: 2 per weight and token, 4 per query, key and channel, and the logits."""
    D = config.dim
    matrices = parameter_counts(config)["blocks"] - config.layers * config.heads
    work = 2 * matrices * clip_tokens(config, latents, text) + 2 * text * config.text_dim * D
    work += 4 * config.layers * keys_seen(config, latents, text) * D
    work += 2 * latents * config.cells * config.codebooks * depth_matrices(config)
    work += 2 * latents * config.cells * config.vocab_size * D
    sound = config.sound
    return work + 2 * latents * sound.codes * (sound_matrices(config) + sound.vocab_size * D)


def step_flops(plan: Plan) -> int:
    """FLOPs of one step on one device.

    The backward pass costs twice the forward pass; blocks that are computed again do not count.
    """
    return 3 * plan.batch * forward_flops(plan.decoder, plan.latents, plan.text)


# ---- memory ----


def activation_bytes(plan: Plan) -> int:
    """About the bytes that the backward pass needs from the forward pass, on one device.

    A block keeps its normalised inputs in float32. In the precision of the matrices it keeps the
    inputs of its four products; queries, keys and values before and after they are rotated and
    scaled; the keys and values that are gathered for frames beyond the window; and both halves of
    the SwiGLU. Autocast keeps a copy of the matrices. Logits exist for a block of tokens at a time;
    the gradients of the last states and of the table of codes stay.
    """
    config = plan.decoder
    size = 2 if plan.half else FLOAT
    D = config.dim
    M = config.kv_heads
    K = config.head_size
    copied = size if plan.half else 0  # of what is float32
    seen = config.sinks + config.window
    gathered = 2 * M * K * seen * max(0, plan.latents - seen) // plan.latents
    block = 2 * D * (FLOAT + copied) + size * (5 * D + 4 * M * K + 4 * config.hidden + gathered)
    tokens = plan.batch * clip_tokens(config, plan.latents, plan.text)
    loss = size * plan.batch * plan.latents * config.cells * D + FLOAT * config.vocab_size * D
    layers = 1 if plan.recompute else config.layers
    kept = tokens * config.layers * D * FLOAT if plan.recompute else 0
    return (
        kept
        + tokens * layers * block
        + copied * matrix_count(config) * layers // config.layers
        + loss
    )


def memory_bytes(plan: Plan, devices: int, divided: bool) -> dict[str, int]:
    """Bytes on one of `devices`, by part.

    Either every device has a whole copy (DDP), or the weights are divided over them (FSDP2) and
    gathered a block at a time.
    """
    counts = parameter_counts(plan.decoder)
    total = sum(counts.values())
    matrices = matrix_count(plan.decoder)
    state = matrices * plan.matrix_state + (total - matrices) * 8
    share = devices if divided else 1
    gathered = (
        2 * FLOAT * (counts["blocks"] // plan.decoder.layers + total - counts["blocks"])
        if divided
        else 0
    )
    parts = {
        "weights": FLOAT * total // share + gathered,
        "gradients": FLOAT * total // share,
        "optimizer": state // share,
        "average": FLOAT * total // share if plan.averaged else 0,
        "activations": activation_bytes(plan),
    }
    return parts | {"all": sum(parts.values())}


# ---- from a file ----


def read_plan(config: str) -> Plan:
    """The plan of a YAML file, or of the one with this name that comes with the package.

    Raises:
        ValueError: there is no such file, it configures no generator, or the models it names do not
            exist.
    """
    path = Path(config)
    known = Path(str(files("kinetoscope.configs"))) / "generator"
    if not path.is_file():
        path = known / f"{config}.yaml"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in known.glob("*.yaml")))
        raise ValueError(f"there is no file '{config}', and the package has {names}")
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    check_config(path)
    try:
        values: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (YAMLError, OmegaConfBaseException) as error:
        raise ValueError(f"'{path}' cannot be read as YAML: {error}") from error
    try:
        stages = values["data"]["init_args"]["stages"]
        longest: dict[str, Any] = max(
            stages, key=lambda stage: stage["latents"] * stage["batch_size"], default={}
        )
        (latents, batch) = (longest["latents"] + 0, longest["batch_size"] + 0)
        precision = str(values.get("trainer", {}).get("precision", "32-true"))
        return _plan_of(values["model"], latents, batch, precision)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"'{path}' is not the config of a generator's training ({type(error).__name__}: "
            f"{error})"
        ) from error


def _plan_of(model: dict[str, Any], latents: int, batch: int, precision: str) -> Plan:
    return Plan(
        decoder=_decoder_of(model),
        latents=latents,
        batch=batch,
        text=model.get("size", {}).get("max_text", DecoderSize.max_text),
        matrix_state=4 if model.get("muon_lr") else 8,
        averaged=bool(model.get("ema_decay", True)),
        half="16" in precision or precision == AUTO,
        recompute=bool(model.get("recompute", False)),
    )


def _decoder_of(model: dict[str, Any]) -> DecoderConfig:
    if model.get("init_from"):
        return load_config(find_folder(model["init_from"], "generator"), DecoderConfig.from_dict)
    folder = find_folder(_there(model.get("tokenizer"), "tokenizer"), "tokenizer")
    tokenizer = load_config(folder, TokenizerConfig.from_dict)
    text = read_config(find_folder(_there(model.get("text"), "text"), "text"))
    quantizer = tokenizer.quantizer
    levels = tuple(quantizer.args["levels"])
    used = model.get("codebooks") or quantizer.rates
    codebooks = Codebooks(prod(levels), quantizer.rates, used, model.get("block", 1))
    size = DecoderSize(**model.get("size", {}))
    grid = model.get("grid", (8, 8))
    return DecoderConfig(
        vocab_size=codebooks.vocab_size,
        levels=codebooks.levels(levels),
        text_dim=text.get("hidden_size") or text["d_model"],
        grid=codebooks.grid(*grid),
        codebooks=codebooks.count,
        block=codebooks.block,
        depth_layers=model.get("depth_layers", DecoderConfig.depth_layers),
        frames_per_latent=tokenizer.frames_per_latent,
        conditions=tuple((model.get("conditions") or {}).items()),
        sound=_sound_of(model),
        **vars(size),
    )


def _sound_of(model: dict[str, Any]) -> SoundConfig:
    if not model.get("sound"):
        return SoundConfig()
    name = model.get("sound_tokenizer", "stage-256")
    folder = Path(name)
    config = (
        SoundTokenizerConfig()  # one that a recipe makes first
        if name.startswith("runs/") and not folder.exists()
        else load_config(find_folder(name, "sound"), SoundTokenizerConfig.from_dict)
    )
    sizes = config.codes_per_latent, config.codebook_size, config.levels
    return SoundConfig.sized(*sizes, model.get("sound_tokens"))


def _there(name: str | None, part: str) -> str:
    """The name of a model; one that a recipe makes first is counted as the shipped one."""
    return (
        "physics-64"
        if name is None or (name.startswith("runs/") and not Path(name).exists())
        else name
    )


# ---- the table ----


def table(plan: Plan) -> list[str]:
    """Lines that say what training costs.

    The memory of activations is an estimate, and what the allocator and the framework take is not
    counted. Batches are those of one device.
    """
    config = plan.decoder
    counts = parameter_counts(plan.decoder)
    tokens = clip_tokens(config, plan.latents, plan.text)
    frames = 1 + (plan.latents - 1) * config.frames_per_latent
    rows = [("parameters", si(sum(counts.values())))]
    rows += [(f"  {name}", si(count)) for name, count in counts.items()]
    rows += [
        (
            "tokens per clip",
            f"{tokens} ({plan.latents} latent frames or {frames} frames; text {plan.text})",
        ),
        ("clips per device and step", str(plan.batch)),
        ("FLOPs per token, forward", si(forward_flops(config, plan.latents, plan.text) / tokens)),
        ("FLOPs per device and step", si(step_flops(plan))),
    ]
    lines = [f"{name:<28}{value}" for name, value in rows]
    if config.sound.codes:
        sound = config.sound
        text = f"{sound.codes} codes in {sound.tokens} tokens"
        lines.insert(len(counts) + 1, f"{'sound of a latent frame':<28}{text}")
    names = ("weights", "gradients", "optimizer", "average", "activations", "all")
    lines += ["", "memory per device, GB   " + "".join(f"{name:>13}" for name in names)]
    whole = [("any number, whole (ddp)", memory_bytes(plan, 1, False))]
    parts = [(f"{count}, divided (fsdp)", memory_bytes(plan, count, True)) for count in DEVICES[1:]]
    for name, values in whole + parts:
        lines.append(f"{name:<24}" + "".join(f"{values[part] / GB:>13.1f}" for part in names))
    return lines


def si(number: float) -> str:
    """A number in three digits, such as 9.22 M."""
    for unit, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.3g}"
