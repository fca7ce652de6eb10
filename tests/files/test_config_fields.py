"""Configs of models are checked field by field: each loads, or one line names file and field."""

import copy
import dataclasses
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from kinetoscope.data.worlds.physics.judge.network import JudgeConfig
from kinetoscope.files.config_fields import read_fields
from kinetoscope.files.errors import UnreadableFile
from kinetoscope.files.memory_limit import MemoryLimit
from kinetoscope.generator import DecoderConfig
from kinetoscope.generator.model.decoder import Decoder
from kinetoscope.tokenizer import QuantizerConfig, StackConfig, TokenizerConfig, VideoTokenizer
from safetensors.torch import load_file, save_file
from torch import Tensor

ODD: list[Any] = [None, "8", "", "x" * 2000, True, -1, 0, 1, 2, 3, 7, 2**31, 10**30, 0.5, 1e300]
ODD += [float("nan"), float("inf"), [], [3], [2] * 5000, ["a"], {}, {"a": 1}, [[1]], "FSQ", "LFQ"]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to everything in nested dicts and lists."""
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    for key in keys:
        yield (*path, key)
        yield from places(value[key], (*path, key))


def mutant(values: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """The config with one to three changes: a value replaced, left out, doubled or misnamed."""
    changed = copy.deepcopy(values)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        found = list(places(changed))
        if not found:
            break
        *way, key = draw.choice(found)
        inside: Any = changed
        for step in way:
            inside = inside[step]
        kind = draw.randrange(6)
        if kind == 0:
            del inside[key]
        elif kind == 1 and isinstance(inside, dict):
            inside[f"{key}s"] = inside.pop(key)
        elif kind == 2 and isinstance(inside, list):
            inside.append(inside[key])
        else:
            inside[key] = copy.deepcopy(draw.choice(ODD))
    return changed


TOKENIZER = json.loads(json.dumps(dataclasses.asdict(TokenizerConfig())))
DECODER = json.loads(
    json.dumps(
        DecoderConfig(
            vocab_size=12, text_dim=16, levels=(4, 3), conditions=(("actions", 3),)
        ).to_dict()
    )
)
READERS: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], Any]]] = {
    "tokenizer": (TOKENIZER, TokenizerConfig.from_dict),
    "decoder": (DECODER | {"tokenizer": "0123456789ab"}, DecoderConfig.from_dict),
    "judge": (
        json.loads(json.dumps(dataclasses.asdict(JudgeConfig()))),
        lambda values: read_fields(JudgeConfig, values),
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_a_mutant_of_a_config_is_read_or_refused_in_a_line(name: str) -> None:
    values, read = READERS[name]
    assert read(values)
    draw = random.Random(name)
    refused = 0
    for _ in range(2000):
        changed = mutant(values, draw)
        try:
            read(changed)
        except ValueError as error:
            refused += 1
            line = str(error)
            assert "\n" not in line and 10 < len(line) < 400, line
            assert not isinstance(error, UnicodeError | json.JSONDecodeError)
    assert refused > 1200


def test_the_field_and_what_was_expected_are_named() -> None:
    def complaint(path: str, value: Any) -> str:
        changed = copy.deepcopy(TOKENIZER)
        *way, key = path.split(".")
        inside = changed
        for step in way:
            inside = inside[step]
        inside[key] = value
        with pytest.raises(ValueError) as caught:
            TokenizerConfig.from_dict(changed)
        return str(caught.value)

    assert complaint("patch", "8") == "patch must be a whole number from 1 to 64; got '8'"
    assert complaint("patch", True) == "patch must be a whole number from 1 to 64; got True"
    assert (
        complaint("encoder.depth", 10**9)
        == "encoder.depth must be a whole number from 1 to 256; got 1000000000"
    )
    assert (
        complaint("encoder.spatial", [0, 1.5])
        == "encoder.spatial[1] must be a whole number from 0 to 255; got 1.5"
    )
    assert complaint("encoder.kernel", 4).startswith("encoder: kernel must be odd")
    assert complaint("encoder", 3) == "encoder must be an object with named fields; got 3"
    assert complaint("pach", 3) == "'pach' is not a field of this config; did you mean 'patch'?"
    assert complaint("quantizer.args", {"levels": [8] * 9}).startswith(
        "quantizer: FSQ's levels [8, 8, 8, 8, 8, 8, 8, 8, 8] make 134217728 codes"
    )
    with pytest.raises(ValueError, match="vocab_size is missing"):
        DecoderConfig.from_dict({"text_dim": 3})


def test_numbers_of_numpy_and_tuples_are_taken() -> None:
    @dataclasses.dataclass(frozen=True)
    class Sizes:
        LIMITS: ClassVar = {"width": (1, 9)}
        width: int
        grid: tuple[int, int] = (1, 1)
        share: float = 0.5

    sizes = read_fields(Sizes, {"width": np.int64(3), "grid": (2, 4), "share": 1})
    assert sizes == Sizes(3, (2, 4), 1) and type(sizes.width) is int


# ---- in folders ----


@pytest.fixture
def tokenizer_folder(tmp_path: Path) -> Path:
    stack = StackConfig(width=8, depth=2, kernel=3, spatial=(0,), temporal=(0,))
    quantizer = QuantizerConfig("FSQ", {"levels": [4, 3]})
    sizes = TokenizerConfig(patch=4, encoder=stack, decoder=stack, quantizer=quantizer)
    VideoTokenizer(sizes).save_pretrained(tmp_path)
    return tmp_path


def test_mutants_of_a_folder_load_or_name_the_file(tokenizer_folder: Path) -> None:
    file = tokenizer_folder / "config.json"
    values = json.loads(file.read_text())
    draw = random.Random(5)
    ended = {"loaded": 0, "refused": 0}
    for _ in range(250):
        file.write_text(json.dumps(mutant(values, draw)))
        try:
            VideoTokenizer.from_pretrained(tokenizer_folder)
            ended["loaded"] += 1
        except UnreadableFile as error:
            assert "\n" not in str(error) and str(file) in str(error), error
            ended["refused"] += 1
    assert ended["refused"] > 150 and ended["loaded"] > 0, ended


def test_what_a_config_claims_is_not_allocated(tokenizer_folder: Path) -> None:
    file = tokenizer_folder / "config.json"
    values = json.loads(file.read_text())
    values["encoder"] |= {"width": 1 << 14, "expand": 64, "depth": 256}  # 140 TB
    file.write_text(json.dumps(values))
    with pytest.raises(UnreadableFile, match="ask for more memory than its weights can need"):
        VideoTokenizer.from_pretrained(tokenizer_folder)


def test_the_limit_counts_every_tensor_that_is_made() -> None:
    with MemoryLimit(100):
        torch.zeros(3, 4)
        torch.randn((4, 5))
        torch.arange(8)
        torch.full((6, 10), 1.0)
        with pytest.raises(ValueError, match="more memory"):
            torch.empty(1)
    with MemoryLimit(10**6), pytest.raises(ValueError, match="more memory"):
        Decoder(DecoderConfig(vocab_size=10**6, text_dim=16))


def spoiled(weights: dict[str, Tensor], kind: str) -> str:
    """Spoil one weight; what the error says."""
    if kind == "nan":
        weights["embed.weight"][0, 0] = torch.nan
        return "embed.weight holds something that is no number"
    if kind == "infinite":
        weights["out.bias"][-1] = -torch.inf
        return "out.bias holds something that is no number"
    if kind == "whole numbers":
        weights["embed.weight"] = weights["embed.weight"].to(torch.int32)
        return "embed.weight is stored as I32"
    if kind == "bytes without scales":
        weights["embed.weight"] = weights["embed.weight"].to(torch.int8)
        return "embed.weight is stored as I8"
    if kind == "bytes with odd scales":
        weights["embed.weight"] = weights["embed.weight"].to(torch.int8)
        weights["embed.weight.scale"] = torch.ones(3)
        return "embed.weight and its scales do not fit each other"
    weights["embed.weight.scale"] = torch.ones(len(weights["embed.weight"]), 1)
    return "embed.weight and its scales do not fit each other"


@pytest.mark.parametrize(
    "kind",
    [
        "nan",
        "infinite",
        "whole numbers",
        "bytes without scales",
        "bytes with odd scales",
        "scales of none",
    ],
)
def test_spoiled_weights_are_refused_in_a_line(tokenizer_folder: Path, kind: str) -> None:
    file = tokenizer_folder / "model.safetensors"
    weights = load_file(file)
    message = spoiled(weights, kind)
    save_file(weights, file)
    with pytest.raises(UnreadableFile, match=message) as caught:
        VideoTokenizer.from_pretrained(tokenizer_folder)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)
