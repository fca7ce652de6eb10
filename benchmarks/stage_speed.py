"""How fast a model of the stage streams, by style and weather: frames a second with sound and
guidance, at 128 and 256 pixels, and the same with the wait for the first frame counted.

    python benchmarks/stage_speed.py stage-256
    python benchmarks/stage_speed.py stage-256 --dtype bfloat16 --threads 1 --silent

Sizes take turns, sentence after sentence, round after round; a number is the median of the rounds.
With more than one thread PyTorch shares each operation between them. Beside the time that passes
stands that of the processor over all its cores, which other work on the machine hardly changes.
"""

import argparse
import statistics
import time
from typing import NamedTuple

import torch
from kinetoscope.generator import VideoGenerator

SENTENCES = {
    "shaded": "a large red ball rolls to the right on grass",
    "flat": "a large red ball rolls to the right on grass, in flat colours with outlines",
    "pencil": "a large red ball rolls to the right on grass, a pencil drawing",
    "pixels": "a large red ball rolls to the right on grass, pixelated",
    "watercolour": "a large red ball rolls to the right on grass, in watercolours",
    "rain": "a large red ball rolls to the right on grass in the rain",
    "snow": "a large red ball rolls to the right on grass while it snows",
    "fog": "a large red ball rolls to the right on grass in the fog",
}


class Streamed(NamedTuple):
    """Seconds from the sentence to the first frame, from there to the last, and the processor's for
    all of it."""

    start: float
    rest: float
    processor: float


def stream(generator: VideoGenerator, sentence: str, latents: int, sound: bool) -> Streamed:
    cpu = time.process_time()
    begin = time.perf_counter()
    chunks = generator.stream(sentence, seed=0, sound=sound)
    next(chunks)
    first = time.perf_counter()
    for _ in range(latents - 1):
        next(chunks)
    end = time.perf_counter()
    return Streamed(first - begin, end - first, time.process_time() - cpu)


def row(name: str, rounds: list[Streamed], latents: int, per_latent: int) -> str:
    frames = (latents - 1) * per_latent
    going = statistics.median(frames / each.rest for each in rounds)
    whole = statistics.median((1 + frames) / (each.start + each.rest) for each in rounds)
    wait = statistics.median(each.start for each in rounds)
    per_second = statistics.median((1 + frames) / each.processor for each in rounds)
    return f"| {name} | {going:.1f} | {whole:.1f} | {wait:.2f} | {per_second:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a shipped name, a folder or a hub id")
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256], help="in pixels")
    parser.add_argument("--latents", type=int, default=24, help="latent frames of a stream")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--silent", action="store_true", help="draw no sound")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    models = {
        size: VideoGenerator.from_pretrained(args.model, dtype=args.dtype, size=size)
        for size in args.sizes
    }
    sound = not args.silent
    for generator in models.values():
        stream(generator, SENTENCES["shaded"], 3, sound)  # what is made once is made here
    print(f"{args.model}, {args.dtype}, threads {args.threads}, {args.rounds} rounds", end="")
    print(f" of {args.latents} latent frames, {'with' if sound else 'without'} sound\n")
    print("| | frames a second | start included | start, s | frames a processor second |")
    print("|---|---|---|---|---|")
    for name, sentence in SENTENCES.items():
        rounds: dict[int, list[Streamed]] = {size: [] for size in models}
        for _ in range(args.rounds):
            for size, generator in models.items():
                rounds[size].append(stream(generator, sentence, args.latents, sound))
        for size, generator in models.items():
            k = generator.decoder.config.frames_per_latent
            print(row(f"{name}, {size} px", rounds[size], args.latents, k), flush=True)


if __name__ == "__main__":
    main()
