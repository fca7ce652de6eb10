"""Makes the picture of the README from what `kinetoscope demo --out outputs/demo` wrote."""

import argparse
from pathlib import Path

from kinetoscope.data.video import read_clip
from PIL import Image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--grid", default="outputs/demo/grid.mp4", help="the grid that the demo wrote"
    )
    parser.add_argument("--out", default="docs/samples.webp")
    args = parser.parse_args()
    clip = read_clip(args.grid)
    frames = [
        Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy())
        for frame in clip.video.unbind(1)
    ]
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(
        args.out,
        save_all=True,
        append_images=frames[1:],
        duration=round(1000 / clip.fps),
        loop=0,
        quality=80,
        method=6,
    )
    print(f"{args.out}: {len(frames)} frames, {Path(args.out).stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
