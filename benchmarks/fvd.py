"""How fast the pipeline of FVD is, how long its network waits, and whether memory stays.

    python benchmarks/fvd.py --clips 200,2000 --out fvd.json

The network has the layers of I3D (12.7 million weights, 400 outputs) and random weights: time and
memory are those of the real one, the distance means nothing. With --small it is one layer, so that
memory over many clips can be seen in minutes on a CPU; times are then those of decoding. Videos are
random drifts at 64 x 64 pixels, 16 frames. Every count runs in a process of its own, and its peak
of memory is that process's.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from kinetoscope.data.video import write_video
from kinetoscope.evaluation.protocols import Protocol
from kinetoscope.evaluation.videos import Settings, evaluate_sets
from torch import Tensor, nn

FRAMES = 16


class Unit(nn.Module):
    """A convolution, a normalisation and a ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        padding = kernel // 2
        self.convolution = nn.Conv3d(inputs, outputs, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm3d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.convolution(x)).relu()


class Branches(nn.Module):
    """Four branches side by side, as in Inception."""

    def __init__(self, inputs: int, sizes: list[int]) -> None:
        super().__init__()
        one, two_in, two, three_in, three, four = sizes
        self.one = Unit(inputs, one)
        self.two = nn.Sequential(Unit(inputs, two_in), Unit(two_in, two, 3))
        self.three = nn.Sequential(Unit(inputs, three_in), Unit(three_in, three, 3))
        self.four = nn.Sequential(nn.MaxPool3d(3, 1, 1), Unit(inputs, four))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.two(x), self.three(x), self.four(x)], 1)


class RandomI3D(nn.Module):
    """Layers and widths of I3D (Carreira and Zisserman 2017), random weights."""

    def __init__(self) -> None:
        super().__init__()
        pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.layers = nn.Sequential(
            Unit(3, 64, 7, 2),
            pool,
            Unit(64, 64),
            Unit(64, 192, 3),
            pool,
            Branches(192, [64, 96, 128, 16, 32, 32]),
            Branches(256, [128, 128, 192, 32, 96, 64]),
            nn.MaxPool3d(3, 2, 1),
            Branches(480, [192, 96, 208, 16, 48, 64]),
            Branches(512, [160, 112, 224, 24, 64, 64]),
            Branches(512, [128, 128, 256, 24, 64, 64]),
            Branches(512, [112, 144, 288, 32, 64, 64]),
            Branches(528, [256, 160, 320, 32, 128, 128]),
            nn.MaxPool3d(2, 2),
            Branches(832, [256, 160, 320, 32, 128, 128]),
            Branches(832, [384, 192, 384, 48, 128, 128]),
            nn.AvgPool3d((2, 7, 7), 1),
            nn.Conv3d(1024, 400, 1),
        )

    def forward(
        self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> Tensor:
        return self.layers(x).mean((2, 3, 4))


class OneLayer(nn.Module):
    """A projection of a coarse picture to 400 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3 * 4 * 7 * 7, 400)

    def forward(
        self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> Tensor:
        return self.layer(nn.functional.adaptive_avg_pool3d(x, [4, 7, 7]).flatten(1))


def write_network(path: Path, small: bool) -> int:
    """A TorchScript file with random weights; returns their number."""
    torch.manual_seed(0)
    network = (OneLayer() if small else RandomI3D()).eval()
    torch.jit.script(network).save(path)
    return sum(weight.numel() for weight in network.parameters())


def write_videos(folder: Path, count: int) -> None:
    """Soft random patterns that drift, 64 x 64 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = torch.Generator().manual_seed(count)
    for number in range(count):
        path = folder / f"{number:05d}.mp4"
        coarse = torch.rand(1, 3, 8, 16, generator=draw)
        wide = nn.functional.interpolate(coarse, (64, 128), mode="bilinear")[0]
        frames = [wide[:, :, 2 * step : 2 * step + 64] for step in range(FRAMES)]
        write_video(path, (torch.stack(frames, 1) * 255).to(torch.uint8), fps=12)


def measure(root: Path, count: int, batch: int, workers: int) -> dict[str, float]:
    """Run the pipeline on `count` clips of each set in this process."""
    sets = {side: root / f"{side}-{count}" for side in ("reference", "generated")}
    for folder in sets.values():
        if not folder.is_dir():
            write_videos(folder, count)
    settings = Settings(
        str(sets["reference"]),
        str(sets["generated"]),
        ("fvd",),
        Protocol(frames=FRAMES),
        {"video": str(root / "i3d.pt")},
        halves=0,
        batch=batch,
        workers=workers,
        cache=str(root / f"cache-{count}"),
    )
    first = evaluate_sets(settings)
    begin = time.monotonic()
    second = evaluate_sets(settings)
    assert first is not None and second is not None and first["fvd"] == second["fvd"]
    work = first["work"].values()
    seconds = sum(part["seconds"] for part in work)
    return {
        "clips": 2 * count,
        "clips a second": 2 * count / seconds,
        "share of time that the network waited": sum(part["waited"] for part in work) / seconds,
        "seconds of the second run": time.monotonic() - begin,
        "peak of memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", default="200,2000", help="clips of each set, with commas")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--small", action="store_true", help="one layer in place of I3D's")
    parser.add_argument("--out", default=None, help="a JSON file")
    parser.add_argument("--one", type=Path, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    counts = [int(count) for count in arguments.clips.split(",")]
    if arguments.one is not None:
        found = measure(arguments.one, counts[0], arguments.batch, arguments.workers)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as root:
        weights = write_network(Path(root) / "i3d.pt", arguments.small)
        rows = []
        for count in counts:
            words = [sys.executable, __file__, "--one", root, "--clips", str(count)]
            words += ["--batch", str(arguments.batch), "--workers", str(arguments.workers)]
            words += ["--threads", str(arguments.threads)]
            output = subprocess.run(words, check=True, capture_output=True, text=True).stdout
            rows.append(json.loads(output.strip().splitlines()[-1]))
            print(rows[-1], flush=True)
    report = {
        "machine": f"{platform.machine()}, {arguments.threads} threads",
        "torch": torch.__version__,
        "weights": weights,
        "runs": rows,
    }
    print(json.dumps(report, indent=2))
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
