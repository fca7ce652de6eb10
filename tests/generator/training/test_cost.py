"""The numbers that `kinetoscope describe` prints are those of the model it describes."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import kinetoscope.configs
import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.generator import Decoder, DecoderConfig
from kinetoscope.generator.model.sound_config import SoundConfig
from kinetoscope.generator.training.cost import (
    Plan,
    activation_bytes,
    clip_tokens,
    forward_flops,
    matrix_count,
    memory_bytes,
    parameter_counts,
    read_plan,
)
from kinetoscope.generator.training.fsdp import recompute_blocks
from kinetoscope.generator.training.linear_loss import linear_loss
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

CONFIGS = sorted((Path(kinetoscope.configs.__path__[0]) / "generator").glob("*.yaml"))
SIZES = {"small": 50e6, "base": 300e6, "large": 1.5e9, "xl": 7e9}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_parameters_are_those_of_the_decoder(path: Path) -> None:
    plan = read_plan(str(path))
    with torch.device("meta"):
        decoder = Decoder(plan.decoder)
    total = sum(p.numel() for p in decoder.parameters())
    assert sum(parameter_counts(plan.decoder).values()) == total
    linear = [layer.weight.numel() for layer in decoder.modules() if isinstance(layer, nn.Linear)]
    assert matrix_count(plan.decoder) == sum(linear)
    assert total == pytest.approx(SIZES.get(path.stem, total), rel=0.06)


CONFIG = DecoderConfig(
    vocab_size=64,
    text_dim=24,
    levels=(8, 8),
    grid=(4, 6),
    dim=96,
    layers=3,
    heads=6,
    kv_heads=2,
    window=3,
    max_distance=6,
)


@pytest.mark.parametrize("tokens", [2, 8])
def test_what_sound_takes_is_counted(tokens: int) -> None:
    config = replace(CONFIG, sound=SoundConfig(8, tokens, 40, (8, 5)))
    with torch.device("meta"):
        decoder = Decoder(config)
    counts = parameter_counts(config)
    assert sum(counts.values()) == sum(p.numel() for p in decoder.parameters())
    assert counts["sound"] == sum(p.numel() for p in decoder.sound.parameters())
    linear = [layer.weight.numel() for layer in decoder.modules() if isinstance(layer, nn.Linear)]
    assert matrix_count(config) == sum(linear)
    silent = clip_tokens(CONFIG, 7, 5)
    assert clip_tokens(config, 7, 5) == silent + 7 * (tokens + 1)
    assert forward_flops(config, 7, 5) > forward_flops(CONFIG, 7, 5)


def run(decoder: Decoder, half: bool = False, backend: str = "matmul", **options: Any) -> None:
    """A forward pass on 2 clips of 7 latent frames with 5 tokens of text."""
    codes = torch.randint(0, 64, (2, 7, 4, 6))
    text = torch.randn(2, 5, 24)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        decoder(codes, text, backend=backend, **options)


@pytest.mark.parametrize("wavefront", [0, 2])
def test_work_is_what_torch_counts(wavefront: int) -> None:
    config = replace(CONFIG, wavefront=wavefront)
    decoder = Decoder(config)
    run(decoder)  # what it works out once, for all clips of this size, is not of interest
    with FlopCounterMode(display=False) as counter:
        run(decoder)
    # both code tables are put together once per step, whatever the batch
    tables = 2 * 2 * 64 * 16 * 96
    assert counter.get_total_flops() - tables == 2 * forward_flops(config, 7, 5)
    assert clip_tokens(config, 7, 5) == 5 + 7 * (28 if wavefront else 25)


def kept_bytes(decoder: Decoder, half: bool) -> int:
    """What the forward pass of a training step keeps for the backward pass, weights aside."""
    own = {p.untyped_storage().data_ptr() for p in decoder.parameters()}
    kept: dict[int, tuple[int, Tensor]] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            # alive, so that no other takes its place
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    loss = partial(linear_loss, codes=torch.randint(0, 64, (2, 7, 24)))
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        run(decoder, half, "sdpa", read=loss)
    return sum(size for size, _ in kept.values())


@pytest.mark.parametrize("half", [False, True])
def test_memory_of_activations_is_estimated_well(half: bool) -> None:
    decoder = Decoder(CONFIG)
    assert kept_bytes(decoder, half) == pytest.approx(
        activation_bytes(Plan(CONFIG, 7, 2, 5, half=half)), rel=0.25
    )
    recompute_blocks(decoder)
    # counts the block at work too
    estimate = activation_bytes(Plan(CONFIG, 7, 2, 5, half=half, recompute=True))
    assert 0.2 * estimate < kept_bytes(decoder, half) < estimate


def test_dividing_leaves_each_device_its_share() -> None:
    plan = read_plan("xl")
    whole = memory_bytes(plan, 8, divided=False)
    parts = memory_bytes(plan, 8, divided=True)
    total = sum(parameter_counts(plan.decoder).values())
    assert whole["weights"] == 4 * total and whole["optimizer"] == 8 * total
    assert parts["optimizer"] == total and parts["activations"] == whole["activations"]
    assert 4 * total / 8 < parts["weights"] < 4 * total / 4


def test_the_command_prints_the_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["describe", "base"]) == 0
    printed = capsys.readouterr().out
    assert "tokens per clip             2361 (9 latent frames or 33 frames; text 48)" in printed
    assert "8, divided (fsdp)" in printed
    (tmp_path / "other.yaml").write_text("trainer: {max_steps: 3}\n")
    for word, problem in (
        ("bse", "the package has bair, base, "),
        (str(tmp_path / "other.yaml"), "is not the config of a"),
    ):
        assert main(["describe", word]) == 2
        assert problem in capsys.readouterr().err
