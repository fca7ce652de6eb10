"""Several processes, with the weights copied or divided, train as one does; a checkpoint of two
is read by one."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from kinetoscope.generator import VideoGenerator

SCRIPT = """
import json, sys
import torch
torch.set_num_threads(1)
import lightning.pytorch as pl
from kinetoscope.data.worlds.physics.scene import PhysicsConfig
from kinetoscope.data.datasets.source import PhysicsSource
from kinetoscope.generator.training.flaws import ContextFlaws
from kinetoscope.generator.training.module import DecoderSize, GeneratorModule, TokenDataModule
from kinetoscope.generator.tokens.batch import Stage

given = json.loads(sys.argv[1])
pl.seed_everything(0)
strategy = given["strategy"]
if strategy == "divided":
    strategy = pl.strategies.ModelParallelStrategy(process_group_backend="gloo")
devices = given["devices"]
size = DecoderSize(dim=32, layers=2, heads=2, kv_heads=1, window=2, max_distance=2)
flaws = ContextFlaws(clips=0.5, random=0.1, nearby=0.1, own=0.2, frames=0.2)
module = GeneratorModule(
    **given["parts"], size=size, grid=(2, 2), lr=1e-3, muon_lr=given["muon_lr"],
    warmup_steps=1, ema_decay=0.5,
    flaws=flaws, recompute=True, export_dir=given["out"] + "/generator",
)
world = PhysicsConfig(max_objects=1)
train, validation = (PhysicsSource(8, 9, 16, world, validation=v) for v in (False, True))
stages = [Stage(2, 1, 4 // devices), Stage(1, 3, 4 // devices)]
data = TokenDataModule(train, validation, stages, given["tokens"])
trainer = pl.Trainer(
    accelerator="cpu", devices=devices, strategy=strategy, max_steps=given["steps"], max_epochs=-1,
    log_every_n_steps=1, gradient_clip_val=0.5, val_check_interval=4, num_sanity_val_steps=0,
    enable_progress_bar=False, enable_model_summary=False,
    logger=pl.loggers.CSVLogger(given["out"]),
    callbacks=[
        pl.callbacks.ModelCheckpoint(given["out"], "{step}", every_n_train_steps=2, save_top_k=-1)
    ],
)
trainer.fit(module, data, ckpt_path=given.get("resume"), weights_only=False)
"""


Values = dict[str, list[float]]


def fit(
    parts: dict[str, str], root: Path, name: str, devices: int, strategy: str, **more: object
) -> Values:
    """Logged values of a run of so many processes."""
    (root / "run.py").write_text(SCRIPT)
    out = root / name
    settings = {
        "parts": parts,
        "out": str(out),
        "tokens": str(root / "tokens"),
        "strategy": strategy,
    }
    given = json.dumps({"devices": devices, "steps": 6, "muon_lr": 0.0, **settings, **more})
    launch = (
        ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={devices}"]
        if devices > 1
        else []
    )
    done = subprocess.run(
        [sys.executable, *launch, str(root / "run.py"), given], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [row for path in sorted(out.rglob("metrics.csv")) for row in csv.DictReader(path.open())]
    columns = ("train/loss", "train/grad_norm", "val/bits_per_token")
    return {column: [float(row[column]) for row in rows if row.get(column)] for column in columns}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def alone(parts: dict[str, str], root: Path) -> Values:
    return fit(parts, root, "alone", 1, "auto")


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "divided"])
def test_two_processes_train_as_one_does(
    parts: dict[str, str], root: Path, alone: Values, strategy: str
) -> None:
    """On the same global batches, with clipped gradients, averaged weights and disturbed pasts."""
    values = fit(parts, root, strategy, 2, strategy)
    assert len(alone["train/loss"]) == 6
    for column in ("train/loss", "train/grad_norm", "val/bits_per_token"):
        assert values[column] == pytest.approx(alone[column], rel=1e-5), column
    one, two = (
        VideoGenerator.from_pretrained(root / name / "generator").decoder
        for name in ("alone", strategy)
    )
    for mine, theirs in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-3, rtol=1e-3)
    checkpoint = str(root / strategy / "step=4.ckpt")
    later = fit(
        parts,
        root,
        f"{strategy}-later",
        1,
        "divided" if strategy == "divided" else "auto",
        resume=checkpoint,
    )
    assert later["train/loss"] == pytest.approx(alone["train/loss"][4:], rel=1e-5)


@pytest.mark.slow
def test_a_divided_checkpoint_becomes_one_file(parts: dict[str, str], root: Path) -> None:
    """By Lightning's own tool; matrices that Muon steps are divided as well."""
    fit(parts, root, "muon", 2, "divided", steps=2, muon_lr=1e-3)
    command = [
        sys.executable,
        "-m",
        "lightning.fabric.utilities.consolidate_checkpoint",
        str(root / "muon/step=2.ckpt"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    weights = torch.load(root / "muon" / "step=2.ckpt.consolidated", weights_only=False)[
        "state_dict"
    ]
    exported = VideoGenerator.from_pretrained(root / "muon" / "generator").decoder.state_dict()
    for name, tensor in exported.items():
        torch.testing.assert_close(tensor, weights[f"averaged.{name}"], atol=1e-3, rtol=1e-3)
    alone = fit(parts, root, "muon-alone", 1, "auto", steps=2, muon_lr=1e-3)
    assert len(alone["train/loss"]) == 2
    one = VideoGenerator.from_pretrained(root / "muon-alone" / "generator").decoder.state_dict()
    for name, tensor in one.items():
        torch.testing.assert_close(exported[name], tensor, atol=2e-3, rtol=2e-2)
