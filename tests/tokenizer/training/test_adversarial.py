"""The adversarial stage: what the discriminator sees, how it pulls, and what a run with it
leaves alone."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from kinetoscope.tokenizer import VideoTokenizer
from kinetoscope.tokenizer.training.adversarial import Adversary, PatchDiscriminator
from kinetoscope.tokenizer.training.losses import LossWeights
from kinetoscope.tokenizer.training.module import TokenizerModule
from safetensors import safe_open
from torch import Tensor
from torch.utils.data import DataLoader

STRENGTH = 2.0


class Grain(pl.LightningDataModule):
    """Grey floors with a fine grain that no code can hold: an average error wants it smoothed
    away."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        floor = torch.randint(80, 170, (8, 3, 1, 1, 1), generator=generator)
        grain = torch.randint(-60, 61, (8, 1, 4, 16, 16), generator=generator)
        self.video = (floor + grain).to(torch.uint8)

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader([{"video": video} for video in self.video], batch_size=4)  # type: ignore[arg-type]


@pytest.fixture
def first_stage(tiny: VideoTokenizer, tmp_path: Path) -> str:
    tiny.fit_whitening([Grain().video / 127.5 - 1])
    tiny.save_pretrained(tmp_path / "first", half=False)
    return str(tmp_path / "first")


class TrainingMonitor(pl.Callback):
    """Keeps the discriminator's loss of every step, and stops a run after some steps."""

    def __init__(self, stop: int | None = None) -> None:
        self.losses: list[float] = []
        self.stop = stop

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if "train/discriminator" in trainer.callback_metrics:
            self.losses.append(float(trainer.callback_metrics["train/discriminator"]))
        trainer.should_stop = trainer.global_step == self.stop


def run(
    first_stage: str,
    folder: Path,
    strength: float,
    steps: int,
    stop: int | None = None,
    resume: Path | None = None,
) -> tuple[TokenizerModule, list[float]]:
    torch.manual_seed(0)
    module = TokenizerModule(
        loss=LossWeights(adversarial=strength),
        init_from=first_stage,
        decoder_only=True,
        lr=3e-3,
        muon_lr=3e-3,
        discriminator_lr=1e-3,
        warmup_steps=3,
        grid_every=0,
        export_dir=str(folder / "tokenizer"),
    )
    watch = TrainingMonitor(stop)
    trainer = pl.Trainer(
        max_steps=steps,
        default_root_dir=folder,
        logger=False,
        callbacks=[
            watch,
            pl.callbacks.ModelCheckpoint(folder, every_n_train_steps=2, save_last=True),
        ],
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=1.0,
    )
    trainer.fit(module, Grain(), ckpt_path=resume)
    return module, watch.losses


def detail(video: Tensor) -> float:
    return float((video[..., 1:] - video[..., :-1]).abs().mean())


def test_it_draws_the_detail_that_an_average_error_smooths_away(
    first_stage: str, tmp_path: Path
) -> None:
    target = Grain().video / 127.5 - 1
    before = VideoTokenizer.from_pretrained(first_stage)
    plain, _ = run(first_stage, tmp_path / "plain", 0.0, steps=30)
    sharp, losses = run(first_stage, tmp_path / "sharp", STRENGTH, steps=30)
    assert sum(losses[-5:]) < sum(losses[:5]) - 1
    smooth, drawn = (
        detail(module.model.eval().decode(module.model.encode(target))) for module in (plain, sharp)
    )
    assert 1.1 * smooth < drawn < detail(target)
    codes = before.encode(target).indices
    for module in (plain, sharp):
        assert torch.equal(module.model.encode(target).indices, codes)
    with safe_open(tmp_path / "sharp" / "tokenizer" / "model.safetensors", "pt") as exported:
        assert set(exported.keys()) == set(before.state_dict())


def test_a_stopped_run_goes_on_where_it_was(first_stage: str, tmp_path: Path) -> None:
    whole, _ = run(first_stage, tmp_path / "whole", STRENGTH, steps=8)
    run(first_stage, tmp_path / "part", STRENGTH, steps=8, stop=4)
    resumed, losses = run(
        first_stage, tmp_path / "rest", STRENGTH, 8, resume=tmp_path / "part" / "last.ckpt"
    )
    assert len(losses) == 4
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_the_discriminator_learns_alone_until_it_pulls(clip: Tensor) -> None:
    torch.manual_seed(0)
    adversary = Adversary(0.5)
    video = (0.5 * clip).requires_grad_()
    loss = (video - clip).square().mean()
    added, own = adversary(video, clip, loss, pulling=False)
    assert added is own and own.item() > 0
    own.backward()
    assert video.grad is None
    assert all(parameter.grad is not None for parameter in adversary.parameters())


def test_it_pulls_as_hard_as_it_was_told_to(clip: Tensor) -> None:
    torch.manual_seed(0)
    adversary = Adversary(0.5)
    video = (0.5 * clip).requires_grad_()
    loss = (video - clip).square().mean()
    added, own = adversary(video, clip, loss)
    torch.testing.assert_close(added, own)
    (alone,) = torch.autograd.grad(loss, video, retain_graph=True)
    (pull,) = torch.autograd.grad(added, video, retain_graph=True)
    torch.testing.assert_close(pull.norm(), 0.5 * alone.norm())
    fake = video.detach().requires_grad_()
    (wish,) = torch.autograd.grad(-adversary.eval().discriminator(fake).sum(), fake)
    assert torch.cosine_similarity(pull.flatten(), wish.flatten(), dim=0) > 0.99
    together = torch.autograd.grad(added, list(adversary.parameters()), retain_graph=True)
    for gradient, expected in zip(together, torch.autograd.grad(own, list(adversary.parameters()))):
        assert torch.equal(gradient, expected)  # wishing teaches the discriminator nothing


def test_the_discriminator_judges_patches_of_any_video() -> None:
    discriminator = PatchDiscriminator(channels=2).eval()
    assert discriminator(torch.zeros(2, 3, 1, 1, 13)).shape == (2, 1, 1, 2)
    video = torch.rand(1, 3, 9, 64, 64, requires_grad=True)
    (gradient,) = torch.autograd.grad(discriminator(video)[0, 4, 4, 4], video)
    seen = gradient.abs().amax((0, 1)) > 0
    assert [int(seen.amax(axes).sum()) for axes in ((1, 2), (0, 2), (0, 1))] == [7, 38, 38]


def test_it_is_for_decoders_only(first_stage: str) -> None:
    with pytest.raises(ValueError, match="set decoder_only"):
        TokenizerModule(loss=LossWeights(adversarial=0.5), init_from=first_stage)
