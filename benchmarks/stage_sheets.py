"""Makes the sheets of clips of a stage model's card: samples.webp, random ones in the order of
their seeds, and best.webp and worst.webp, by the judge where it ships and by bits otherwise.

    python benchmarks/stage_sheets.py stage-256 --out pretrained/stage-256
"""

import argparse
from pathlib import Path

import torch
from kinetoscope.data.worlds.stage.judge.pixels import PixelJudge
from kinetoscope.evaluation.stage.asked import OfScenes
from kinetoscope.evaluation.stage.evaluate import TEXT
from kinetoscope.evaluation.stage.round_trip import SEED
from kinetoscope.evaluation.stage.sheets import draw_clips, write_sheets
from kinetoscope.generator import VideoGenerator


def shipped_judge() -> PixelJudge | None:
    try:
        return PixelJudge.from_pretrained()
    except ValueError as error:
        print(f"clips are ranked by bits alone: {error}")
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a shipped name, a folder or a hub id")
    parser.add_argument("--out", type=Path, default="outputs/sheets", help="the folder to write to")
    parser.add_argument("--row", choices=TEXT, default="text-of-1-object", help="which sentences")
    parser.add_argument("--clips", type=int, default=32, help="how many are drawn and ranked")
    parser.add_argument("--shown", type=int, default=16, help="how many samples.webp has")
    parser.add_argument("--extremes", type=int, default=6, help="how many the others have")
    parser.add_argument("--seed", type=int, default=0, help="of the first sentence and clip")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    generator = VideoGenerator.from_pretrained(args.model)
    asked = OfScenes(TEXT[args.row], SEED + args.seed)
    clips = draw_clips(generator, asked, args.clips, args.seed, shipped_judge(), say=print)
    for path in write_sheets(clips, args.out, args.shown, args.extremes):
        print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
