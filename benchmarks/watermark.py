"""What the mark in the pixels survives, and how often a detector sees one where none is.

    python benchmarks/watermark.py WORK --stage 500 --real FOLDER --pieces 300 --nulls 10000

Renders of the stage (33 frames of 256 pixels) and pieces of real videos (33 frames, their shorter
side scaled down to 288 pixels at most) are marked with the open pattern and an owner's 16 bits,
attacked, and given to the detector, which knows nothing but the pixels. Where real videos have
fewer pieces than are asked for, renders of the physics world (256 pixels) make up the rest, in a
table of their own. Every number is kept in WORK/results.jsonl: a run that was stopped goes on where
it was, and --table only prints.

False alarms are measured with keys that no video was marked with: the same search over all scales,
offsets and mirrors. With --removals, attacks that mean to remove the mark are measured too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch
from kinetoscope.app.provenance.watermark import Owner, apply, detect
from kinetoscope.app.provenance.watermark.evidence import Evidence
from kinetoscope.app.provenance.watermark.pattern import spectrum
from kinetoscope.app.provenance.watermark.search import TIERS, search
from kinetoscope.data.datasets.video_list import list_videos
from kinetoscope.data.video import probe, read_clip
from kinetoscope.data.worlds.physics.clips import physics_batch
from kinetoscope.data.worlds.physics.scene import PhysicsConfig
from kinetoscope.data.worlds.stage.clips import stage_batch
from safetensors.torch import load_file, save_file
from torch import Tensor
from watermark_attacks import REMOVALS, USES, Attack, h264, without

FRAMES = 33
SIZE = 256  # pixels of a side of the renders
SHORT_SIDE = 288  # pixels of real videos, so that three hundred pieces can be measured on a CPU
FIRST_SEED = 1000
OWNER = Owner(b"the key of the benchmark", 0xBEEF)
AT_A_TIME = 25  # keys
AVERAGED = 16  # marked clips whose mean gives the pattern away

Row = dict[str, object]
Clip = tuple[str, Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of clips and results")
    parser.add_argument("--stage", type=int, default=0, help="renders of the stage")
    parser.add_argument("--real", type=Path, help="folder of real videos")
    parser.add_argument("--pieces", type=int, default=0, help="pieces of real videos")
    parser.add_argument("--nulls", type=int, default=0, help="keys that no video was marked with")
    parser.add_argument("--null-tiers", type=int, default=len(TIERS), help="tiers of scales")
    parser.add_argument("--removals", type=int, default=0, help="clips of each set to clean")
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop after this time")
    parser.add_argument("--table", action="store_true", help="only print what there is")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.work.mkdir(parents=True, exist_ok=True)
    results = Results(options.work / "results.jsonl")
    if not options.table:
        try:
            measure(options, results, time.monotonic() + options.seconds)
        except TimeoutError:
            print("the time is over; the same command goes on from here")
    print_table(results.rows)


class Results:
    """Rows that are kept in a file as they come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.rows: list[Row] = [json.loads(line) for line in lines if line.endswith("}")]
        self.done = {(row["clip"], row["attack"]) for row in self.rows}

    def add(self, row: Row) -> None:
        self.rows.append(row)
        self.done.add((row["clip"], row["attack"]))
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def measure(options: argparse.Namespace, results: Results, until: float) -> None:
    stage = stage_clips(options.work, options.stage)
    real = other_clips(options.real, options.pieces) if options.real else iter(())
    count = Counter[str]()
    for name, clip in interleaved(stage, real):
        kind = name.split("-")[0]
        measure_clip(name, clip, USES, results, until)
        if count[kind] < options.removals:
            attacks = {attack: make() for attack, make in REMOVALS.items()}
            measure_clip(name, clip, attacks, results, until)
        count[kind] += 1
        share = options.nulls // max(1, options.stage + options.pieces) + 1
        measure_nulls(name, clip, share, options.null_tiers, results, until)
    if options.removals:
        measure_average(options, results, until)


def interleaved(*clips: Iterator[Clip]) -> Iterator[Clip]:
    """One of each in turn, so that a run that is stopped early has seen both sets."""
    left = list(clips)
    while left:
        for source in list(left):
            clip = next(source, None)
            if clip is None:
                left.remove(source)
            else:
                yield clip


def stage_clips(work: Path, count: int) -> Iterator[Clip]:
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        path = work / f"stage-{SIZE}-{seed}.safetensors"
        if not path.exists():
            save_file({"video": stage_batch([seed], FRAMES, SIZE)["video"][0].contiguous()}, path)
        yield f"stage-{seed}", load_file(path)["video"]


def other_clips(folder: Path, count: int) -> Iterator[Clip]:
    """Pieces of real videos, and then renders of the physics world."""
    given = 0
    for clip in real_pieces(folder, count):
        given += 1
        yield clip
    for seed in range(FIRST_SEED, FIRST_SEED + count - given):
        video = physics_batch(range(seed, seed + 1), FRAMES, SIZE, PhysicsConfig())["video"]
        yield f"physics-{seed}", video[0]


def real_pieces(folder: Path, count: int) -> Iterator[Clip]:
    """First one piece of each video, then the next one of each that is long enough."""
    paths = [video.path for video in list_videos(folder, captions="none")[0]]
    videos = [(path, probe(path)) for path in paths]
    videos = [(path, info) for path, info in videos if min(info.height, info.width) >= 128]
    given = 0
    part = 0
    while given < count:
        longer = [(path, info) for path, info in videos if info.frames >= (part + 1) * FRAMES]
        if not longer:
            return
        for path, info in longer[: count - given]:
            size = min(SHORT_SIDE, info.height, info.width)
            start = part * FRAMES / info.fps
            video = read_clip(path, start, FRAMES, size=size, threads=1).video
            if video.shape[1] == FRAMES:
                given += 1
                yield f"real-{path.stem}-{part}", video
        part += 1


def measure_clip(
    name: str, clip: Tensor, attacks: dict[str, Attack], results: Results, until: float
) -> None:
    marked = apply(clip, owner=OWNER)[0]
    decibels = psnr(clip, marked)
    for attack, change in attacks.items():
        if (name, attack) in results.done:
            continue
        if time.monotonic() > until:
            raise TimeoutError
        verdict = detect(change(marked), OWNER.key)
        row = {
            "clip": name,
            "attack": attack,
            "psnr": decibels,
            "strength": verdict.strength,
            "false_alarm": verdict.false_alarm,
            "payload": verdict.payload == OWNER.payload,
            "wrong": verdict.payload not in (None, OWNER.payload),
        }
        results.add(row)


def measure_nulls(
    name: str, clip: Tensor, count: int, tiers: int, results: Results, until: float
) -> None:
    """Keys that the clip was not marked with, half of them after H.264."""
    for attack, video in (("keys", clip), ("keys, H.264 crf 28", None)):
        label = f"{attack}, {tiers} tiers"
        if (name, label) in results.done:
            continue
        evidence = Evidence()
        evidence.add(h264(clip, 28) if video is None else video)
        chances: list[float] = []
        for first in range(0, (count + 1) // 2, AT_A_TIME):
            if time.monotonic() > until:
                raise TimeoutError
            numbers = range(first, min(first + AT_A_TIME, (count + 1) // 2))
            keys = [hashlib.sha256(f"{name} {label} {n}".encode()).digest() for n in numbers]
            spectra = [spectrum(key) for key in keys]
            places = search(evidence.picture, spectra, enough=0.0, tiers=TIERS[:tiers])
            chances += [place.false_alarm for place in places]
        results.add({"clip": name, "attack": label, "null": chances})


def measure_average(options: argparse.Namespace, results: Results, until: float) -> None:
    """The mean of many marked clips is nearly the pattern itself; it is taken away from others."""
    attack = f"the mean of {AVERAGED} clips taken away"
    pattern = torch.zeros(3, SIZE, SIZE)
    learned = options.stage // 2
    if learned < AVERAGED:
        return
    for index, (name, clip) in enumerate(stage_clips(options.work, options.stage)):
        marked = apply(clip, owner=OWNER)[0]
        if index < AVERAGED:
            detail = marked.float().mean(1)
            pattern += (detail - smooth(detail)) / AVERAGED
        elif index < AVERAGED + options.removals and (name, attack) not in results.done:
            measure_clip(name, clip, {attack: without(pattern)}, results, until)


def smooth(image: Tensor, reach: int = 8) -> Tensor:
    """The mean over a square of 2 reach + 1 pixels of [3, Y, X]."""
    wide = torch.nn.functional.pad(image[None], (reach,) * 4, mode="replicate")
    return torch.nn.functional.avg_pool2d(wide, 2 * reach + 1, stride=1)[0]


def psnr(video: Tensor, marked: Tensor) -> float:
    error = (video.float() - marked.float()).square().mean()
    return float(10 * torch.log10(255**2 / error))


def print_table(rows: list[Row]) -> None:
    for kind in ("stage", "real", "physics"):
        mine = [row for row in rows if str(row["clip"]).startswith(kind) and "psnr" in row]
        if not mine:
            continue
        levels = {row["clip"]: float(str(row["psnr"])) for row in mine}.values()
        print(
            f"\n{kind}: {len(levels)} clips, PSNR of the mark {statistics.mean(levels):.2f} dB on "
            f"average, {min(levels):.2f} in the worst clip\n"
        )
        print("| after | clips | found at 1e-6 | at 1e-3 | weakest z | median z | 16 bits read |")
        print("|---|---|---|---|---|---|---|")
        for attack in dict.fromkeys(row["attack"] for row in mine):
            print(table_row(str(attack), [row for row in mine if row["attack"] == attack]))
        wrong = sum(bool(row["wrong"]) for row in mine)
        print(f"\nwrong payloads: {wrong} of {len(mine)}")
    print_nulls(rows)


def table_row(attack: str, rows: list[Row]) -> str:
    chances = [float(str(row["false_alarm"])) for row in rows]
    strengths = [float(str(row["strength"])) for row in rows]
    shares = [sum(chance <= limit for chance in chances) / len(rows) for limit in (1e-6, 1e-3)]
    read = sum(bool(row["payload"]) for row in rows) / len(rows)
    return (
        f"| {attack} | {len(rows)} | {shares[0]:.1%} | {shares[1]:.1%} | {min(strengths):.1f} | "
        f"{statistics.median(strengths):.1f} | {read:.1%} |"
    )


def print_nulls(rows: list[Row]) -> None:
    """How often keys of nobody look as good as a bound says, and the tail of that."""
    for tiers in range(1, len(TIERS) + 1):
        chances: list[float] = []
        for row in rows:
            if str(row["attack"]).endswith(f", {tiers} tiers"):
                chances += row["null"]  # type: ignore[operator]
        if not chances:
            continue
        print(f"\n{len(chances)} keys of nobody, {tiers} of {len(TIERS)} tiers of scales:")
        for limit in (0.5, 0.1, 0.01, 1e-3, 1e-4):
            count = sum(chance <= limit for chance in chances)
            print(f"  bound at most {limit:g}: {count} ({count / len(chances):.2e})")
        # Where the bound holds, -ln(bound) falls off at least as fast as an exponential of mean 1.
        tail = sorted(-math.log(max(chance, 1e-300)) for chance in chances)[-len(chances) // 20 :]
        slope = statistics.mean(value - tail[0] for value in tail)
        at_limit = 0.05 * math.exp(-(math.log(1e6) - tail[0]) / max(slope, 1e-9))
        print(
            f"  lowest {min(chances):.1e}; the tail of the last 5 % falls off with a mean of "
            f"{slope:.2f} (1 or less is safe): {at_limit:.1e} at a bound of 1e-6"
        )


if __name__ == "__main__":
    main()
