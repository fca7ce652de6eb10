"""What a training run logs about itself, and when it stops by itself."""

import csv
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from kinetoscope.generator import VideoGenerator
from kinetoscope.generator.tokens.batch import Stage
from kinetoscope.tokenizer.metrics import CodeUsage
from kinetoscope.tokenizer.training.collapse import check_usage
from kinetoscope.training.checkpoints import newest_checkpoint
from kinetoscope.training.finite_loss import FiniteLoss
from kinetoscope.training.stopwatch import Stopwatch

Make = Callable[..., Any]


def test_time_is_told_apart() -> None:
    """Steps of 3 s after 1 s of waiting; what a validation takes is no one's."""
    now = [100.0]
    watch = Stopwatch(lambda: now[0])
    for step in range(4):
        now[0] += 1
        if step == 2:
            now[0] += 1000
            watch.rest()
        watch.start()
        now[0] += 3
        watch.stop(tokens=60)
    values = watch.read(steps_left=30)
    assert values == pytest.approx(
        {
            "seconds_per_step": 15 / 4,
            "tokens_per_s": 240 / 15,
            "data_wait": 3 / 15,
            "minutes_left": 30 * 15 / 4 / 60,
        }
    )
    watch.start()
    now[0] += 5
    watch.stop(10)
    assert watch.read(0) == pytest.approx(
        {"seconds_per_step": 5, "tokens_per_s": 2, "data_wait": 0, "minutes_left": 0}
    )


def test_the_first_lost_loss_is_remembered() -> None:
    watch = FiniteLoss()
    for step, loss in enumerate((1.0, 2.0, float("inf"), 1.0, float("nan"))):
        watch.check(watch.lost) if step < 3 else None
        watch.watch(torch.tensor(loss), step)
    with pytest.raises(
        ValueError, match=r"not a number since step 2, .* --ckpt_path last and a lower --model\.lr"
    ):
        watch.check(watch.lost)
    with pytest.raises(ValueError, match="in another process of this run"):
        FiniteLoss().check(1.0)


def test_a_collapsed_codebook_is_named() -> None:
    usage = CodeUsage(64)
    check_usage(usage)  # nothing seen yet
    usage.update(torch.tensor([7] * 500 + [9]))
    with pytest.raises(ValueError, match=r"501 tokens used 2 of 64 codes \(perplexity 1\.01\)"):
        check_usage(usage)
    usage.update(torch.arange(64).repeat(10))
    check_usage(usage)


def test_a_run_logs_what_it_does(
    fresh: Make, make_trainer: Make, make_data: Make, tmp_path: Path
) -> None:
    trainer, losses = make_trainer(
        tmp_path, 6, log_every_n_steps=2, val_check_interval=3, gradient_clip_val=1e-3
    )
    trainer.fit(fresh(), make_data(tmp_path, [Stage(1, 3, 4)]))
    rows = list(csv.DictReader((Path(trainer.log_dir) / "metrics.csv").open()))
    train = [row for row in rows if row["train/loss"]]
    assert len(train) == 3 and len(losses) == 6
    names = [
        "grad_norm",
        "codes_used",
        "code_perplexity",
        "seconds_per_step",
        "tokens_per_s",
        "data_wait",
        "minutes_left",
    ]
    for name, row in itertools.product(names, train):
        assert float(row[f"train/{name}"]) >= 0, name
    # as it was before it was clipped
    assert all(float(row["train/grad_norm"]) > 1e-2 for row in train)
    assert all(0 <= float(row["train/data_wait"]) <= 1 for row in train)
    assert float(train[-1]["train/minutes_left"]) == 0
    frames = [
        [float(row[f"val/bits_frame_{t}"]) for t in range(3)]
        for row in rows
        if row["val/bits_per_token"]
    ]
    means = [float(row["val/bits_per_token"]) for row in rows if row["val/bits_per_token"]]
    assert means == pytest.approx([sum(bits) / 3 for bits in frames], rel=1e-5)


@pytest.mark.parametrize("kind", [float("nan"), float("inf")])
def test_a_lost_run_stops_and_its_last_checkpoint_is_good(
    fresh: Make, make_trainer: Make, make_data: Make, tmp_path: Path, kind: float
) -> None:
    class Spoil(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, module: Any, *_: Any) -> None:
            if trainer.global_step == 5:
                module.model.head.full.data.fill_(kind)

    keep = pl.callbacks.ModelCheckpoint(
        tmp_path, "{step}", every_n_train_steps=1, monitor="step", mode="max", save_top_k=2
    )
    trainer, _ = make_trainer(tmp_path, 40, callbacks=[Spoil(), keep], log_every_n_steps=50)
    module = fresh()
    with pytest.raises(ValueError, match="the loss is not a number since step 5"):
        trainer.fit(module, make_data(tmp_path, [Stage(1, 2, 4)]))
    newest = newest_checkpoint(tmp_path)
    assert newest is not None and newest.name == "step=5.ckpt"
    weights = torch.load(newest, weights_only=False)["state_dict"]
    assert all(tensor.isfinite().all() for tensor in weights.values())
    exported = VideoGenerator.from_pretrained(module.export_folder).decoder
    assert all(parameter.isfinite().all() for parameter in exported.parameters())


def test_videos_that_show_nothing_stop_a_run(
    fresh: Make, make_trainer: Make, make_data: Make, tmp_path: Path
) -> None:
    data = make_data(tmp_path, [Stage(1, 2, 4)])

    class Blank(pl.Callback):
        def on_train_batch_start(
            self, trainer: pl.Trainer, module: Any, batch: dict[str, Any], index: int
        ) -> None:
            batch["codes"].zero_()

    trainer, _ = make_trainer(tmp_path, 40, callbacks=[Blank()], log_every_n_steps=3)
    with pytest.raises(ValueError, match=r"32 tokens used 1 of 16 codes"):
        trainer.fit(fresh(), data)
    assert trainer.global_step == 3
