"""Frames per second of the rendered worlds, drawing of scenes included:
`python benchmarks/world.py [--world stage] [--size 128] [--clips 32] [--sheet scenes.png]`."""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from kinetoscope.data.worlds.physics import render as physics_render
from kinetoscope.data.worlds.physics import scene as physics_scene
from kinetoscope.data.worlds.stage import sample as stage_sample
from kinetoscope.data.worlds.stage import scene as stage_scene
from kinetoscope.data.worlds.stage.drawing import render as stage_render
from kinetoscope.data.worlds.stage.sheet import sheet

FRAMES = 33
Draw = Callable[[range], object]


def physics_clips(size: int, objects: int, compiled: bool, device: str) -> Draw:
    config = physics_scene.PhysicsConfig(max_objects=objects)

    def draw(seeds: range) -> None:
        scenes = physics_scene.sample_scenes(seeds, FRAMES, config)
        physics_render.render(scenes, size, compiled=compiled, device=device)
        if device == "cuda":
            torch.cuda.synchronize()

    return draw


def stage_clips(size: int, objects: int, compiled: bool, device: str) -> Draw:
    config = stage_scene.StageConfig(max_objects=objects)

    def draw(seeds: range) -> None:
        scenes = stage_sample.sample_scenes(seeds, FRAMES, config)
        stage_render.render(scenes, size, compiled=compiled)

    return draw


def frames_per_second(clips: int, draw: Draw) -> float:
    """Median of five runs over fresh scenes, after one run to warm up."""
    rates = []
    for run in range(6):
        start = time.perf_counter()
        draw(range(run * clips, (run + 1) * clips))
        rates.append(clips * FRAMES / (time.perf_counter() - start))
    return statistics.median(rates[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", choices=("physics", "stage", "both"), default="both")
    parser.add_argument("--size", type=int, default=64, help="side of the picture in pixels")
    parser.add_argument("--clips", type=int, default=64, help="clips of 33 frames per run")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--no-eager", action="store_true", help="measure what is compiled alone")
    parser.add_argument("--sheet", help="draw 64 scenes of the stage into this file instead")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.sheet:
        sheet(range(64), args.size).save(args.sheet)
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(f"{args.size}x{args.size} pixels, 4 rays each, {args.threads} threads, {device}")
    print("world    objects  eager frames/s  compiled frames/s")
    worlds = {"physics": physics_clips, "stage": stage_clips}
    for name, make in worlds.items():
        if args.world not in (name, "both"):
            continue
        for objects in args.objects:
            rates = [
                frames_per_second(args.clips, make(args.size, objects, compiled, device))
                for compiled in ((True,) if args.no_eager else (False, True))
            ]
            eager = "" if args.no_eager else f"{rates[0]:,.0f}"
            print(f"{name:8s} {objects:7d}  {eager:>14s}  {rates[-1]:17,.0f}", flush=True)


if __name__ == "__main__":
    main()
