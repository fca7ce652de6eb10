"""A shipped generator on held-out clips of its own world, as `kinetoscope evaluate generator` does.

    python benchmarks/shipped_generator.py WORK --clips 48 --length 99
    python benchmarks/shipped_generator.py WORK --clips 48 --context 9 --samples 3

Clips are rendered from seeds that no model trained on, and stored without loss with their captions
in WORK/clips. The network of the Fréchet distance is small and has random weights of a fixed seed
(WORK/network.pt): its distances can be compared with each other, and with nobody else's. As a
ruler, the distance of as many other renders is printed too. A run that was killed goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from kinetoscope.data.worlds.physics.clips import HELD_OUT_SEED, physics_batch
from kinetoscope.data.worlds.physics.scene import PhysicsConfig
from kinetoscope.evaluation.generator.kept import write_exactly
from kinetoscope.evaluation.generator.measure import (
    GeneratorSettings,
    evaluate_generator,
    format_generator,
)
from kinetoscope.evaluation.generator.samples import Sampling
from kinetoscope.evaluation.protocols import Protocol
from kinetoscope.evaluation.videos import Settings, evaluate_sets, format_result
from torch import Tensor, nn

FIRST_SEED = HELD_OUT_SEED + 60_000_000
SIZE = 64
FPS = 12
FEATURES = 16  # few, because a covariance needs more clips than features


class RandomNetwork(nn.Module):
    """Three convolutions in space and time and the mean of what they say; random weights."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.AvgPool3d((1, 4, 4)),
            nn.Conv3d(3, 16, 3, stride=(1, 2, 2)),
            nn.ReLU(),
            nn.Conv3d(16, 32, 3, stride=2),
            nn.ReLU(),
            nn.Conv3d(32, FEATURES, 3, stride=2),
        )

    def forward(
        self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> Tensor:
        return 100 * self.layers(x).mean((2, 3, 4))


def write_network(path: Path) -> None:
    torch.manual_seed(0)
    torch.jit.script(RandomNetwork().eval()).save(path)


def write_clips(folder: Path, seeds: range, frames: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        path = folder / f"{seed - seeds.start:04d}.mkv"
        if path.with_suffix(".txt").is_file():
            continue
        batch = physics_batch(range(seed, seed + 1), frames, SIZE, PhysicsConfig())
        write_exactly(path, batch["video"][0], FPS)
        path.with_suffix(".txt").write_text(batch["caption"][0] + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--model", default="physics-64")
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--length", type=int, default=None, help="frames of a sample")
    parser.add_argument("--context", type=int, default=0, help="frames that are given")
    parser.add_argument("--samples", type=int, default=1, help="samples of each clip")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    frames: int = options.frames
    seeds = range(FIRST_SEED, FIRST_SEED + options.clips)
    clips = options.work / f"clips-{options.clips}-{frames}"
    write_clips(clips, seeds, frames)
    others = options.work / f"others-{options.clips}-{frames}"
    write_clips(others, range(seeds.stop, seeds.stop + options.clips), frames)
    network = options.work / "network.pt"
    write_network(network)
    networks = {"video": str(network)}
    protocol = Protocol(frames=frames)
    cache = str(options.work / "cache")
    sampling = Sampling(options.length or frames, options.context, options.samples)
    out = options.work / f"samples-{options.context}-{sampling.length}"
    result = evaluate_generator(
        GeneratorSettings(
            str(clips), options.model, str(out), protocol, sampling, networks=networks, cache=cache
        ),
        print,
    )
    print(format_generator(result))
    names = ["fvd", "kvd", "motion", "flicker"]
    ruler = evaluate_sets(Settings(str(clips), str(others), names, protocol, networks, cache=cache))
    assert ruler is not None
    print("as many other renders")
    print(format_result(ruler))


if __name__ == "__main__":
    main()
