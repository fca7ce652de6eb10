"""Low-rank adapters: trained beside a model that stays as it is, saved small, loaded into that
model only."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.cli.main import main
from kinetoscope.data.video import read_metadata
from kinetoscope.generator import VideoGenerator
from kinetoscope.generator.tokens.batch import Stage
from kinetoscope.generator.training.lora import LINEARS, LoraSize, load_adapter, merge_lora
from kinetoscope.generator.training.module import GeneratorModule
from safetensors.torch import load_file, save_file

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def base(generator: VideoGenerator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    generator.save_pretrained(folder, half=False)
    return folder


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    """An adapter that changes what the model says."""
    from kinetoscope.generator.training.lora import save_adapter

    module = GeneratorModule(init_from=str(base), lora=LoraSize(4))
    module.configure_model()
    for name, parameter in module.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    save_adapter(tmp_path / "adapter", module.model.state_dict(), module.lora, *module.base)
    return tmp_path / "adapter"


def logits(generator: VideoGenerator) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 12, (2, 4, 2, 3), generator=draw)
    with torch.no_grad():
        return generator.decoder(codes, *generator.encode_text(["a red ball", "a blue cube"]))


def test_only_adapters_are_trained_and_saved(
    fresh: Make, make_trainer: Make, make_data: Make, tmp_path: Path
) -> None:
    fresh().generator().save_pretrained(tmp_path / "base")
    module = GeneratorModule(
        init_from=str(tmp_path / "base"),
        lora=LoraSize(2),
        lr=3e-2,
        muon_lr=1e-2,
        warmup_steps=1,
        ema_decay=0.5,
        samples_every=0,
    )
    old = VideoGenerator.from_pretrained(tmp_path / "base")
    trainer, losses = make_trainer(tmp_path, 20)
    trainer.fit(module, make_data(tmp_path, [Stage(1, 2, 8)]))
    assert sum(losses[-3:]) < sum(losses[:3])
    base_weights = {
        n.replace(".base_layer", ""): p
        for n, p in module.model.named_parameters()
        if "lora_" not in n
    }
    assert all(torch.equal(base_weights[name], p) for name, p in old.decoder.named_parameters())
    size = (module.export_folder / "model.safetensors").stat().st_size
    rank_numbers = 2 * sum(
        sum(getattr(b, name).weight.shape) for b in old.decoder.blocks for name in LINEARS
    )
    assert 2 * rank_numbers <= size < 2 * rank_numbers + 4000
    adapted = VideoGenerator.from_pretrained(tmp_path / "base")
    load_adapter(adapted, module.export_folder)
    codes = torch.randint(0, 16, (2, 2, 2, 2))
    with torch.no_grad():
        wanted, got, before = (d(codes) for d in (module.averaged, adapted.decoder, old.decoder))
    torch.testing.assert_close(got, wanted, atol=2e-2, rtol=2e-2)
    assert (got - before).abs().max() > 0.1


def test_merged_adapters_compute_the_same(base: Path, adapter: Path, tmp_path: Path) -> None:
    plain, beside, merged = (VideoGenerator.from_pretrained(base) for _ in range(3))
    load_adapter(beside, adapter, merge=False)
    load_adapter(merged, adapter)
    torch.testing.assert_close(logits(merged), logits(beside), atol=1e-4, rtol=1e-4)
    assert (logits(merged) - logits(plain)).abs().max() > 0.1
    merged.save_pretrained(tmp_path / "merged", half=False)
    assert torch.equal(logits(VideoGenerator.from_pretrained(tmp_path / "merged")), logits(merged))


def test_the_command_samples_with_an_adapter(base: Path, adapter: Path, tmp_path: Path) -> None:
    clips = [tmp_path / name for name in ("plain.mp4", "adapted.mp4")]
    words = [
        "sample",
        "a red ball",
        "--model",
        str(base),
        "--frames",
        "9",
        "--seed",
        "1",
        "--scale",
        "1",
    ]
    assert main([*words, "--out", str(clips[0])]) == 0
    assert main([*words, "--out", str(clips[1]), "--adapter", str(adapter)]) == 0
    assert clips[0].read_bytes() != clips[1].read_bytes()
    assert read_metadata(clips[1])["adapter"] == "adapter"


def test_mistakes_are_named(
    base: Path, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = VideoGenerator.from_pretrained(base)
    other.decoder.no_text.data.add_(1)
    with pytest.raises(
        ValueError, match=r"belongs to model '.*base.*' \(\w{12}\), and this one is"
    ):
        load_adapter(other, adapter)
    with pytest.raises(ValueError, match="holds a model and no adapter"):
        load_adapter(other, base)
    with pytest.raises(ValueError, match=r"lora\.rank adapts a trained model: set init_from"):
        GeneratorModule(lora=LoraSize(2))
    (adapter / "model.safetensors").write_bytes(b"?")
    assert (
        main(
            [
                "sample",
                "a ball",
                "--model",
                str(base),
                "--adapter",
                str(adapter),
                "--out",
                str(tmp_path),
            ]
        )
        == 2
    )
    assert "is not a readable safetensors file" in capsys.readouterr().err


def spoil(adapter: Path, kind: str) -> str:
    """Spoil an adapter; what the error says."""
    config = json.loads((adapter / "config.json").read_text())
    weights = load_file(adapter / "model.safetensors")
    name = next(iter(weights))
    message = f"{adapter.name}/config.json': "
    if kind == "rank as text":
        config["lora"]["rank"] = "8"
        message += "lora.rank must be a whole number from 0 to 4096; got '8'"
    elif kind == "rank 0":
        config["lora"]["rank"] = 0
        message += "lora.rank of an adapter must be at least 1"
    elif kind == "surplus key":
        config["lora"]["dropout"] = 0.1
        message += "'lora.dropout' is not a field"
    elif kind == "empty list":
        config["lora"] = []
        message += r"lora must be an object with named fields; got \[\]"
    elif kind == "no base":
        del config["base_id"]
        message += "base_id is missing"
    elif kind == "list":
        config = [config]
        message = "must hold a JSON object"
    else:
        message = "model.safetensors' "
        if kind == "another rank":
            config["lora"]["rank"] = 4096
            message += "does not fit the config.json beside it"
        elif kind == "surplus weight":
            weights["more"] = torch.zeros(1)
            message += "does not fit the config.json beside it"
        elif kind == "nan":
            weights[name][0, 0] = torch.nan
            message += f"is damaged: {name} holds something that is no number"
    (adapter / "config.json").write_text(json.dumps(config))
    save_file(weights, adapter / "model.safetensors")
    return message


KINDS = ("rank as text", "rank 0", "surplus key", "empty list", "no base", "list")


@pytest.mark.parametrize("kind", [*KINDS, "another rank", "surplus weight", "nan"])
def test_a_refused_adapter_leaves_the_generator_as_it_was(
    base: Path, adapter: Path, tmp_path: Path, kind: str
) -> None:
    generator = VideoGenerator.from_pretrained(base)
    before = generator.id
    bad = tmp_path / "bad"
    shutil.copytree(adapter, bad)
    message = spoil(bad, kind)
    with pytest.raises(ValueError, match=message) as caught:
        load_adapter(generator, bad)
    assert "\n" not in str(caught.value)
    assert generator.id == before
    assert not any("lora" in name for name in generator.decoder.state_dict())
    load_adapter(generator, adapter)
    assert generator.id != before


def test_adapters_beside_the_weights_are_not_saved_with_them(
    base: Path, adapter: Path, tmp_path: Path
) -> None:
    generator = VideoGenerator.from_pretrained(base)
    load_adapter(generator, adapter, merge=False)
    with pytest.raises(ValueError, match=r"call merge_lora.*or save_adapter"):
        generator.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    with pytest.raises(ValueError, match="has an adapter beside its weights; call merge_lora"):
        load_adapter(generator, adapter)
    before = logits(generator)
    merge_lora(generator.decoder)
    generator.save_pretrained(tmp_path / "model", half=False)
    torch.testing.assert_close(
        logits(VideoGenerator.from_pretrained(tmp_path / "model")), before, atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("lighter", [("bfloat16", None), ("float32", "int8")])
def test_adapters_come_before_a_model_is_made_lighter(
    base: Path, adapter: Path, lighter: tuple[str, str | None]
) -> None:
    with pytest.raises(ValueError, match=r"belongs to weights in float32.*lighten\(dtype"):
        load_adapter(VideoGenerator.from_pretrained(base, *lighter), adapter)
    generator = VideoGenerator.from_pretrained(base)
    load_adapter(generator, adapter)
    exact = generator.generate("a red ball", 5, seed=1)
    assert generator.lighten(*lighter).generate("a red ball", 5, seed=1).shape == exact.shape


def test_an_adapter_is_no_model(
    adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=r"holds an adapter of model .* and no model"):
        VideoGenerator.from_pretrained(adapter)
    out = str(tmp_path / "ball.mp4")
    assert main(["sample", "a red ball", "--model", str(adapter), "--out", out]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--adapter" in said
