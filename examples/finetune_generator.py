"""Adapt a generator to a folder of videos, and measure what that gains on videos that it holds
back.

    python examples/finetune_generator.py FOLDER --out my-adapter
    kinetoscope sample "…" --adapter my-adapter --out clip.mp4

With `--rank 0` the whole model is trained, and what is written is a model (`--model my-model`) and
no adapter. `python -m kinetoscope.generator fit` does the same from a YAML file, with checkpoints
and logs.
"""

import argparse
import sys
from pathlib import Path

import lightning.pytorch as pl
from kinetoscope.generator.tokens.batch import Stage
from kinetoscope.generator.training.lora import LoraSize
from kinetoscope.generator.training.module import FolderTokens, GeneratorModule


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", help="videos of any kind, with captions as for kinetoscope prepare"
    )
    parser.add_argument("--out", required=True, help="folder for the adapter or the model")
    parser.add_argument("--model", default="physics-64", help="where to start from")
    parser.add_argument(
        "--rank", type=int, default=16, help="of the adapters; 0 trains the whole model"
    )
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch", type=int, default=8, help="clips per step")
    parser.add_argument(
        "--frames", type=int, default=33, help="frames of a clip: 1 and a multiple of 4"
    )
    parser.add_argument(
        "--size", type=int, default=64, help="side of the clips in pixels, that of the model"
    )
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument(
        "--tokens", default="runs/tokens", help="where codes are kept from run to run"
    )
    args = parser.parse_args()

    pl.seed_everything(0)
    module = GeneratorModule(
        init_from=args.model,
        lora=LoraSize(args.rank),
        lr=args.lr,
        hidden_clips=0.2,
        ema_decay=0.98,
        warmup_steps=max(1, args.steps // 20),
        samples_every=0,
        export_dir=args.out,
    )
    stages = [
        Stage(args.steps, 1 + (args.frames - 1) // module.config.frames_per_latent, args.batch)
    ]
    data = FolderTokens(
        args.folder, args.frames, args.size, rounds=4, stages=stages, cache_dir=args.tokens
    )
    trainer = pl.Trainer(
        max_steps=args.steps,
        max_epochs=-1,
        gradient_clip_val=1.0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        precision="bf16-mixed",
        enable_progress_bar=sys.stderr.isatty(),
    )
    before = trainer.validate(module, data, verbose=False)[0]["val/bits_per_token"]
    trainer.fit(module, data)
    after = trainer.validate(module, data, verbose=False)[0]["val/bits_per_token"]
    size = (Path(args.out) / "model.safetensors").stat().st_size / 1e6
    print(
        f"bits per token of held-out clips: {before:.3f} before, {after:.3f} after {args.steps} "
        "steps"
    )
    print(f"{args.out}: {size:.1f} MB")


if __name__ == "__main__":
    main()
