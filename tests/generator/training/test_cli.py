"""The YAML files of both models run end to end on tiny parts, and mistakes on their command
lines end in one line."""

import csv
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import kinetoscope.configs
import pytest
from kinetoscope.app.cli.main import main
from kinetoscope.data.ledger.content import content_sha256
from kinetoscope.data.ledger.rows import read_ledger
from kinetoscope.data.video import read_clip, read_metadata
from kinetoscope.data.video.write import write_video
from kinetoscope.data.worlds.physics.clips import physics_batch
from kinetoscope.data.worlds.physics.scene import PhysicsConfig
from kinetoscope.generator import VideoGenerator
from kinetoscope.generator.training.module import GeneratorModule
from kinetoscope.tokenizer import VideoTokenizer
from kinetoscope.tokenizer.training.module import TokenizerModule
from kinetoscope.training.cli import run, shorten
from lightning.pytorch.callbacks import TQDMProgressBar
from omegaconf import OmegaConf

CONFIGS = Path(kinetoscope.configs.__path__[0])
WORLD = PhysicsConfig(max_objects=1)
QUIET = [
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
    "--trainer.accelerator=cpu",
]


@pytest.fixture(autouse=True)
def no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning CLI warns about arguments of the test runner."""
    monkeypatch.setattr("sys.argv", ["kinetoscope.generator"])


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Four small MP4 files with a text file beside each."""
    root = tmp_path / "videos"
    root.mkdir()
    batch = physics_batch(range(4), 9, 16, WORLD)
    for index, (video, caption) in enumerate(zip(batch["video"], batch["caption"])):
        write_video(root / f"{index}.mp4", video, fps=12)
        (root / f"{index}.txt").write_text(caption + "\n")
    return root


def yaml(package: str, name: str) -> list[str]:
    return ["fit", "--config", str(CONFIGS / package / f"{name}.yaml"), *QUIET]


def test_a_folder_of_videos_becomes_a_model_that_samples(
    videos: Path, parts: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both command lines, then `kinetoscope sample`."""
    small = [
        "--data.root",
        str(videos),
        "--data.size",
        "16",
        "--data.frames",
        "5",
        "--trainer.max_steps",
        "2",
    ]
    runs = tmp_path / "runs"
    tokenizer = tmp_path / "tokenizer"
    model = tmp_path / "generator"
    own = [
        "--model.export_dir",
        str(tokenizer),
        "--model.whitening_batches",
        "1",
        "--data.batch_size",
        "2",
    ]
    run(
        TokenizerModule,
        [*yaml("tokenizer", "folder"), *small, *own, f"--trainer.default_root_dir={runs}"],
    )
    assert VideoTokenizer.from_pretrained(tokenizer).whitening.fitted
    learned = read_ledger(tokenizer / "training_data.csv")
    assert {row.sha256 for row in learned} <= {*map(content_sha256, videos.glob("*.mp4"))}
    stages = (
        '[{"steps": 1, "latents": 1, "batch_size": 2}, {"steps": 1, "latents": 2, "batch_size": 2}]'
    )
    own = [
        f"--model.tokenizer={tokenizer}",
        f"--model.text={parts['text']}",
        f"--model.export_dir={model}",
    ]
    own += [
        "--model.grid=[2,2]",
        "--model.size.dim=32",
        "--model.size.layers=1",
        f"--data.cache_dir={tmp_path / 'c'}",
    ]
    own += [f"--data.stages={stages}", "--data.rounds=1", "--trainer.val_check_interval=1"]
    run(
        GeneratorModule,
        [*yaml("generator", "folder"), *small, *own, f"--trainer.default_root_dir={runs}"],
    )
    rows = read_ledger(model / "training_data.csv")
    contents = {content_sha256(path): path.name for path in videos.glob("*.mp4")}
    assert rows and all(contents[row.sha256] == row.name and row.clips == 1 for row in rows)
    assert f"- {len(rows)} videos ({len(rows)} clips)" in (model / "README.md").read_text()
    for file in ("metrics.csv", "events.out.tfevents.*"):
        assert len(list(runs.glob(f"lightning_logs/*/{file}"))) == 2
    clip = tmp_path / "clip.mp4"
    arguments = ["sample", "a red ball rolls left", "--frames", "6", "--seed", "3"]
    assert main([*arguments, "--model", str(model), "--out", str(clip), "--scale", "1"]) == 0, (
        capsys.readouterr().err
    )
    assert read_clip(clip).video.shape == (3, 6, 16, 16)
    assert "a red ball rolls left" in read_metadata(clip).values()


def test_names_on_the_progress_bar_fit_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    bar = TQDMProgressBar()
    logged = {
        "v_num": 3,
        "train/tokens_per_s": 5.0,
        "train/minutes_left": 1.0,
        "train/psnr_fg": 30.0,
    }
    monkeypatch.setattr(bar, "get_metrics", lambda trainer, module: logged)
    shorten(bar)
    assert bar.get_metrics(None, None) == {"tokens/s": 5.0, "minutes left": 1.0, "psnr fg": 30.0}  # type: ignore[arg-type]


def of_physics(config: Path) -> bool:
    """Whether a recipe trains in the physics world; the others have tests of their own."""
    return OmegaConf.load(config).data.class_path.endswith("PhysicsDataModule")


@pytest.mark.parametrize(
    "config",
    [path for path in sorted((CONFIGS / "tokenizer").glob("*-*.yaml")) if of_physics(path)],
    ids=lambda path: path.stem,
)
def test_the_tokenizers_that_ship_take_a_step(
    config: Path, parts: dict[str, str], tmp_path: Path
) -> None:
    given = OmegaConf.load(config).model
    small = ["--data.size=16", "--data.frames=5", "--data.batch_size=2", "--data.compiled=false"]
    small += [
        "--trainer.max_steps=1",
        "--trainer.limit_val_batches=1",
        "--model.whitening_batches=1",
    ]
    small += [f"--model.init_from={parts['tokenizer']}"] * ("init_from" in given)
    small += [f"--model.{name}.width=16" for name in ("encoder", "decoder") if name in given]
    small += ["--model.rate_weights=null"] * ("init_from" in given)
    small += ["--data.real_held_out=[]", "--data.real_per_batch=1"]
    out = ["--model.export_dir", str(tmp_path / "out"), "--trainer.default_root_dir", str(tmp_path)]
    run(TokenizerModule, [*yaml("tokenizer", config.stem), *small, *out])
    assert VideoTokenizer.from_pretrained(tmp_path / "out").whitening.fitted


def test_the_generator_of_the_shipped_model_takes_a_step(
    parts: dict[str, str], tmp_path: Path
) -> None:
    settings = ("count=2", "frames=5", "size=16")
    sources = [
        f"--data.init_args.{name}.init_args.{value}"
        for name in ("train", "validation")
        for value in settings
    ]
    small = [
        *sources,
        "--data.init_args.train.init_args.compiled=false",
        "--model.grid=[2,2]",
        "--trainer.max_steps=1",
    ]
    small += [
        '--data.init_args.stages=[{"steps": 1, "latents": 2, "batch_size": 2}]',
        "--model.samples_every=1",
    ]
    small += [
        f"--data.init_args.cache_dir={tmp_path / 'tokens'}",
        f"--trainer.default_root_dir={tmp_path}",
    ]
    own = [
        *(f"--model.{name}={folder}" for name, folder in parts.items()),
        f"--model.export_dir={tmp_path / 'g'}",
    ]
    run(GeneratorModule, [*yaml("generator", "physics-64"), *small, *own])
    assert VideoGenerator.from_pretrained(tmp_path / "g").decoder.config.layers == 8


def test_motion_of_the_stage_is_learned_beside_pictures(tmp_path: Path) -> None:
    counts = {"train": (2, 5), "pictures": (3, 1), "validation": (1, 5)}
    small = [
        f"--data.init_args.{name}.init_args.{key}={value}"
        for name, (count, frames) in counts.items()
        for key, value in (("count", count), ("frames", frames))
    ]
    small += [f"--data.init_args.{name}.init_args.compiled=false" for name in ("train", "pictures")]
    stages = '[{"steps": 1, "latents": 2, "batch_size": 2, "pictures": 3}]'
    small += [f"--data.init_args.stages={stages}", "--trainer.max_steps=2"]
    small += [f"--data.init_args.cache_dir={tmp_path / 'tokens'}"]
    small += [f"--trainer.default_root_dir={tmp_path}", f"--model.export_dir={tmp_path / 'g'}"]
    run(GeneratorModule, [*yaml("generator", "stage-256"), *small])
    with open(tmp_path / "g" / "training_data.csv") as file:
        learned = [int(row["clips"]) for row in csv.DictReader(file)]
    assert learned[-2:] == [2, 3]  # after what the model it goes on from had learned


@pytest.mark.slow
@pytest.mark.parametrize("package", ["tokenizer", "generator"])
def test_both_packages_run_as_commands(package: str) -> None:
    command = [
        sys.executable,
        "-m",
        f"kinetoscope.{package}",
        *yaml(package, "folder"),
        "--data.root=clips",
    ]
    printed = subprocess.run(
        [*command, "--print_config"], capture_output=True, text=True, check=True
    )
    assert "root: clips" in printed.stdout


@pytest.mark.parametrize(
    "config", sorted((CONFIGS / "generator").glob("*.yaml")), ids=lambda path: path.stem
)
def test_overrides_reach_every_yaml(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = [
        "--model.lr",
        "0.125",
        "--trainer.max_steps",
        "77",
        "--model.init_from",
        "physics-64",
    ]
    with pytest.raises(SystemExit) as left:
        run(GeneratorModule, ["fit", "--config", str(config), *changes, "--print_config"])
    printed = capsys.readouterr()
    assert left.value.code == 0, printed.err
    assert (
        "lr: 0.125" in printed.out
        and "max_steps: 77" in printed.out
        and "init_from: physics-64" in printed.out
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--model.hidden_clips", "2"], "hidden_clips is a share"),
        (
            ["--model", "{warmup_step: 3}"],
            "'model.warmup_step' is not a setting; did you mean 'model.warmup_steps'?",
        ),
        (
            ["--data.stages", '[{"step": 1, "latents": 1, "batch_size": 1}]'],
            "did you mean 'steps'?",
        ),
        pytest.param(
            ["--trainer.logger", "WandbLogger"],
            "pip install 'wandb",
            marks=pytest.mark.skipif(bool(find_spec("wandb")), reason="wandb is installed"),
        ),
        (["--model.tokenizer", "nowhere"], "unknown model 'nowhere'"),
        (["--data.root", "nowhere"], "nowhere"),
        (["--data.root", "."], "holds no videos"),
        (
            ["--data.stages", '[{"steps": 0, "latents": 1, "batch_size": 1}]'],
            "steps must be at least 1; got 0",
        ),
    ],
)
def test_mistakes_on_the_command_line_end_in_one_line(
    arguments: list[str],
    problem: str,
    parts: dict[str, str],
    videos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    base = [
        *yaml("generator", "folder"),
        "--data.root",
        str(videos),
        "--data.frames=5",
        "--data.size=16",
    ]
    base += [f"--model.{name}={folder}" for name, folder in parts.items()]
    with pytest.raises(SystemExit) as left:
        run(GeneratorModule, [*base, *arguments])
    lines = capsys.readouterr().err.strip().splitlines()
    assert left.value.code == 2
    assert lines[-1].startswith("error: ") and problem in lines[-1]
