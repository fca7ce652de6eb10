"""The training loop on a few tiny clips: it learns, exports what it averaged, resumes, and reads its YAML files."""

from pathlib import Path
from typing import Any

import kinetoscope.configs
import lightning.pytorch as pl
import pytest
import torch
from kinetoscope.tokenizer import TokenizerConfig, VideoTokenizer
from kinetoscope.tokenizer.module import TokenizerModule
from kinetoscope.tokenizer.training_cli import run
from PIL import Image
from torch.utils.data import DataLoader

CONFIGS = sorted((Path(kinetoscope.configs.__path__[0]) / "tokenizer").glob("*.yaml"))
PHYSICS = "kinetoscope.data.module.PhysicsDataModule"


class Squares(pl.LightningDataModule):
    """A bright square that wanders over a shaded floor."""

    def clips(self) -> list[dict[str, Any]]:
        clips = []
        for seed in range(8):
            colour = torch.randint(0, 255, (3, 1, 1), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
            video = torch.linspace(30, 120, 16).to(torch.uint8).view(1, 1, 16, 1).repeat(3, 7, 1, 16)
            foreground = torch.zeros(1, 7, 16, 16, dtype=torch.bool)
            for frame in range(7):
                video[:, frame, 4:9, frame : frame + 5] = colour
                foreground[:, frame, 4:9, frame : frame + 5] = True
            clips.append({"video": video, "foreground": foreground})
        return clips

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.clips(), batch_size=4)  # type: ignore[arg-type]

    val_dataloader = train_dataloader


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
    return TokenizerModule(tiny_config, lr=1e-2, warmup_steps=1, ema_decay=0.5, grid_every=4, usage_every=2)


def test_training_learns_and_exports_what_it_averaged(module: TokenizerModule, tmp_path: Path) -> None:
    fit = trainer(tmp_path, steps=30, precision="bf16-mixed")
    fit.fit(module, Squares())
    rows = (log_dir(fit) / "metrics.csv").read_text().splitlines()
    header = rows[0].split(",")
    assert {"train/psnr_fg", "train/perplexity", "val/psnr", "val/ssim", "val/codes_used"} <= set(header)
    column = header.index("train/psnr")
    curve = [float(row.split(",")[column]) for row in rows[1:] if row.split(",")[column]]
    assert curve[-1] > curve[0] + 3
    exported = VideoTokenizer.from_pretrained(log_dir(fit) / "tokenizer")
    assert exported.id == module.model.id
    assert exported.whitening.fitted
    picture = Image.open(sorted((log_dir(fit) / "reconstructions").glob("*.png"))[-1])
    assert picture.size == (4 * 16, 4 * 3 * 16)


def test_averaging_leaves_the_quantizer_tables_alone(module: TokenizerModule, tmp_path: Path) -> None:
    """Averaged integers are rounded down, and every code would mean another vector."""
    before = module.model.code_vectors(torch.arange(60).view(1, 60, 1, 1))
    trainer(tmp_path, steps=4).fit(module, Squares())
    assert torch.equal(module.model.code_vectors(torch.arange(60).view(1, 60, 1, 1)), before)


class StopAt(pl.Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        trainer.should_stop = trainer.global_step >= self.step


@pytest.mark.parametrize("muon_lr", [0.0, 1e-2])
def test_a_stopped_run_goes_on_where_it_was(tiny_config: TokenizerConfig, tmp_path: Path, muon_lr: float) -> None:
    """Stopped after 4 of 8 steps and resumed, a run ends with the weights of one that was never stopped."""

    def fresh() -> TokenizerModule:
        torch.manual_seed(0)
        return TokenizerModule(tiny_config, lr=1e-2, muon_lr=muon_lr, warmup_steps=1, ema_decay=0.5, grid_every=0)

    whole, resumed = fresh(), fresh()
    trainer(tmp_path, steps=8).fit(whole, Squares())
    stopped = trainer(tmp_path, steps=8)
    stopped.callbacks.append(StopAt(4))  # type: ignore[attr-defined]
    stopped.fit(fresh(), Squares())
    assert stopped.global_step == 4
    trainer(tmp_path, steps=8).fit(resumed, Squares(), ckpt_path=log_dir(stopped) / "checkpoints" / "last.ckpt")
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


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_yaml_parses_with_overrides(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = ["--data.root", "clips"] if config.stem == "folder" else []
    with pytest.raises(SystemExit) as left:
        run(TokenizerModule, ["fit", "--config", str(config), *root, "--data.size", "48", "--print_config"])
    printed = capsys.readouterr()
    assert left.value.code == 0, printed.err
    assert "size: 48" in printed.out


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--data", "subprocess.Popen"], "class subprocess.Popen is not allowed"),
        (["--model.lr", "fast"], "model.lr"),
        (
            ["--data", PHYSICS, "--model.quantizer_warmup", "2"],
            "from 0 to below 1; got 2",
        ),
        (["--config", "absent.yaml"], "absent.yaml"),
    ],
)
def test_mistakes_end_in_one_line(args: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run(TokenizerModule, ["fit", *args])
    lines = capsys.readouterr().err.strip().splitlines()
    assert left.value.code == 2
    assert lines[-1].startswith("error: ") and problem in lines[-1]
