"""Makes the picture of the README from the videos that `kinetoscope demo --out outputs/demo` wrote:
the first ones of the usual length, with their sentences below them."""

import argparse
from pathlib import Path

import torch
from kinetoscope.data.video import probe, read_clip, read_metadata
from kinetoscope.data.video.contact_sheet import caption_grid
from PIL import Image
from torch import Tensor


def usual(folder: Path, most: int) -> list[Path]:
    """The first videos of the length that most of them have."""
    names = sorted(folder.glob("[0-9][0-9]-*.mp4"))
    lengths = [probe(name).frames for name in names]
    if not names:
        raise SystemExit(f"there are no videos in {folder}; run kinetoscope demo --out {folder}")
    length = max(lengths, key=lengths.count)
    return [name for name, frames in zip(names, lengths) if frames == length][:most]


def write(path: Path, grid: Tensor, fps: float, quality: int) -> None:
    """An endless animated WebP of uint8 [3, F, Y, X]."""
    frames = [
        Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy()) for frame in grid.unbind(1)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=round(1000 / fps),
        loop=0,
        quality=quality,
        method=6,
    )
    print(f"{path}: {len(frames)} frames, {path.stat().st_size / 1024:.0f} KiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, default="outputs/demo", help="what the demo wrote")
    parser.add_argument("--out", type=Path, default="docs/samples.webp")
    parser.add_argument("--videos", type=int, default=12, help="how many are shown")
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--side", type=int, default=200, help="pixels of a video's side")
    parser.add_argument("--quality", type=int, default=60, help="of WebP, 0 to 100")
    args = parser.parse_args()
    names = usual(args.demo, args.videos)
    clips = [read_clip(name, size=(args.side, args.side)) for name in names]
    sentences = [read_metadata(name).get("prompt", "") for name in names]
    videos = torch.stack([clip.video for clip in clips])
    grid = caption_grid(videos, sentences, scale=1, columns=args.columns)
    write(args.out, grid, clips[0].fps, args.quality)


if __name__ == "__main__":
    main()
