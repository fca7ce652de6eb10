"""Short training runs of the tokenizer that differ in one thing, and their held-out quality.

They use the same data in the same order, and the same sizes and settings. Every run starts from the
same seed.
"""

import argparse
import logging
import statistics
import time
import warnings
from typing import Any

import lightning.pytorch as pl
import torch
from kinetoscope.data.video import to_float, to_uint8
from kinetoscope.data.worlds.physics.clips import HELD_OUT_SEED
from kinetoscope.data.worlds.physics.judge.judge import Judge
from kinetoscope.data.worlds.physics.scene import PhysicsConfig
from kinetoscope.evaluation.tokenizer import Quality, held_out_batches
from kinetoscope.tokenizer import VideoTokenizer
from kinetoscope.tokenizer.training.data_module import PhysicsDataModule
from kinetoscope.tokenizer.training.module import TokenizerModule
from torch import Tensor

SETTINGS: dict[str, Any] = {
    "lr": 1.5e-3,
    "muon_lr": 2e-3,
    "quantizer_warmup": 0.05,
    "grid_every": 0,
}


class StepTimer(pl.Callback):
    """Seconds from a batch in hand to weights changed; the data is not counted."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        self._start = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - self._start)


def arguments(
    description: str | None, steps: int, name: str, rows: list[str]
) -> argparse.ArgumentParser:
    """The options that all of these scripts have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--size", type=int, default=64, help="side of the picture in pixels")
    parser.add_argument("--frames", type=int, default=17)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--clips", type=int, default=64, help="held-out clips to measure on")
    parser.add_argument(
        "--real-root", help="folder of real videos: one clip of each batch comes from it"
    )
    parser.add_argument(
        "--eager", dest="compiled", action="store_false", help="render without torch.compile"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--logs", default=f"runs/{name}", help="folder of the curves and the tokenizers"
    )
    parser.add_argument(
        "--only", nargs="*", choices=rows, default=rows, metavar="ROW", help=", ".join(rows)
    )
    return parser


def prepare(args: argparse.Namespace, header: tuple[str, ...]) -> None:
    """Quiet the libraries and print the head of the table."""
    torch.set_num_threads(args.threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    print(
        f"{args.steps} steps of {args.batch_size} clips of {args.frames} x {args.size} x "
        f"{args.size} pixels"
    )
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}", flush=True)


def train(name: str, args: argparse.Namespace, **settings: Any) -> tuple[VideoTokenizer, float]:
    """The tokenizer of a run of `TokenizerModule`, and the median seconds of a step."""
    pl.seed_everything(args.seed, verbose=False)
    real = {"real_root": args.real_root, "real_per_batch": 1} if args.real_root else {}
    data = PhysicsDataModule(
        args.batch_size, args.frames, args.size, compiled=args.compiled, seed=args.seed, **real
    )
    warmup = min(100, args.steps // 4)
    module = TokenizerModule(
        warmup_steps=warmup, export_dir=f"{args.logs}/{name}", **(SETTINGS | settings)
    )
    timer = StepTimer()
    trainer = pl.Trainer(
        max_steps=args.steps,
        limit_val_batches=0,
        precision="bf16-mixed",
        gradient_clip_val=1.0,
        callbacks=[timer],
        logger=pl.loggers.CSVLogger(args.logs, name=name),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, data)
    return module.model.cpu().eval(), statistics.median(timer.seconds)


def measure(
    tokenizer: VideoTokenizer, args: argparse.Namespace, judge: Judge
) -> tuple[Quality, Tensor, Tensor]:
    """Quality on held-out clips, and the judge's features [N, D] of decoded and real frames."""
    quality = Quality(tokenizer)
    decoded = []
    real = []
    for batch in held_out_batches(
        HELD_OUT_SEED, args.clips, args.frames, PhysicsConfig(), args.size
    ):
        video = quality.add(to_float(batch["video"]), batch["foreground"])
        decoded.append(judge.features(to_uint8(video)))
        real.append(judge.features(batch["video"]))
    return quality, torch.cat(decoded), torch.cat(real)
