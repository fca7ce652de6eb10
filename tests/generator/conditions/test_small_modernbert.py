"""The encoder that is read without transformers gives what transformers gives."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.files.model_folder import find_folder
from kinetoscope.generator import TextEncoder
from kinetoscope.generator.conditions.text_encoder import read_any, read_small
from safetensors.torch import load_file
from transformers import ModernBertConfig, ModernBertModel

SHIPPED = find_folder("physics-64", "text")
TEXT = "a Large red ball rolls to the left , CUBE é日本 xyzzy 12 it's - [MASK] [PAD] ¼ (dog)"
WORDS = TEXT.split(" ")


def oracle(folder: Path) -> TextEncoder:
    return TextEncoder(*read_any(folder))


def small(folder: Path) -> TextEncoder:
    parts = read_small(folder)
    assert parts is not None
    return TextEncoder(*parts)


def sentences(seed: int, longest: int) -> list[str]:
    draw = random.Random(seed)
    lengths = [draw.randint(1, longest) for _ in range(draw.randint(1, 6))]
    return [" ".join(draw.choices(WORDS, k=length)) for length in lengths]


def assert_same(mine: TextEncoder, theirs: TextEncoder, captions: list[str]) -> None:
    (states, mask) = mine.encode(captions)
    (wanted, real) = theirs.encode(captions)
    assert torch.equal(mask, real)
    torch.testing.assert_close(states, wanted, atol=1e-5, rtol=0)


def test_states_are_those_of_transformers() -> None:
    mine = small(SHIPPED)
    theirs = oracle(SHIPPED)
    assert mine.id == theirs.id
    assert (mine.dim, mine.max_tokens) == (theirs.dim, theirs.max_tokens)
    for seed in range(20):
        captions = sentences(seed, longest=12)
        assert_same(mine, theirs, captions)
        assert mine.unknown_words(captions) == theirs.unknown_words(captions)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A folder of the same kind with other sizes, and weights that matter everywhere."""
    torch.manual_seed(0)
    layers: dict[str, Any] = {"num_hidden_layers": 2, "layer_types": ["full_attention"] * 2}
    sizes = {"hidden_size": 24, "intermediate_size": 20, "num_attention_heads": 3}
    names = ("bos", "cls", "eos", "pad", "sep")
    tokens: dict[str, Any] = {f"{name}_token_id": 0 for name in names}
    places = {"vocab_size": 251, "max_position_embeddings": 300}
    model = ModernBertModel(ModernBertConfig(**places, **sizes, **layers, **tokens))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    model.save_pretrained(tmp_path)
    settings = json.loads((SHIPPED / "tokenizer_config.json").read_text())
    settings["model_max_length"] = 300
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    shutil.copy(SHIPPED / "tokenizer.json", tmp_path)
    return tmp_path


def test_other_sizes_and_long_captions_too(other: Path) -> None:
    mine = small(other)
    theirs = oracle(other)
    assert mine.id == theirs.id
    assert_same(mine, theirs, ["a ball", "a " * 290])
    assert mine.max_tokens == 300


def test_saved_folders_are_those_of_transformers(tmp_path: Path) -> None:
    for half in (True, False):
        places = [tmp_path / f"{name}-{half}" for name in ("mine", "theirs")]
        small(SHIPPED).save_pretrained(places[0], half)
        oracle(SHIPPED).save_pretrained(places[1], half)
        names = sorted(path.name for path in places[0].iterdir())
        assert names == sorted(path.name for path in places[1].iterdir())
        for name in names:
            (mine, theirs) = (place / name for place in places)
            if name == "config.json":  # it names the version of transformers that wrote it
                (said, wanted) = (json.loads(path.read_text()) for path in (mine, theirs))
                del said["transformers_version"], wanted["transformers_version"]
                assert said == wanted
            else:
                assert mine.read_bytes() == theirs.read_bytes()
        assert oracle(places[0]).id == small(SHIPPED).id


def change(file: str, **values: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        content = json.loads((folder / file).read_text())
        content.update(values)
        (folder / file).write_text(json.dumps(content))

    return edit


def rope(**values: Any) -> dict[str, Any]:
    default = {"rope_theta": 100.0, "rope_type": "default"}
    return {"full_attention": default | values, "sliding_attention": default}


@pytest.mark.parametrize(
    "spoil",
    [
        change("config.json", hidden_activation="relu"),
        change("config.json", layer_types=["full_attention"] * 3 + ["sliding_attention"]),
        change("config.json", rope_parameters=rope(rope_type="linear", factor=2.0)),
        change("config.json", something_new=1),
        change("config.json", model_type="bert"),
        change("config.json", mlp_bias=True),
        change("config.json", num_attention_heads=0),
        change("config.json", hidden_size=-128),
        change("config.json", vocab_size=10**12),
        change("tokenizer_config.json", tokenizer_class="BertTokenizer"),
        change("tokenizer_config.json", padding_side="left"),
        change("tokenizer_config.json", unk_token="[NEW]"),
        change("tokenizer_config.json", do_lower_case=False),
        change("tokenizer.json", post_processor=None),
        lambda folder: (folder / "special_tokens_map.json").write_text("{}"),
        lambda folder: (folder / "model.safetensors").write_bytes(b"no weights"),
        lambda folder: (folder / "config.json").write_text("[1]"),
    ],
)
def test_any_other_folder_is_left_to_transformers(
    spoil: Callable[[Path], Any], tmp_path: Path
) -> None:
    folder = tmp_path / "text"
    shutil.copytree(SHIPPED, folder)
    assert read_small(folder) is not None
    spoil(folder)
    assert read_small(folder) is None


def test_weights_that_are_missing_are_left_to_transformers(other: Path) -> None:
    from safetensors.torch import save_file

    weights = load_file(other / "model.safetensors")
    del weights["final_norm.weight"]
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    assert read_small(other) is None
