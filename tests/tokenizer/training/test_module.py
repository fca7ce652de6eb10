"""The training loop on a few tiny clips: it learns, exports what it averaged, resumes, and reads
its YAML files."""

import dataclasses
from pathlib import Path
from typing import Any

import kinetoscope.configs
import lightning.pytorch as pl
import pytest
import torch
from kinetoscope.tokenizer import QuantizerConfig, TokenizerConfig, VideoTokenizer
from kinetoscope.tokenizer.training.losses import LossWeights
from kinetoscope.tokenizer.training.module import TokenizerModule
from kinetoscope.training.cli import run
from PIL import Image
from safetensors.torch import save_file
from torch.utils.data import DataLoader

CONFIGS = sorted((Path(kinetoscope.configs.__path__[0]) / "tokenizer").glob("*.yaml"))
PHYSICS = "kinetoscope.tokenizer.training.data_module.PhysicsDataModule"
NESTED = QuantizerConfig("FSQ", {"levels": [4, 3], "num_codebooks": 3, "preserve_symmetry": True})


class Squares(pl.LightningDataModule):
    """A bright square that wanders over a shaded floor."""

    def clips(self) -> list[dict[str, Any]]:
        clips = []
        for seed in range(8):
            colour = torch.randint(
                0, 255, (3, 1, 1), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8
            )
            video = (
                torch.linspace(30, 120, 16).to(torch.uint8).view(1, 1, 16, 1).repeat(3, 7, 1, 16)
            )
            foreground = torch.zeros(1, 7, 16, 16, dtype=torch.bool)
            for frame in range(7):
                video[:, frame, 4:9, frame : frame + 5] = colour
                foreground[:, frame, 4:9, frame : frame + 5] = True
            clips.append({"video": video, "foreground": foreground})
        return clips

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.clips(), batch_size=4)  # type: ignore[arg-type]

    val_dataloader = train_dataloader


class Kinds(Squares):
    """Validates on the same clips, a batch of one kind after a batch of another."""

    def val_dataloader(self) -> DataLoader[Any]:
        clips = torch.stack([clip["video"] for clip in self.clips()])
        batches = [{"video": clips[:4], "kind": "left"}, {"video": clips[4:], "kind": "right"}]
        return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


def trainer(folder: Path, steps: int, **options: Any) -> pl.Trainer:
    checkpoints = pl.callbacks.ModelCheckpoint(every_n_train_steps=2, save_last=True)
    return pl.Trainer(
        max_steps=steps,
        default_root_dir=folder,
        logger=pl.loggers.CSVLogger(folder),
        callbacks=[checkpoints],
        log_every_n_steps=1,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=1.0,
        **options,
    )


def log_dir(fit: pl.Trainer) -> Path:
    return Path(fit.log_dir or "")


@pytest.fixture(autouse=True)
def no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning CLI warns about arguments of the test runner."""
    monkeypatch.setattr("sys.argv", ["kinetoscope.tokenizer"])


@pytest.fixture
def module(tiny_config: TokenizerConfig) -> TokenizerModule:
    torch.manual_seed(0)
    return TokenizerModule(
        tiny_config, lr=1e-2, warmup_steps=1, ema_decay=0.5, grid_every=4, usage_every=2
    )


def test_training_learns_and_exports_what_it_averaged(
    module: TokenizerModule, tmp_path: Path
) -> None:
    fit = trainer(tmp_path, steps=30, precision="bf16-mixed", check_val_every_n_epoch=15)
    fit.fit(module, Squares())
    rows = (log_dir(fit) / "metrics.csv").read_text().splitlines()
    header = rows[0].split(",")
    assert {"train/psnr_fg", "train/perplexity", "val/psnr", "val/ssim", "val/codes_used"} <= set(
        header
    )
    column = header.index("train/psnr")
    curve = [float(row.split(",")[column]) for row in rows[1:] if row.split(",")[column]]
    assert curve[-1] > curve[0] + 3
    exported = VideoTokenizer.from_pretrained(log_dir(fit) / "tokenizer")
    assert exported.id == module.model.id
    assert exported.whitening.fitted
    picture = Image.open(sorted((log_dir(fit) / "reconstructions").glob("*.png"))[-1])
    assert picture.size == (4 * 16, 4 * 3 * 16)


def test_averaging_leaves_the_quantizer_tables_alone(
    module: TokenizerModule, tmp_path: Path
) -> None:
    """Averaged integers are rounded down, and every code would mean another vector."""
    before = module.model.code_vectors(torch.arange(60).view(1, 60, 1, 1))
    trainer(tmp_path, steps=4).fit(module, Squares())
    assert torch.equal(module.model.code_vectors(torch.arange(60).view(1, 60, 1, 1)), before)


def test_every_rate_is_trained_and_measured(tiny_config: TokenizerConfig, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = dataclasses.replace(tiny_config, quantizer=NESTED)
    module = TokenizerModule(
        config, rate_weights=[1, 2, 1], lr=1e-2, warmup_steps=1, ema_decay=0, usage_every=5
    )
    fit = trainer(tmp_path, steps=60, check_val_every_n_epoch=30)
    fit.fit(module, Squares())
    logged = {name: float(value) for name, value in fit.callback_metrics.items()}
    assert logged["val/psnr_rate1"] < logged["val/psnr_rate2"] < logged["val/psnr"]
    assert {"val/ssim_rate1", "val/psnr_fg_rate2", "train/perplexity3"} <= set(logged)
    for book in (1, 2, 3):
        assert 1 <= logged[f"val/perplexity{book}"] <= logged[f"val/codes_used{book}"] <= 12


def test_rates_are_drawn_by_their_weights(tiny_config: TokenizerConfig) -> None:
    config = dataclasses.replace(tiny_config, quantizer=NESTED)
    drawn = TokenizerModule(config, rate_weights=[3, 0, 1])._draw_rates(400)
    assert drawn is not None and 250 < (drawn == 1).sum() < 350 and set(drawn.tolist()) == {1, 3}
    assert TokenizerModule(tiny_config)._draw_rates(4) is None
    for wrong in ([1.0, 1.0], [1.0, -1.0, 1.0], [0.0, 0.0, 0.0]):
        with pytest.raises(ValueError, match="rate_weights needs 3 numbers of 0 or more"):
            TokenizerModule(config, rate_weights=wrong)


@pytest.mark.parametrize("quantizer", [None, NESTED], ids=["one codebook", "three"])
def test_the_price_of_change_calms_codes(
    tiny_config: TokenizerConfig, tmp_path: Path, quantizer: QuantizerConfig | None
) -> None:
    """Noise of two grey levels flips codes; with a price on that they flip less."""

    class Noise(Squares):
        def clips(self) -> list[dict[str, Any]]:
            generator = torch.Generator().manual_seed(0)
            picture = torch.randint(60, 190, (8, 3, 1, 16, 16), generator=generator)
            noise = torch.randint(-1, 2, (8, 3, 10, 16, 16), generator=generator)
            return [{"video": video} for video in (picture + noise).to(torch.uint8)]

    def change(calm: float) -> float:
        torch.manual_seed(0)
        config = dataclasses.replace(tiny_config, quantizer=quantizer or tiny_config.quantizer)
        weights = LossWeights(calm=calm)
        module = TokenizerModule(
            config,
            weights,
            still_tolerance=4 / 255,
            lr=1e-2,
            warmup_steps=1,
            ema_decay=0,
            grid_every=0,
        )
        fit = trainer(tmp_path, steps=30, limit_val_batches=0)
        fit.fit(module, Noise())
        assert ("train/calm" in fit.callback_metrics) == (calm > 0)
        video = torch.stack([clip["video"] for clip in Noise().clips()]).float() / 127.5 - 1
        indices = module.model.eval().encode(video).indices
        return float((indices[:, 1:] != indices[:, :-1]).float().mean())

    assert change(calm=1.0) < change(calm=0.0) / 1.5


def test_a_network_looks_on_and_stays_out_of_what_is_saved(
    tiny_config: TokenizerConfig, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    vgg = {f"0.{name}": value for name, value in torch.nn.Conv2d(3, 4, 3).state_dict().items()}
    save_file(vgg, tmp_path / "vgg.safetensors")
    weights = LossWeights(squared=0, absolute=0, gradient=0, temporal=0, perceptual=1)
    module = TokenizerModule(
        tiny_config, weights, str(tmp_path / "vgg.safetensors"), lr=1e-2, warmup_steps=1
    )
    before = module.model.id
    fit = trainer(tmp_path, steps=2, limit_val_batches=0, precision="bf16-mixed")
    fit.fit(module, Squares())
    assert fit.callback_metrics["train/loss"] == fit.callback_metrics["train/perceptual"] > 0
    assert module.model.id != before
    saved = torch.load(log_dir(fit) / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert {name.split(".")[0] for name in saved} == {"model"}


def test_kinds_of_clips_are_measured_apart(module: TokenizerModule, tmp_path: Path) -> None:
    fit = trainer(tmp_path, steps=2)
    fit.fit(module, Kinds())
    logged = fit.callback_metrics
    apart = (logged["val/psnr_left"] + logged["val/psnr_right"]) / 2
    assert logged["val/psnr_left"] != logged["val/psnr_right"]
    assert float(logged["val/psnr"]) == pytest.approx(float(apart))


class StopAt(pl.Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        trainer.should_stop = trainer.global_step >= self.step


@pytest.mark.parametrize(("muon_lr", "quantizer"), [(0.0, None), (1e-2, None), (1e-2, NESTED)])
def test_a_stopped_run_goes_on_where_it_was(
    tiny_config: TokenizerConfig, tmp_path: Path, muon_lr: float, quantizer: QuantizerConfig | None
) -> None:
    """Stopped after 4 of 8 steps and resumed, a run ends with the weights of one that was never
    stopped."""
    config = dataclasses.replace(tiny_config, quantizer=quantizer or tiny_config.quantizer)

    def fresh() -> TokenizerModule:
        torch.manual_seed(0)
        return TokenizerModule(
            config, lr=1e-2, muon_lr=muon_lr, warmup_steps=1, ema_decay=0.5, grid_every=0
        )

    whole = fresh()
    resumed = fresh()
    trainer(tmp_path, steps=8).fit(whole, Squares())
    stopped = trainer(tmp_path, steps=8)
    stopped.callbacks.append(StopAt(4))  # type: ignore[attr-defined]
    stopped.fit(fresh(), Squares())
    assert stopped.global_step == 4
    trainer(tmp_path, steps=8).fit(
        resumed, Squares(), ckpt_path=log_dir(stopped) / "checkpoints" / "last.ckpt"
    )
    assert resumed.model.id == whole.model.id


def test_a_run_starts_from_an_exported_tokenizer(tiny: VideoTokenizer, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path / "old")
    module = TokenizerModule(init_from=str(tmp_path / "old"))
    assert module.model.id == tiny.id and module.model.training
    with pytest.raises(ValueError, match="other sizes"):
        TokenizerModule(TokenizerConfig(), init_from=str(tmp_path / "old"))


def test_a_run_needs_an_end(module: TokenizerModule, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"set trainer\.max_steps"):
        trainer(tmp_path, steps=-1, max_epochs=-1).fit(module, Squares())


@pytest.mark.parametrize(
    "config", [path for path in CONFIGS if "sound" not in path.stem], ids=lambda path: path.stem
)
def test_every_yaml_parses_with_overrides(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = ["--data.root", "clips"] if config.stem == "folder" else []
    with pytest.raises(SystemExit) as left:
        run(
            TokenizerModule,
            ["fit", "--config", str(config), *root, "--data.size", "48", "--print_config"],
        )
    printed = capsys.readouterr()
    assert left.value.code == 0, printed.err
    assert "size: 48" in printed.out


@pytest.mark.parametrize("decoder_only", [False, True])
def test_larger_patches_begin_from_a_small_tokenizer(
    tiny: VideoTokenizer, tmp_path: Path, decoder_only: bool
) -> None:
    tiny.save_pretrained(tmp_path / "small")
    module = TokenizerModule(
        init_from=str(tmp_path / "small"),
        patch=8,
        decoder_only=decoder_only,
        refine_stride=2,
        warmup_steps=1,
        grid_every=0,
        export_dir=str(tmp_path / "large"),
    )
    scale = module.model.whitening.scale.clone()
    assert (module.model.id == tiny.id) is decoder_only
    trainer(tmp_path, steps=2).fit(module, Squares())
    large = VideoTokenizer.from_pretrained(tmp_path / "large")
    assert large.config.patch == 8 and large.config.refine_stride == 2
    assert (large.id == tiny.id) is decoder_only
    low = large.whitening.low(4)
    assert torch.allclose(large.whitening.scale[:, low], scale[:, low], rtol=1e-3)
    assert (large.whitening.scale[:, ~low] != 1).any()  # what is new was measured
    if decoder_only:
        assert torch.allclose(large.embed.weight, module.model.embed.weight, atol=1e-3)
        assert not large.embed.weight.unflatten(1, (-1, 64))[:, :, ~low].any()


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--data", "subprocess.Popen"], "class subprocess.Popen is not allowed"),
        (["--model.lr", "fast"], "model.lr"),
        (
            ["--data", PHYSICS, "--model.quantizer_warmup", "2"],
            "from 0 to below 1; got 2",
        ),
        (["--data", PHYSICS, "--model.loss.adversarial", "0.5"], "set decoder_only"),
        (["--data", PHYSICS, "--model.loss.perceptual", "0.5"], "set both"),
        (["--data", PHYSICS, "--model.decoder.depth", "8"], "what init_from names"),
        (["--data", PHYSICS, "--model.patch", "16"], "what init_from names"),
        (["--config", "absent.yaml"], "absent.yaml"),
    ],
)
def test_mistakes_end_in_one_line(
    args: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        run(TokenizerModule, ["fit", *args])
    lines = capsys.readouterr().err.strip().splitlines()
    assert left.value.code == 2
    assert lines[-1].startswith("error: ") and problem in lines[-1]
