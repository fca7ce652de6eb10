"""Frames per second of the tokenizer and of its peers on the same clips, in turns.

    python benchmarks/tokenizer.py  # ours and the peers that are installed, on one core
    python benchmarks/tokenizer.py --variants  # bfloat16, memory formats and compilation
    python benchmarks/tokenizer.py --device cuda  # on a GPU, beside its limits

Every model runs in the fastest of its modes (float32, bfloat16 by autocast, bfloat16 weights) and,
where compilation takes less than a minute, compiled too. Quality is not compared, because the peers
have random weights.
"""

import argparse
from typing import Any

import torch
from gpu_limits import device_limits, shares_of_limits
from tokenizer_peers import AUTOCAST, FULL, PEERS, Codec, Ours, OursStreamed
from torch import nn
from turns import PATIENCE, Runner, compiled, machine, settle_mode, take_turns

FRAMES = 17
TRIAL_SIZE = 64  # pixels a side of the clip on which the modes are tried
REAL_TIME = 24  # frames per second
GPU_BATCH = 16


def codecs(model: str, peers: list[str], device: str) -> list[Codec]:
    """Ours, and the peers that can be imported."""
    found: list[Any] = [Ours(model), OursStreamed(model)]
    for name in peers:
        try:
            found.append(PEERS[name]())
        except ImportError as error:
            print(f"{name} is left out: {error}")
    for codec in found:
        codec.model.to(device)
    return found


def compare(modes: dict[Codec, str], size: int, args: argparse.Namespace) -> list[Runner]:
    """Runners that have taken their turns on a clip of one size."""
    runners = [Runner.of(codec, mode, FRAMES, size, args.device) for codec, mode in modes.items()]
    if args.patience:
        twins = [
            compiled(runner, "compiled", args.patience)
            for runner in runners
            if "streamed" not in runner.codec.name
        ]
        runners += [twin for twin in twins if twin]
    take_turns(runners, args.rounds)
    return runners


def variants(size: int, args: argparse.Namespace) -> list[Runner]:
    """Ours with one thing changed at a time."""

    def ours(mode: str, note: str = "") -> Runner:
        codec = Ours(args.model)
        codec.model.to(args.device)
        runner = Runner.of(codec, f"{mode}, {note}" if note else mode, FRAMES, size, args.device)
        runner.encode, runner.decode = runner.codec.steps()
        return runner

    stored = ours(AUTOCAST, "linear weights stored so")
    lasting = ours(AUTOCAST, "convolution weights channels-last")
    for name, part in stored.codec.model.named_modules():
        if isinstance(part, nn.Linear) and not name.startswith("quantizer"):
            part.bfloat16()
    for part in lasting.codec.model.modules():
        if isinstance(part, nn.Conv2d):
            part.to(memory_format=torch.channels_last)
    runners = [ours(FULL), ours(AUTOCAST), stored, lasting]
    for mode in (FULL, AUTOCAST) if args.patience else ():
        for packed in (False, True):
            with torch._inductor.config.patch(freezing=packed):
                twin = compiled(ours(mode), "compiled" + ", weights packed" * packed, args.patience)
                runners += [twin] if twin else []
    take_turns(runners, args.rounds)
    return runners


def print_table(runners: list[Runner], args: argparse.Namespace) -> None:
    size = runners[0].clip.shape[-1]
    unit = "frames per second" if args.device == "cuda" else "frames per second of one core"
    print(
        f"\n{FRAMES} frames of {size}x{size} pixels, threads: {args.threads}, medians of "
        f"{args.rounds} turns, {unit}\n"
    )
    print(
        "| | mode | parameters | multiply-adds per pixel | bits per pixel | encode | decode | both "
        "|"
    )
    print("|---|---|---|---|---|---|---|---|")
    costs: dict[str, tuple[float, float]] = {}
    for runner in runners:
        name = runner.codec.name
        costs[name] = costs.get(name) or runner.costs()
        parameters = sum(parameter.numel() for parameter in runner.codec.model.parameters()) / 1e6
        rates = " | ".join(
            f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}" for rate in runner.rates()
        )
        print(
            f"| {name} | {runner.mode} | {parameters:.1f} M | {costs[name][0]:,.0f} | "
            f"{costs[name][1]:.4f} | {rates} |"
        )


def print_ratios(runners: list[Runner]) -> None:
    """Ours against the faster peer, each in its fastest mode, and against real time."""
    size = runners[0].clip.shape[-1]
    ranked = sorted(runners, key=lambda runner: -runner.rates()[-1])
    peers = [runner for runner in ranked if not isinstance(runner.codec, Ours)]
    ours = [runner for runner in ranked if type(runner.codec) is Ours]
    for runner in ours if peers else ():
        times = runner.rates()[-1] / peers[0].rates()[-1]
        other = f"{peers[0].codec.name} ({peers[0].mode})"
        print(
            f"\n{size}x{size}: {runner.mode} is {times:,.0f} times as fast as the faster peer, "
            f"{other}.",
            flush=True,
        )
    for runner in ranked:
        if isinstance(runner.codec, OursStreamed):
            times = runner.rates()[-1] / REAL_TIME
            print(
                f"\n{size}x{size}, streamed: encode + decode at {times:.1f} times real time "
                f"({REAL_TIME} frames/s)."
            )


def print_limits(model: str, size: int, device: str, limits: tuple[float, float]) -> None:
    """Frames per second of a batch, and how much of the device's limits that is."""
    tokenizer = Ours(model).model.to(device)
    video = 2 * torch.rand(GPU_BATCH, 3, FRAMES, size, size, device=device) - 1
    with torch.autocast(device, torch.bfloat16):
        codes = tokenizer.encode(video)
        for name, work in (
            ("encode", lambda: tokenizer.encode(video)),
            ("decode", lambda: tokenizer.decode(codes)),
        ):
            seconds, arithmetic, memory = shares_of_limits(work, device, limits)
            rate = GPU_BATCH * FRAMES / seconds
            shares = f"{arithmetic:.1%} of the arithmetic limit, {memory:.1%} of the memory limit"
            print(
                f"\n{size}x{size}, {GPU_BATCH} clips at once, {name}: {rate:,.0f} frames/s, "
                f"{shares}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", default="physics-64", help="a shipped tokenizer, a folder, or a hub id"
    )
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[64, 128], help="sides of the clips in pixels"
    )
    parser.add_argument("--peers", nargs="*", default=[*PEERS], choices=[*PEERS])
    parser.add_argument("--rounds", type=int, default=5, help="turns of each; the median counts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument(
        "--patience", type=float, default=PATIENCE, help="seconds to compile in; 0 compiles nothing"
    )
    parser.add_argument(
        "--variants", action="store_true", help="only our model, with one change at a time"
    )
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error(
            "there is no CUDA device here, so there is nothing to measure on one; leave --device "
            "out"
        )
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    print(machine(args.device))
    found = [] if args.variants else codecs(args.model, args.peers, args.device)
    modes = {codec: settle_mode(codec, FRAMES, TRIAL_SIZE, args.device) for codec in found}
    limits = device_limits(args.device) if args.device == "cuda" else None
    for size in args.sizes:
        runners = variants(size, args) if args.variants else compare(modes, size, args)
        print_table(runners, args)
        if not args.variants:
            print_ratios(runners)
        if limits:
            print_limits(args.model, size, args.device, limits)


if __name__ == "__main__":
    main()
