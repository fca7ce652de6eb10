"""What a generator of the stage gives back of the renders that it was trained on.

    python benchmarks/memorisation.py MODEL WORK --clips 64

The clips are rendered anew from the seeds of the recipe (configs/generator/stage-256.yaml): some of
those that it was trained on, evenly spread, and as many of later seeds, which are of the same kind.
They are stored without loss with their captions, prepared as anybody's videos are, and measured by
`kinetoscope evaluate MODEL --memorisation`. What is there already is not made again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kinetoscope.app.cli.main import main as kinetoscope
from kinetoscope.data.datasets.source import StageSource
from kinetoscope.data.worlds.stage.scene import StageConfig
from kinetoscope.evaluation.generator.kept import write_exactly
from omegaconf import OmegaConf

RECIPE = Path(__file__).parents[1] / "configs/generator/stage-256.yaml"
FPS = 12
UNSEEN = 500_000_000  # a seed far beyond those that anything was trained on


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("work", type=Path)
    parser.add_argument("--clips", type=int, default=64, help="of each kind")
    parser.add_argument("--trained", type=int, default=8192, help="clips that it was trained on")
    options = parser.parse_args()
    settings = OmegaConf.load(RECIPE).data.init_args.train.init_args
    for kind, first in (("trained", 0), ("unseen", UNSEEN)):
        count = options.trained if kind == "trained" else options.clips
        world = StageConfig(**settings.world)
        source = StageSource(count, settings.frames, world=world, first_seed=first)
        films = options.work / f"{kind}-films"
        write_clips(films, source, options.clips)
        size = ["--size", str(source.size), "--clip-frames", str(settings.frames), "--cut", "1"]
        shards = str(options.work / kind)
        kinetoscope(["prepare", str(films), shards, "--tokenizer", "stage-256", *size])
    words = ["--memorisation", str(options.work / "trained")]
    words += ["--unseen", str(options.work / "unseen")]
    words += ["--json", str(options.work / "memorisation.json")]
    words += ["--sheet", str(options.work / "given-back.png")]
    raise SystemExit(kinetoscope(["evaluate", options.model, *words]))


def write_clips(folder: Path, source: StageSource, count: int) -> None:
    """Clips of a source, evenly spread, each with its caption beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(min(count, len(source))):
        row = number * len(source) // min(count, len(source))
        path = folder / f"{folder.name}-{row:05d}.mkv"
        if path.with_suffix(".txt").is_file():
            continue
        clip = source.clips(range(row, row + 1))
        write_exactly(path, clip["video"][0], FPS)
        path.with_suffix(".txt").write_text(clip["caption"][0] + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
