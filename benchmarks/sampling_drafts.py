"""The speed of drafts over one code after another, clip by clip, and that codes are equal."""

import argparse
import statistics
from dataclasses import dataclass, field

import torch
from kinetoscope.generator import SamplingParams, VideoGenerator
from sampling_peers import SCALE, clock
from torch import Tensor

PROMPTS = [
    "a large red ball rolls to the right",
    "a blue cube slides left, at night",
    "a small green cylinder falls and bounces while the camera pans right",
    "a yellow ball and a purple cube collide, the camera orbits",
]
MODES = ["off", "exact", "distribution"]
WANTED = {
    "cpu": "6 times fewer forwards, 2.5 times faster",
    "cuda": "6 times fewer forwards, 4 times faster",
}


@dataclass
class Clips:
    """Codes [T, G] of each clip, the seconds that it took, and the forwards."""

    codes: list[Tensor] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    forwards: int = 0

    def draw(
        self,
        generator: VideoGenerator,
        prompt: str,
        seed: int,
        params: SamplingParams,
        args: argparse.Namespace,
    ):
        begin = clock(args.device)
        session = generator.session(prompt, seed, params).engine
        drawn = [session.draw()[0] for _ in range(args.latents)]
        self.seconds.append(clock(args.device) - begin)
        self.codes.append(torch.stack(drawn))
        self.forwards += session.forwards

    def differ(self, other: "Clips") -> str:
        """How many codes differ, and how many clips they are in.

        After its first different code a clip continues differently.
        """
        wrong = [int((mine != theirs).sum()) for mine, theirs in zip(self.codes, other.codes)]
        total = sum(map(torch.numel, self.codes))
        return f"{sum(wrong)} of {total:,} ({sum(map(bool, wrong))} of {len(wrong)} clips)"


def draw_clips(args: argparse.Namespace, dtype: str, guidance: float) -> dict[str, Clips]:
    """Clips of every prompt in every mode, in turns; the first turns warm up and do not count."""
    generator = VideoGenerator.from_pretrained(args.model, dtype).to(args.device)
    warming = {mode: Clips() for mode in MODES}
    clips = {mode: Clips() for mode in MODES}
    with torch.inference_mode():
        for book, seed, prompt in [
            (warming, 0, PROMPTS[0]),
            *((clips, *each) for each in enumerate(PROMPTS)),
        ]:
            for mode in MODES:
                params = SamplingParams(guidance=guidance, accelerate=mode)
                book[mode].draw(generator, prompt, seed, params, args)
    return clips


def print_drafts(args: argparse.Namespace) -> None:
    """Forwards, speed and codes of drafts against those of one code after another."""
    print(
        "\n| | forwards per latent frame | times fewer | times faster | codes that differ "
        "|\n|---|---|---|---|---|"
    )
    for dtype in ("float32", "bfloat16"):
        for name, guidance in (("guidance", SCALE), ("no guidance", 1.0)):
            clips = draw_clips(args, dtype, guidance)
            off = clips["off"]
            frames = args.latents * len(PROMPTS)
            for mode in MODES[1:]:
                mine = clips[mode]
                faster = statistics.median(a / b for a, b in zip(off.seconds, mine.seconds))
                different = mine.differ(off) if mode == "exact" else "by design"
                print(
                    f"| {mode}, {dtype}, {name} | {mine.forwards / frames:.1f} "
                    f"| {off.forwards / mine.forwards:.1f} | "
                    f"{faster:.1f} | {different} |",
                    flush=True,
                )
    print(f"\nwanted of exact drafts: {WANTED[args.device]}, no code different in float32")
