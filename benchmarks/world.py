"""Frames per second of the renderer: `python benchmarks/world.py [--size 64] [--clips 64]`."""

import argparse
import statistics
import time

import torch
from kinetoscope.data.worlds.physics.render import render
from kinetoscope.data.worlds.physics.scene import PhysicsConfig, sample_scenes


def frames_per_second(
    clips: int, frames: int, size: int, objects: int, compiled: bool, device: str
) -> float:
    """Median of five runs over fresh scenes, simulation included, after one run to warm up."""
    rates = []
    for run in range(6):
        start = time.perf_counter()
        scenes = sample_scenes(
            range(run * clips, (run + 1) * clips), frames, PhysicsConfig(max_objects=objects)
        )
        render(scenes, size, compiled=compiled, device=device)
        if device == "cuda":
            torch.cuda.synchronize()
        rates.append(clips * frames / (time.perf_counter() - start))
    return statistics.median(rates[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=64, help="side of the picture in pixels")
    parser.add_argument("--clips", type=int, default=64, help="clips of 33 frames per run")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(f"{args.size}x{args.size} pixels, 4 rays each, {args.threads} threads, {device}")
    print("objects  eager frames/s  compiled frames/s")
    for objects in (1, 2, 3):
        eager, compiled = (
            frames_per_second(args.clips, 33, args.size, objects, compiled, device)
            for compiled in (False, True)
        )
        print(f"{objects:7d}  {eager:14,.0f}  {compiled:17,.0f}")


if __name__ == "__main__":
    main()
