"""Tokens per second of the sampler beside transformers' `generate` on decoders of equal size, taking turns.

    python benchmarks/sampling.py                       # all cases, and the machine's limit, on one core
    python benchmarks/sampling.py --dtype bfloat16
    python benchmarks/sampling.py --compile             # the peers compiled too, with static caches
    python benchmarks/sampling.py --variants            # what bfloat16 and int8 cost in agreement and bring
    python benchmarks/sampling.py --plots docs          # time per frame of an endless video, speed against window
    python benchmarks/sampling.py --device cuda

Peers have the layers, width, heads, vocabulary and context of ours, in one batch with the rows without prompt where
there is guidance. On a CPU the time is that of the processor, so that other work on the machine hardly counts.
"""

import argparse
import math
import statistics
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
from kinetoscope.generator import SamplingParams, VideoGenerator
from kinetoscope.generator.sampling import guide, gumbel_noise, sample
from kinetoscope.generator.weights import LINEARS, weight_bytes
from plots import line_plot
from sampling_peers import PROMPTS, SCALE, Case, Loop, clock, our_clip, our_loop, peer, peer_loop, window_tokens
from torch import Tensor
from turns import Runner, machine, take_turns, within

CASES = [
    Case("short context", 1.5, past=0),
    Case("full window", 4, past=6),
    Case("full window, guidance", 8, past=6, guided=True),
    Case("past the window", 4, past=20),
    Case("full window, 8 videos", 2, past=6, rows=8),
]
CLIPS = "clips"
VARIANTS = [("float32", None), ("bfloat16", None), ("float32", "int8"), ("bfloat16", "int8")]
Peers = list[tuple[Any, str]]  # models and the caches they run with
PATIENCE = 120  # seconds that compiling a peer may take


def peers(generator: VideoGenerator, args: argparse.Namespace) -> Peers:
    """Models and the caches they run with."""
    config, dtype = generator.decoder.config, generator.decoder.no_text.dtype
    llama = peer("Llama", config, dtype, args.device)
    found = [(llama, "dynamic"), (llama, "static"), (peer("Mistral", config, dtype, args.device), "dynamic")]
    if args.compile:
        twin = peer("Llama", config, dtype, args.device)
        twin.forward = torch.compile(twin.forward, dynamic=False)
        found.append((twin, "static"))
    return found


def compare(generator: VideoGenerator, models: Peers, case: Case, args: argparse.Namespace) -> list[Loop]:
    """Loops that have taken their turns on one case."""
    loops = [our_loop(generator, case, accelerate) for accelerate in ("exact", "off")]
    for model, cache in models:
        loop = peer_loop(model, case, generator.decoder.config, cache, device=args.device)
        if "forward" in vars(model):
            loop.name += ", compiled"
            try:
                with within(PATIENCE):
                    loop.turn()
            except Exception as error:  # whatever the compiler makes of the interruption
                print(
                    f"{loop.name}, takes too long or fails and is left out of '{case.name}': {type(error).__name__}",
                    flush=True,
                )
                continue
        loops.append(loop)
    run_turns(loops, args.rounds)
    return loops


def run_turns(loops: list[Loop], rounds: int) -> None:
    with torch.inference_mode():
        take_turns(cast(list[Runner], loops), rounds)


def seconds(loop: Loop) -> float:
    """Per token, the median of its turns."""
    return statistics.median(loop.seconds) / loop.tokens


def print_case(case: Case, loops: list[Loop]) -> None:
    best = min((loop for loop in loops if not loop.name.startswith("ours")), key=seconds)
    print(f"\n{case.name}\n\n| | tokens/s | ms per token | times the best peer |\n|---|---|---|---|")
    for loop in loops:
        ratio = seconds(best) / seconds(loop)
        print(f"| {loop.name} | {1 / seconds(loop):,.0f} | {1e3 * seconds(loop):.2f} | {ratio:.2f} |")
    print(f"\nwanted: {case.target:g} times; exact drafts: {seconds(best) / seconds(loops[0]):.1f}", flush=True)


def print_limit(generator: VideoGenerator, loops: list[Loop]) -> None:
    """How near one token at a time comes to reading, from memory, what it must read."""
    decoder = generator.decoder
    linears = sum(getattr(block, name).weight.nbytes for block in decoder.blocks for name in LINEARS)
    head = decoder.head.full.nbytes
    kv = 2 * decoder.config.layers * decoder.config.kv_heads * decoder.config.head_size * decoder.no_text.itemsize
    needed = linears + head + kv * window_tokens(decoder.config)
    bandwidth = read_bandwidth(decoder.no_text.device.type)
    print(f"\nbytes that a token must read: {needed / 1e6:.1f} MB; memory gives {bandwidth / 1e9:.1f} GB/s")
    for loop in loops[1:]:  # drafts read them once for several tokens
        share = needed / bandwidth / seconds(loop)
        print(f"{loop.name}: {1e3 * seconds(loop):.2f} ms per token, {share:.0%} of that limit")


def read_bandwidth(device: str) -> float:
    """Bytes per second of reading 256 MB, the best of five times."""
    numbers, times = torch.ones(2**26, device=device), []
    for _ in range(6):
        begin = clock(device)
        numbers.sum()
        times.append(clock(device) - begin)
    return numbers.nbytes / min(times[1:])


def print_headline(generator: VideoGenerator, models: Peers, args: argparse.Namespace) -> None:
    """Clips per second under guidance."""
    frames, case = args.latents, Case("clip", 0, past=0, guided=True)
    loops = [our_clip(generator, frames, accelerate) for accelerate in ("exact", "off")]
    loops += [peer_loop(m, case, generator.decoder.config, cache, frames, args.device) for m, cache in models[:3]]
    run_turns(loops, args.clip_rounds)
    pixels = 1 + (frames - 1) * generator.decoder.config.frames_per_latent
    print(f"\nclips of {pixels} frames with guidance\n\n| | seconds per clip | clips per second |\n|---|---|---|")
    for loop in loops:
        took = seconds(loop) * loop.tokens
        print(f"| {loop.name} | {took:.2f} | {1 / took:.2f} |")
    best = min(loops[2:], key=seconds)
    print(f"\n{seconds(best) / seconds(loops[0]):.1f} times as many clips per second as {best.name}", flush=True)


# ---- variants ----


@torch.inference_mode()
def guided_logits(generator: VideoGenerator, codes_BTHW: Tensor) -> Tensor:
    """Logits of every code of clips, given what is before it."""
    text_BSE, mask_BS = generator.encode_text(PROMPTS[: len(codes_BTHW)])
    decoder = generator.decoder
    states = [decoder(codes_BTHW, text_BSE, mask, return_hidden=True) for mask in (mask_BS, mask_BS & False)]
    return guide(states[0], states[1], SCALE) @ decoder.head().T


def print_variants(args: argparse.Namespace) -> None:
    """Against float32: which codes would be drawn behind the same past, the bits of real choices, whole clips."""
    params, T = SamplingParams(guidance=SCALE), args.latents
    generators = [VideoGenerator.from_pretrained(args.model, *variant) for variant in VARIANTS]
    config = generators[0].decoder.config
    loops = [our_clip(generator, T, accelerate) for accelerate in ("exact", "off") for generator in generators]
    run_turns(loops, args.clip_rounds)
    with torch.inference_mode():
        clips = [whole_clips(generator, params, T) for generator in generators]
    codes_BTG = clips[0]
    noise = torch.stack(
        [gumbel_noise(range(len(codes_BTG)), t, config.cells, config.vocab_size) for t in range(T)], dim=1
    )
    print("\n| | MB | s per clip | one by one | codes drawn equal | in whole clips | bits per code |")
    print("|---|---|---|---|---|---|---|")
    for i, (variant, generator) in enumerate(zip(VARIANTS, generators)):
        logits_BTGV = guided_logits(generator, codes_BTG.unflatten(2, config.grid))
        equal = (sample(logits_BTGV, params, noise) == codes_BTG).float().mean()
        logp_BTGV = (logits_BTGV.float() / params.temperature).log_softmax(-1)
        bits = -logp_BTGV.gather(-1, codes_BTG[..., None]).mean() / math.log(2)
        exact, off = (statistics.median(loop.seconds) for loop in (loops[i], loops[i + len(generators)]))
        whole = (clips[i] == codes_BTG).float().mean()
        name = ", ".join(part for part in variant if part)
        size = weight_bytes(generator.decoder) / 1e6
        print(f"| {name} | {size:.1f} | {exact:.2f} | {off:.2f} | {equal:.1%} | {whole:.1%} | {bits:.4f} |")


def whole_clips(generator: VideoGenerator, params: SamplingParams, latents: int) -> Tensor:
    """Codes [B, T, G] of a few clips."""
    session = generator.session(PROMPTS[:4], params=params).codes
    return torch.stack([session.draw() for _ in range(latents)], dim=1)


# ---- plots ----


def plot_endless(generator: VideoGenerator, path: Path, args: argparse.Namespace) -> None:
    """Time per frame of a video that goes on and on."""
    session = generator.session(PROMPTS[0], params=SamplingParams(guidance=SCALE)).codes
    per_frame: list[float] = []
    per_forward: list[float] = []
    with torch.inference_mode():
        for _ in range(args.frames):
            begin, before = clock(args.device), session.forwards
            session.draw()
            per_frame.append(1e3 * (clock(args.device) - begin))
            per_forward.append(per_frame[-1] / (session.forwards - before))
    tenth = max(1, args.frames // 10)
    print(f"{args.frames} latent frames: mean of the last tenth over that of the second, p99 over p50")
    for name, times in (("per frame", per_frame), ("per forward", per_forward)):
        late = statistics.mean(times[-tenth:]) / statistics.mean(times[tenth : 2 * tenth])
        print(f"time {name}: {late:.3f}, {tail(times[tenth:]):.2f}", flush=True)
    starts = range(0, args.frames - tenth + 1, tenth)
    lines = {
        "each frame": [(float(frame), time) for frame, time in enumerate(per_frame)],
        "median of a tenth": [(at + tenth / 2, statistics.median(per_frame[at : at + tenth])) for at in starts],
    }
    line_plot(path, lines, "latent frame", "milliseconds per latent frame")


def plot_windows(generator: VideoGenerator, path: Path, args: argparse.Namespace) -> None:
    """Tokens per second, without guidance, past the limit of windows of every length."""
    config = generator.decoder.config
    lines: dict[str, list[tuple[float, float]]] = {"ours, exact drafts": [], "ours, one by one": [], "Mistral": []}
    for window in range(1, config.max_distance - config.sinks + 2):
        case = Case("window", 0, past=config.sinks + window + 2)
        mistral = peer("Mistral", config, generator.decoder.no_text.dtype, args.device, window)
        loops = [our_loop(generator, case, accelerate, window) for accelerate in ("exact", "off")]
        loops.append(peer_loop(mistral, case, config, "dynamic", device=args.device))
        run_turns(loops, args.rounds)
        for points, loop in zip(lines.values(), loops):
            points.append((window, 1 / seconds(loop)))
    line_plot(path, lines, "window, latent frames", "tokens per second")


def tail(times: list[float]) -> float:
    ordered = sorted(times)
    return ordered[int(0.99 * (len(ordered) - 1))] / statistics.median(ordered)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*(case.name for case in CASES), CLIPS]
    parser.add_argument("--model", default="physics-64", help="a shipped model, a folder, or a hub id")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"], help="of all models")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each, of which the median counts")
    parser.add_argument("--clip-rounds", type=int, default=3, help="turns with whole clips")
    parser.add_argument("--latents", type=int, default=9, help="latent frames of a clip")
    parser.add_argument("--cases", nargs="+", default=[*names], choices=names, help="what to measure")
    parser.add_argument("--compile", action="store_true", help="run a compiled peer too")
    parser.add_argument("--variants", action="store_true", help="ours alone, in every dtype")
    parser.add_argument("--plots", help="only write the plots, to this folder")
    parser.add_argument("--frames", type=int, default=10_000, help="latent frames of the endless video in the plot")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device here, so there is nothing to measure on one; leave --device out")
    torch.set_num_threads(args.threads)
    begin = time.monotonic()
    print(f"{machine(args.device)}, threads: {args.threads}, {args.dtype}, transformers {version('transformers')}")
    if args.variants:
        return print_variants(args)
    generator = VideoGenerator.from_pretrained(args.model, args.dtype).to(args.device)
    if args.plots:
        folder = Path(args.plots)
        folder.mkdir(parents=True, exist_ok=True)
        plot_endless(generator, folder / "sampling-endless.png", args)
        return plot_windows(generator, folder / "sampling-window.png", args)
    models = peers(generator, args)
    for case in CASES:
        if case.name in args.cases:
            loops = compare(generator, models, case, args)
            print_case(case, loops)
            if case.name == "full window":
                print_limit(generator, loops)
    if CLIPS in args.cases:
        print_headline(generator, models, args)
    print(f"\nThis took {time.monotonic() - begin:.0f} s.")


if __name__ == "__main__":
    main()
