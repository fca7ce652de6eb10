"""While a tokenizer is trained, the distance of what it keeps from the originals is logged."""

import csv
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from kinetoscope.data.video import read_clip, to_float, to_uint8, write_video
from kinetoscope.data.worlds.physics.clips import physics_batch
from kinetoscope.data.worlds.physics.scene import PhysicsConfig
from kinetoscope.evaluation.metrics.fvd import network_input
from kinetoscope.evaluation.protocols import Protocol
from kinetoscope.evaluation.training.fvd import FVDCallback
from kinetoscope.tokenizer import TokenizerConfig, VideoTokenizer
from kinetoscope.tokenizer.blocks import StackConfig
from kinetoscope.tokenizer.training.module import TokenizerModule
from torch import Tensor
from torch.utils.data import DataLoader

FRAMES = 9
COUNT = 8
STACK = StackConfig(width=16, depth=1, expand=2, kernel=3, spatial=(0,), temporal=(0,))
NETWORK = """
from torch import nn
class Means(nn.Module):
    def forward(self, x):
        return nn.functional.adaptive_avg_pool3d(x, [1, 1, 1]).flatten(1)
"""


class Videos(pl.LightningDataModule):
    def __init__(self, clips: Tensor) -> None:
        super().__init__()
        self.clips = [{"video": clip} for clip in clips]

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.clips, batch_size=4)  # type: ignore[arg-type]

    val_dataloader = train_dataloader


def distance(first: Tensor, second: Tensor) -> float:
    """Fréchet, by the formula, of rows."""
    a, b = torch.cov(first.T), torch.cov(second.T)
    root = torch.linalg.eigvals(a @ b).sqrt().real.sum()
    spread = a.trace() + b.trace() - 2 * root
    return float((first.mean(0) - second.mean(0)).square().sum() + spread)


def means(clips: list[Tensor]) -> Tensor:
    given = [network_input(clip[None], Protocol(frames=FRAMES)) for clip in clips]
    return torch.cat(given).double().mean((2, 3, 4))


def test_rfvd_is_logged_at_every_validation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "means_network.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "videos"
    folder.mkdir()
    clips = physics_batch(range(COUNT), FRAMES, 16, PhysicsConfig(max_objects=1))["video"]
    for number, clip in enumerate(clips):
        write_video(folder / f"{number}.mp4", clip, fps=8)
    config = TokenizerConfig(patch=4, encoder=STACK, decoder=STACK)
    module = TokenizerModule(
        config, warmup_steps=1, grid_every=0, export_dir=str(tmp_path / "tokenizer")
    )
    callback = FVDCallback(
        str(folder), "means_network:Means", COUNT, FRAMES, cache=str(tmp_path / "features")
    )
    trainer = pl.Trainer(
        max_steps=4,
        default_root_dir=tmp_path,
        logger=pl.loggers.CSVLogger(tmp_path),
        callbacks=[callback],
        val_check_interval=1,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, Videos(clips))
    with open(Path(trainer.log_dir or "") / "metrics.csv") as file:
        logged = [float(row["val/rfvd"]) for row in csv.DictReader(file) if row["val/rfvd"]]
    assert len(logged) == 4 and len(set(logged)) == 4  # the weights changed

    # the last one by hand, of the weights that were written
    tokenizer = VideoTokenizer.from_pretrained(tmp_path / "tokenizer")
    read = [read_clip(path).video for path in sorted(folder.iterdir())]
    kept = [to_uint8(tokenizer.decode(tokenizer.encode(to_float(clip[None]))))[0] for clip in read]
    assert logged[-1] == pytest.approx(distance(means(read), means(kept)), rel=1e-3)
