"""Training as people do it: another rate, a longer run, few videos, mistakes. Each works, or one
line says what to set."""

import csv
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import kinetoscope.configs
import pytest
from kinetoscope.data.video.write import write_video
from kinetoscope.data.worlds.physics.clips import physics_batch
from kinetoscope.data.worlds.physics.scene import PhysicsConfig
from kinetoscope.generator import VideoGenerator
from kinetoscope.generator.training.module import GeneratorModule
from kinetoscope.training import precision
from kinetoscope.training.cli import run
from omegaconf import OmegaConf

CONFIGS = Path(kinetoscope.configs.__path__[0])
EVERY_STEP = (
    "[{class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: "
    "{every_n_train_steps: 1, monitor: step, mode: max, save_top_k: 9}}, "
    "{class_path: lightning.pytorch.callbacks.LearningRateMonitor}]"
)


class Ended(NamedTuple):
    """How a run ended: its status, its last line, and the learning rate of each step."""

    status: int
    line: str
    rates: dict[int, float]


Fit = Callable[..., Ended]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four small videos without captions of their own."""
    root = tmp_path_factory.mktemp("clips") / "red balls"
    root.mkdir()
    batch = physics_batch(range(4), 9, 16, PhysicsConfig(max_objects=1))
    for index, video in enumerate(batch["video"]):
        write_video(root / f"{index}.mp4", video, fps=12)
    return root


@pytest.fixture
def fit(
    videos: Path,
    parts: dict[str, str],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Fit:
    """Trains by the config for folders, made small; arguments go on from there."""
    monkeypatch.setattr("sys.argv", ["kinetoscope.generator"])
    monkeypatch.chdir(tmp_path)
    cache = tmp_path_factory.getbasetemp() / "cache of as people do"
    small = ["fit", "--config", str(CONFIGS / "generator/folder.yaml")]
    small += [f"--model.{name}={folder}" for name, folder in parts.items()]
    small += [f"--data.root={videos}", "--data.frames=5", "--data.size=16", "--data.rounds=1"]
    small += [f"--data.cache_dir={cache}", '--data.stages=[{"steps":9,"latents":2,"batch_size":2}]']
    small += ["--model.grid=[2,2]", "--model.size.dim=16", "--model.size.heads=1"]
    small += ["--model.size.kv_heads=1", "--model.size.layers=1", "--model.samples_every=0"]
    small += ["--model.warmup_steps=1", "--model.cooldown=0.5", "--model.lr=0.01"]
    small += ["--model.muon_lr=0", "--trainer.default_root_dir=runs", "--model.export_dir=model"]
    small += ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]
    small += ["--trainer.accelerator=cpu", "--trainer.log_every_n_steps=1"]
    small += ["--trainer.val_check_interval=1000", "--trainer.precision=32-true"]

    def fit_more(*arguments: str) -> Ended:
        status = 0
        callbacks = f"--trainer.callbacks={EVERY_STEP}"
        try:
            run(GeneratorModule, [*small, callbacks, *arguments])
        except SystemExit as left:
            status = int(left.code or 0)
        lines = capsys.readouterr().err.strip().splitlines()
        return Ended(status, lines[-1] if lines else "", rates(tmp_path / "runs"))

    return fit_more


def rates(root: Path) -> dict[int, float]:
    """Rates by steps, of the newest run below a folder."""
    versions = sorted(root.glob("lightning_logs/*/metrics.csv"), key=lambda p: p.stat().st_mtime)
    if not versions:
        return {}
    with versions[-1].open() as file:
        rows = list(csv.DictReader(file))
    name = next((key for key in rows[0] if key.startswith("lr-") and "/pg1" in key), "")
    return {int(row["step"]): float(row[name]) for row in rows if row.get(name)}


# ---- going on ----


def test_a_resumed_run_takes_the_new_rate_and_says_so(
    fit: Fit, caplog: pytest.LogCaptureFixture
) -> None:
    assert fit("--trainer.max_steps=2").status == 0
    with caplog.at_level(logging.WARNING):
        more = fit("--trainer.max_steps=6", "--ckpt_path=last", "--model.lr=0.004")
    assert "learning rate 0.004 in place of 0.01" in caplog.text
    # 6 steps, the last three of them falling: steps 2 to 5 are left
    assert list(more.rates.values()) == pytest.approx([0.004, 0.004, 0.004 * 2 / 3, 0.004 / 3])


def test_a_finished_run_made_longer_takes_no_step_at_rate_0(
    fit: Fit, caplog: pytest.LogCaptureFixture
) -> None:
    first = fit("--trainer.max_steps=4")
    assert list(first.rates.values()) == pytest.approx([0.01, 0.01, 0.01, 0.005])
    whole = fit("--trainer.max_steps=8", "--ckpt_path=last")
    assert list(whole.rates) == [4, 5, 6, 7]
    assert list(whole.rates.values()) == pytest.approx([0.01, 0.0075, 0.005, 0.0025])
    with caplog.at_level(logging.WARNING):
        assert fit("--trainer.max_steps=8", "--ckpt_path=last").status == 0
    assert "8 of 8 steps are done" in caplog.text and "--trainer.max_steps" in caplog.text


def test_two_runs_in_one_folder_keep_apart(fit: Fit) -> None:
    fit("--trainer.max_steps=1")
    fit("--trainer.max_steps=2")
    checkpoints = sorted(Path("runs").rglob("*.ckpt"))
    assert len({path.parent for path in checkpoints}) == 2 and len(checkpoints) == 3
    more = fit("--trainer.max_steps=3", "--ckpt_path=last")
    assert list(more.rates) == [2]


# ---- data ----


@pytest.mark.parametrize("count", [1, 2])
def test_few_videos_without_captions_train(
    fit: Fit, videos: Path, tmp_path: Path, count: int
) -> None:
    for index in range(count):
        target = tmp_path / f"few/{index}.mp4"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(videos / f"{index}.mp4", target)
    many = '--data.stages=[{"steps":9,"latents":2,"batch_size":16}]'
    ended = fit(f"--data.root={tmp_path / 'few'}", "--trainer.max_steps=2", many)
    assert (ended.status, list(ended.rates)) == (0, [0, 1]), ended.line
    assert VideoGenerator.from_pretrained("model").generate("a ball", 5).shape[2] == 5


def test_epochs_of_endless_clips_are_refused_in_one_line(fit: Fit) -> None:
    ended = fit("--trainer.max_steps=-1", "--trainer.max_epochs=2")
    assert ended.status == 2
    assert "have no epochs" in ended.line or "has no epochs: set trainer.max_steps" in ended.line
    ended = fit("--trainer.max_steps=-1", "--trainer.max_epochs=-1")
    assert ended.status == 2 and "set trainer.max_steps" in ended.line


# ---- mistakes ----


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--ckpt_path=nosuch.ckpt", "'nosuch.ckpt' does not exist; --ckpt_path last takes"),
        ("--trainer.accelerator=gpu", "--trainer.accelerator auto takes what is there"),
        ("--trainer.accelerator=tpu", "torch_xla"),
        ("--trainer.accelerator=moon", "accelerator"),
        ("--trainer.val_check_interval=0.5", "val_check_interval"),
        ("--trainer.precision=13", "recision"),
        ("--model.learning_rate=1e-3", "did you mean 'model.lr'?"),
        ("--model.size.layres=2", "did you mean 'model.size.layers'?"),
        ("--model.loss.objcts=2", "did you mean 'model.loss."),
        ("--trainer.max_stpes=2", "did you mean 'trainer.max_steps'?"),
        ("--trainr.max_steps=2", "did you mean 'trainer"),
        ("--data.rots=here", "did you mean"),
        ("--model.size.layers=many", "model.size.layers"),
        ("--model.lr=fast", "model.lr"),
        ("--config=nosuch.yaml", "nosuch.yaml"),
    ],
)
def test_a_mistake_ends_in_one_line(fit: Fit, argument: str, said: str) -> None:
    ended = fit("--trainer.max_steps=1", argument)
    assert ended.status == 2
    assert ended.line.startswith("error: ") and said in ended.line
    assert not Path("model").exists()


# ---- precision ----


def speeds(monkeypatch: pytest.MonkeyPatch, half: float) -> list[Any]:
    """Products in float32 take a second, and in bfloat16 `half`; returns what is measured."""
    asked: list[Any] = []

    def seconds(device: Any, dtype: Any) -> float:
        asked.append(dtype)
        return half if "bfloat16" in str(dtype) else 1.0

    monkeypatch.setattr(precision, "product_seconds", seconds)
    return asked


@pytest.mark.parametrize(
    ("half", "chosen"), [(0.7, "bf16-mixed"), (0.8, "32-true"), (3, "32-true")]
)
def test_precision_follows_the_machine_and_stays(
    fit: Fit,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    half: float,
    chosen: str,
) -> None:
    speeds(monkeypatch, half)
    with caplog.at_level(logging.WARNING):
        assert fit("--trainer.max_steps=1", "--trainer.precision=auto").status == 0
    assert f"precision {chosen}: " in caplog.text and "times as fast" in caplog.text
    (written,) = Path("runs").rglob("config.yaml")
    assert OmegaConf.load(written).trainer.precision == chosen
    asked = speeds(monkeypatch, 1 / half)  # another machine
    more = fit("--trainer.max_steps=2", "--trainer.precision=auto", "--ckpt_path=last")
    assert more.status == 0 and list(more.rates) == [1] and asked == []
    newest = max(Path("runs").rglob("config.yaml"), key=lambda path: path.stat().st_mtime)
    assert newest != written and OmegaConf.load(newest).trainer.precision == chosen


def test_the_precision_that_is_chosen_is_what_a_run_computes_in(
    fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses: list[dict[str, str]] = []
    for half in (0.1, 10.0):
        speeds(monkeypatch, half)
        assert fit("--trainer.max_steps=1", "--trainer.precision=auto").status == 0
        newest = max(Path("runs").rglob("metrics.csv"), key=lambda path: path.stat().st_mtime)
        with newest.open() as file:
            losses.append(next(row for row in csv.DictReader(file) if row.get("train/loss")))
    assert float(losses[0]["train/loss"]) != float(losses[1]["train/loss"])


def test_products_are_timed_in_both_precisions() -> None:
    import torch

    cpu = torch.device("cpu")
    assert 0 < precision.product_seconds(cpu, torch.float32) < 10
    assert 0 < precision.product_seconds(cpu, torch.bfloat16) < 10
    assert precision.choose_precision(cpu) in ("32-true", "bf16-mixed")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*/*.yaml")), ids=lambda path: path.stem)
def test_every_config_leaves_the_precision_to_the_machine(path: Path) -> None:
    wanted = "32-true" if path.stem.startswith("sound") else "auto"
    assert OmegaConf.load(path).trainer.precision == wanted
