"""Tokens per second of the sampler and of transformers' `generate`, on models of equal size.

    python benchmarks/sampling.py  # all cases, and the machine's limit, on one core
    python benchmarks/sampling.py --dtype bfloat16
    python benchmarks/sampling.py --compile             # the peers compiled too, with static caches
    python benchmarks/sampling.py --drafts  # the speed of drafts, and that they are exact
    python benchmarks/sampling.py --variants  # cost and speed of bfloat16 and int8
    python benchmarks/sampling.py --orders FOLDER  # bits and score of another decode order
    python benchmarks/sampling.py --plots docs  # time per frame, speed against window
    python benchmarks/sampling.py --device cuda

The models take turns. Peers have the layers, width, heads, vocabulary and context of ours; with
guidance, the rows with and without prompt are in one batch. On a CPU the time is that of the
processor, so that other work on the machine hardly counts.
"""

import argparse
import time
from importlib.metadata import version
from typing import Any

import torch
from kinetoscope.generator import VideoGenerator
from kinetoscope.generator.sampling.quantize import LINEARS
from sampling_drafts import print_drafts
from sampling_endless import write_plots
from sampling_peers import (
    PROMPTS,
    Case,
    Loop,
    clock,
    our_clip,
    our_loop,
    peer,
    peer_loop,
    run_turns,
    seconds,
    window_tokens,
)
from sampling_variants import print_orders, print_variants
from turns import machine, within

CASES = [
    Case("short context", 1.5, past=0),
    Case("full window", 4, past=6),
    Case("full window, guidance", 8, past=6, guided=True),
    Case("past the window", 4, past=20),
    Case("full window, 8 videos", 2, past=6, rows=8),
]
CLIPS = "clips"
Peers = list[tuple[Any, str]]  # models and the caches they run with
PATIENCE = 120  # seconds that compiling a peer may take


def peers(generator: VideoGenerator, args: argparse.Namespace) -> Peers:
    """Models and the caches they run with."""
    config = generator.decoder.config
    dtype = generator.decoder.no_text.dtype
    llama = peer("Llama", config, dtype, args.device)
    found = [
        (llama, "dynamic"),
        (llama, "static"),
        (peer("Mistral", config, dtype, args.device), "dynamic"),
    ]
    if args.compile:
        twin = peer("Llama", config, dtype, args.device)
        twin.forward = torch.compile(twin.forward, dynamic=False)
        found.append((twin, "static"))
    return found


def compare(
    generator: VideoGenerator, models: Peers, case: Case, args: argparse.Namespace
) -> list[Loop]:
    """Loops that have taken their turns on one case."""
    loops = [our_loop(generator, case, accelerate) for accelerate in ("exact", "off")]
    for model, cache in models:
        loop = peer_loop(model, case, generator.decoder.config, cache, device=args.device)
        if "forward" in vars(model):
            loop.name += ", compiled"
            try:
                with within(PATIENCE):
                    loop.turn()
            except Exception as error:  # the compiler may raise anything when interrupted
                print(
                    f"{loop.name}, takes too long or fails and is left out of '{case.name}': "
                    f"{type(error).__name__}",
                    flush=True,
                )
                continue
        loops.append(loop)
    run_turns(loops, args.rounds)
    return loops


def print_case(case: Case, loops: list[Loop]) -> None:
    best = min((loop for loop in loops if not loop.name.startswith("ours")), key=seconds)
    print(
        f"\n{case.name}\n\n| | tokens/s | ms per token | times the best peer |\n|---|---|---|---|"
    )
    for loop in loops:
        ratio = seconds(best) / seconds(loop)
        print(
            f"| {loop.name} | {1 / seconds(loop):,.0f} | {1e3 * seconds(loop):.2f} | {ratio:.2f} |"
        )
    print(
        f"\nwanted: {case.target:g} times; exact drafts: {seconds(best) / seconds(loops[0]):.1f}",
        flush=True,
    )


def print_limit(generator: VideoGenerator, loops: list[Loop]) -> None:
    """How near one token at a time comes to reading, from memory, what it must read."""
    decoder = generator.decoder
    linears = sum(
        getattr(block, name).weight.nbytes for block in decoder.blocks for name in LINEARS
    )
    head = decoder.head.full.nbytes
    kv = (
        2
        * decoder.config.layers
        * decoder.config.kv_heads
        * decoder.config.head_size
        * decoder.no_text.itemsize
    )
    needed = linears + head + kv * window_tokens(decoder.config)
    bandwidth = read_bandwidth(decoder.no_text.device.type)
    print(f"\nattention: {generator.session(PROMPTS[0]).engine.ring.backend}")
    print(
        f"bytes that a token must read: {needed / 1e6:.1f} MB; memory gives {bandwidth / 1e9:.1f} "
        "GB/s"
    )
    for loop in loops[1:]:  # drafts read the weights once for several tokens
        share = needed / bandwidth / seconds(loop)
        print(f"{loop.name}: {1e3 * seconds(loop):.2f} ms per token, {share:.0%} of that limit")


def read_bandwidth(device: str) -> float:
    """Bytes per second of reading 256 MB, the best of five times."""
    numbers = torch.ones(2**26, device=device)
    times = []
    for _ in range(6):
        begin = clock(device)
        numbers.sum()
        times.append(clock(device) - begin)
    return numbers.nbytes / min(times[1:])


def print_headline(generator: VideoGenerator, models: Peers, args: argparse.Namespace) -> None:
    """Clips per second under guidance."""
    frames = args.latents
    case = Case("clip", 0, past=0, guided=True)
    loops = [our_clip(generator, frames, accelerate) for accelerate in ("exact", "off")]
    loops += [
        peer_loop(m, case, generator.decoder.config, cache, frames, args.device)
        for m, cache in models[:3]
    ]
    run_turns(loops, args.clip_rounds)
    pixels = 1 + (frames - 1) * generator.decoder.config.frames_per_latent
    print(
        f"\nclips of {pixels} frames with guidance\n\n| | seconds per clip | clips per second "
        "|\n|---|---|---|"
    )
    for loop in loops:
        took = seconds(loop) * loop.tokens
        print(f"| {loop.name} | {took:.2f} | {1 / took:.2f} |")
    best = min(loops[2:], key=seconds)
    print(
        f"\n{seconds(best) / seconds(loops[0]):.1f} times as many clips per second as {best.name}",
        flush=True,
    )


def print_cases(args: argparse.Namespace) -> None:
    """Beside others."""
    generator = VideoGenerator.from_pretrained(args.model, args.dtype).to(args.device)
    models = peers(generator, args)
    for case in CASES:
        if case.name in args.cases:
            loops = compare(generator, models, case, args)
            print_case(case, loops)
            if case.name == "full window":
                print_limit(generator, loops)
    if CLIPS in args.cases:
        print_headline(generator, models, args)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*(case.name for case in CASES), CLIPS]
    parser.add_argument(
        "--model", default="physics-64", help="a shipped model, a folder, or a hub id"
    )
    parser.add_argument(
        "--dtype", default="float32", choices=["float32", "bfloat16"], help="type of all models"
    )
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each; the median counts")
    parser.add_argument("--clip-rounds", type=int, default=3, help="turns with whole clips")
    parser.add_argument("--latents", type=int, default=9, help="latent frames of a clip")
    parser.add_argument(
        "--cases", nargs="+", default=[*names], choices=names, help="what to measure"
    )
    parser.add_argument("--compile", action="store_true", help="run a compiled peer too")
    parser.add_argument(
        "--drafts", action="store_true", help="only our model, with and without drafts"
    )
    parser.add_argument("--variants", action="store_true", help="only our model, in every dtype")
    parser.add_argument(
        "--orders", nargs="+", metavar="MODEL", help="only our model, and models of other orders"
    )
    parser.add_argument(
        "--prompts", type=int, default=64, help="clips that variants and orders are scored on"
    )
    parser.add_argument("--plots", help="only write the plots, to this folder")
    parser.add_argument(
        "--frames", type=int, default=10_000, help="frames of the endless video in the plot"
    )
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error(
            "there is no CUDA device here, so there is nothing to measure on one; leave --device "
            "out"
        )
    torch.set_num_threads(args.threads)
    begin = time.monotonic()
    print(
        f"{machine(args.device)}, threads: {args.threads}, {args.dtype}, transformers "
        f"{version('transformers')}"
    )
    if args.drafts:
        print_drafts(args)
    elif args.variants:
        print_variants(args)
    elif args.orders:
        print_orders(args)
    elif args.plots:
        write_plots(args)
    else:
        print_cases(args)
    print(f"\nThis took {time.monotonic() - begin:.0f} s.")


if __name__ == "__main__":
    main()
