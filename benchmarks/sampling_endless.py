"""Time and memory of an endless video, and speed against window: numbers and plots."""

import argparse
import resource
import statistics
from dataclasses import dataclass, field
from pathlib import Path

import torch
from kinetoscope.generator import SamplingEngine, SamplingParams, VideoGenerator
from plots import Points, line_plot
from sampling_peers import (
    OURS,
    PROMPTS,
    SCALE,
    Case,
    clock,
    our_loop,
    peer,
    peer_loop,
    run_turns,
    seconds,
)

EVERY = 4  # frames between two turns of the control


@dataclass
class Times:
    """Milliseconds per latent frame and per forward pass, and the most memory in megabytes."""

    per_frame: list[float] = field(default_factory=list)
    per_forward: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def draw(self, session: SamplingEngine) -> None:
        begin = clock(session.device.type)
        before = session.forwards
        session.draw()
        self.per_frame.append(1e3 * (clock(session.device.type) - begin))
        self.per_forward.append(self.per_frame[-1] / (session.forwards - before))
        self.memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


@torch.inference_mode()
def grow(generator: VideoGenerator, accelerate: str, latents: int) -> tuple[Times, Times]:
    """Draw `latents` latent frames under guidance, and between them a control.

    The control draws one frame of another video again and again, which is always the same work, so
    that changes of its time are due to the machine.
    """
    params = SamplingParams(guidance=SCALE, accelerate=accelerate)
    config = generator.decoder.config
    session, control = (generator.session(PROMPTS[0], params=params).engine for _ in range(2))
    for _ in range(config.sinks + config.window + 2):
        control.draw()
    growth = Times()
    same = Times()
    for frame in range(latents):
        growth.draw(session)
        if frame % EVERY == 0:
            control.rewind(1)
            same.draw(control)
    return growth, same


def print_times(name: str, times: list[float], memory: list[float], targets: str = "") -> None:
    tenth = max(1, len(times) // 10)
    late = statistics.median(times[-tenth:]) / statistics.median(times[tenth : 2 * tenth])
    more = memory[-1] - memory[2 * tenth - 1]
    print(
        f"| {name} | {statistics.median(times):.2f} | {late:.3f} | {tail(times):.2f} | {more:.0f} "
        f"|{targets}",
        flush=True,
    )


def tail(times: list[float]) -> float:
    """99th percentile over median."""
    ordered = sorted(times)
    return ordered[int(0.99 * (len(ordered) - 1))] / statistics.median(ordered)


def plot_endless(generator: VideoGenerator, path: Path, args: argparse.Namespace) -> None:
    """Prints and plots the time per frame.

    One by one, every frame is the same work. With drafts, every forward pass is the same work, and
    a frame takes as many passes as its guesses need.
    """
    k = generator.decoder.config.frames_per_latent
    latents = 1 + -(-(args.frames - 1) // k)
    print(
        f"\n{latents} latent frames, {1 + (latents - 1) * k} frames, through the limit of the "
        "window. late / early: the"
    )
    print(
        "median of the last tenth over that of the second; MB more: of the peak, since the second "
        "tenth"
    )
    print("\n| | ms | late / early | p99 / p50 | MB more |\n|---|---|---|---|---|")
    lines: dict[str, Points] = {}
    for accelerate in ("off", "exact"):
        (growth, same) = grow(generator, accelerate, latents)
        name = OURS[accelerate].removeprefix("ours, ")
        wanted = " wanted: at most 1.05 and 1.3" if accelerate == "off" else ""
        print_times(f"{name}, per latent frame", growth.per_frame, growth.memory, wanted)
        print_times(f"{name}, per forward", growth.per_forward, growth.memory)
        print_times(
            f"{name}, per forward, the same frame again and again", same.per_forward, same.memory
        )
        tenth = max(1, latents // 10)
        starts = range(0, latents - tenth + 1, tenth)
        lines[f"{name}, each"] = [
            (float(frame), time) for frame, time in enumerate(growth.per_frame)
        ]
        lines["median of a tenth" + " " * len(lines)] = [
            (at + tenth / 2, statistics.median(growth.per_frame[at : at + tenth])) for at in starts
        ]
    line_plot(path, lines, "latent frame", "milliseconds per latent frame")


def plot_windows(generator: VideoGenerator, path: Path, args: argparse.Namespace) -> None:
    """Tokens per second, without guidance, past the limit of windows of every length."""
    config = generator.decoder.config
    lines: dict[str, Points] = {"ours, exact drafts": [], "ours, one by one": [], "Mistral": []}
    for window in range(1, config.max_distance - config.sinks + 2):
        case = Case("window", 0, past=config.sinks + window + 2)
        mistral = peer("Mistral", config, generator.decoder.no_text.dtype, args.device, window)
        loops = [our_loop(generator, case, accelerate, window) for accelerate in ("exact", "off")]
        loops.append(peer_loop(mistral, case, config, "dynamic", device=args.device))
        run_turns(loops, args.rounds)
        for points, loop in zip(lines.values(), loops):
            points.append((window, 1 / seconds(loop)))
    line_plot(path, lines, "window, latent frames", "tokens per second")


def write_plots(args: argparse.Namespace) -> None:
    """Both, as PNG, to the folder `args.plots`."""
    generator = VideoGenerator.from_pretrained(args.model, args.dtype).to(args.device)
    folder = Path(args.plots)
    folder.mkdir(parents=True, exist_ok=True)
    plot_endless(generator, folder / "sampling-endless.png", args)
    plot_windows(generator, folder / "sampling-window.png", args)
