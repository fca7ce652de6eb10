import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from kinetoscope.files import model_folder
from kinetoscope.files.fingerprint import fingerprint
from kinetoscope.tokenizer import QuantizerConfig, TokenizerConfig, VideoTokenizer
from safetensors.torch import load_file, save_file
from torch import Tensor


@pytest.mark.parametrize("half", [True, False])
def test_a_saved_tokenizer_comes_back(
    tiny: VideoTokenizer, clip: Tensor, tmp_path: Path, half: bool
) -> None:
    tiny.save_pretrained(tmp_path, half)
    loaded = VideoTokenizer.from_pretrained(tmp_path)
    assert loaded.config == tiny.config
    assert loaded.id == tiny.id and len(tiny.id) == 12
    assert all(parameter.dtype == torch.float32 for parameter in loaded.parameters())
    assert not loaded.training
    torch.testing.assert_close(
        loaded.decode(tiny.encode(clip)), tiny.decode(tiny.encode(clip)), atol=0.02, rtol=0
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def write_in_place(model: VideoTokenizer) -> None:
    with torch.no_grad():
        model.embed.weight[0, 0] += 1


def write_in_inference_mode(model: VideoTokenizer) -> None:
    with torch.inference_mode():
        model.out.bias += 1


def take_a_step(model: VideoTokenizer) -> None:
    optimizer = torch.optim.AdamW(model.decoder.parameters(), lr=0.1)
    for parameter in model.decoder.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()


def load(model: VideoTokenizer) -> None:
    model.load_state_dict({name: value + 1 for name, value in model.state_dict().items()})


def replace(model: VideoTokenizer) -> None:
    model.lift.weight = torch.nn.Parameter(model.lift.weight.detach() + 1)


def take_averages(model: VideoTokenizer) -> None:
    """As Lightning's EMA does: through `.data`, which PyTorch does not count."""
    for parameter in model.parameters():
        parameter.data.copy_(parameter.data * 0.9)


def measure_whitening(model: VideoTokenizer) -> None:
    model.fit_whitening([torch.rand(2, 3, 7, 16, 16)])


@pytest.mark.parametrize(
    "change",
    [
        write_in_place,
        write_in_inference_mode,
        take_a_step,
        load,
        replace,
        take_averages,
        measure_whitening,
    ],
)
def test_the_id_follows_the_weights(
    tiny: VideoTokenizer, change: Callable[[VideoTokenizer], None]
) -> None:
    before = tiny.id
    assert tiny.id == before
    change(tiny)
    assert tiny.id == fingerprint(tiny.config.marks(), tiny.state_dict()) != before


def test_the_id_follows_a_codebook_that_learns(tiny_config: TokenizerConfig, clip: Tensor) -> None:
    quantizer = QuantizerConfig("VectorQuantize", {"dim": 4, "codebook_size": 16, "decay": 0.5})
    tokenizer = VideoTokenizer(dataclasses.replace(tiny_config, quantizer=quantizer))
    before = tokenizer.id
    tokenizer.train()(clip)
    assert tokenizer.id == fingerprint(tokenizer.config.marks(), tokenizer.state_dict()) != before


def test_weights_are_hashed_once(
    tiny: VideoTokenizer, clip: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tiny.id
    monkeypatch.delattr("kinetoscope.tokenizer.model.fingerprint")
    assert tiny.encode(clip).tokenizer == tiny.eval().id == before
    with torch.inference_mode():
        assert tiny.encode(clip).tokenizer == before


def test_a_tokenizer_made_in_inference_mode_has_an_id(tiny: VideoTokenizer) -> None:
    with torch.inference_mode():
        copy = VideoTokenizer(tiny.config)
        copy.load_state_dict(tiny.state_dict())
        assert copy.id == tiny.id
        copy.embed.weight[0, 0] += 1
    assert copy.id != tiny.id


def test_a_tokenizer_is_found_inside_a_model_folder(tiny: VideoTokenizer, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path / "tokenizer")
    assert VideoTokenizer.from_pretrained(tmp_path).id == tiny.id


def test_shipped_models_are_found_and_listed(
    tiny: VideoTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.save_pretrained(tmp_path / "small-1" / "tokenizer")
    monkeypatch.setattr(model_folder.resources, "files", lambda package: tmp_path)
    assert VideoTokenizer.from_pretrained("small-1").id == tiny.id
    with pytest.raises(ValueError, match="unknown model 'small-2'; shipped models: small-1;"):
        VideoTokenizer.from_pretrained("small-2")


def test_pickles_are_refused_unread(tmp_path: Path) -> None:
    trap = tmp_path / "model.ckpt"
    trap.write_bytes(b"cos\nsystem\n(S'touch opened'\ntR.")
    with pytest.raises(ValueError, match="is a pickle"):
        VideoTokenizer.from_pretrained(trap)
    with pytest.raises(ValueError, match=r"holds only pickles \(model.ckpt\)"):
        VideoTokenizer.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(trap.read_bytes())
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="not a readable safetensors"):
        VideoTokenizer.from_pretrained(tmp_path)


def _drop(weights: dict[str, Tensor]) -> None:
    del weights["embed.weight"]


def _add(weights: dict[str, Tensor]) -> None:
    weights["extra"] = torch.zeros(1)


def _grow(weights: dict[str, Tensor]) -> None:
    weights["embed.bias"] = torch.zeros(99)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (_drop, "embed.weight is missing"),
        (_add, "extra is not in the model"),
        (_grow, r"embed.bias has shape \[99\] instead of \[16\]"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tiny: VideoTokenizer, tmp_path: Path, spoil, problem: str
) -> None:
    tiny.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    spoil(weights)
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=f"does not fit .*: {problem}") as caught:
        VideoTokenizer.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)


def test_broken_configs_are_refused(tiny: VideoTokenizer, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path)
    for text, problem in (
        ("{", "not valid JSON"),
        ("[]", "must hold a JSON object"),
        (json.dumps({"colour": 1}), "config.json.*colour.* is not a field"),
    ):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ValueError, match=problem):
            VideoTokenizer.from_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ValueError, match=r"config\.json and model.safetensors are needed"):
        VideoTokenizer.from_pretrained(tmp_path)


def test_the_tokenizer_is_a_library_on_its_own() -> None:
    """Importing it must not pay for, or depend on, what only training and generation need."""
    heavy = [
        "lightning",
        "torchmetrics",
        "transformers",
        "xformers",
        "gradio",
        "jsonargparse",
        "av",
    ]
    heavy += ["kinetoscope.data", "kinetoscope.generator"]
    code = f"import sys, kinetoscope.tokenizer; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
