"""Makes the judge of pictures: `python -m kinetoscope.data.worlds.stage.judge.fit --out FOLDER`.

There are three stages. First FrameNet learns regions, looks and pose from single frames, then
CloseUpNet the looks of objects from near, in the same frames. At last the networks of courses learn
motions, touches and moves of the camera from the tracks that the finished two make. Half of all
pictures are spoiled as a video decoder spoils them, and some really went through a tokenizer, so
that its pictures can be read as well as renders. At the end it prints its score on clips that it
never saw.

A stage of 0 steps is left out, and `--init-from` goes on with an earlier judge, so the stages can
be run one by one; frames that were rendered are kept in a folder for the next.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name

import torch
from torch import Tensor

from .....files.tensors import load_tensors, save_tensors
from ....ledger.card import save_training_data
from ....ledger.sources import rendered_row
from ..captions.facts import Facts
from ..captions.observe import facts
from ..clips import HELD_OUT_SEED
from ..drawing.render import render
from ..sample import sample_scenes
from ..scene import StageConfig
from . import fit_close_ups, fit_courses, fit_frames
from .pixels import READ_FRAMES, PixelJudge, calibrate

log = logging.getLogger(__name__)
CHECK_SEED = HELD_OUT_SEED + 50_000_000
CLIPS_AT_ONCE = 16
PART = 1536  # clips whose frames lie in one file


def held_out(
    clips: int,
    config: StageConfig = StageConfig(),
    first_seed: int = CHECK_SEED,
    compiled: bool = False,
) -> Iterator[tuple[Tensor, list[Facts]]]:
    """Batches of clips that nothing was trained on, and what they show."""
    for begin in range(first_seed, first_seed + clips, CLIPS_AT_ONCE):
        seeds = range(begin, min(begin + CLIPS_AT_ONCE, first_seed + clips))
        scenes = sample_scenes(seeds, READ_FRAMES, config)
        yield render(scenes, fit_frames.RENDERED, compiled=compiled)[0], facts(scenes)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="folder of the new weights")
    parser.add_argument("--init-from", help="folder of a judge whose training goes on")
    parser.add_argument("--frames", help="folder of rendered frames; kept for the next run")
    parser.add_argument("--frame-clips", type=int, default=16384, help="clips of single frames")
    parser.add_argument("--trip-clips", type=int, default=3072, help="those after a tokenizer")
    parser.add_argument(
        "--through",
        default="kinetoscope.evaluation.stage.round_trip:stage_256",
        help="function of clips uint8 [B, 3, 5, Y, X] that gives them after a tokenizer",
    )
    parser.add_argument("--frame-steps", type=int, default=6000)
    parser.add_argument("--close-up-steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=32, help="frames of a step")
    parser.add_argument("--rate", type=float, default=2.5e-3, help="highest learning rate")
    parser.add_argument("--compiled", action="store_true", help="render with torch.compile")
    parser.add_argument("--course-clips", type=int, default=2048, help="whole clips")
    parser.add_argument("--course-steps", type=int, default=2000)
    parser.add_argument("--check-clips", type=int, default=256, help="held-out clips, or 0")
    return parser.parse_args()


def main() -> None:
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)7d ms  %(message)s")
    begin = time.monotonic()
    torch.manual_seed(0)
    judge = PixelJudge.from_pretrained(options.init_from) if options.init_from else PixelJudge()
    config = judge.config
    if options.frame_steps or options.close_up_steps:
        data = _frames(options)
        steps, rate = options.frame_steps, options.rate
        fit_frames.fit_frames(judge.frame, config.size, data, steps, options.batch, rate)
        judge.save_pretrained(options.out)  # so that a run that is stopped can go on from here
        fit_close_ups.fit_close_ups(judge.near, config.near, data, options.close_up_steps)
        judge.save_pretrained(options.out)
    judge.eval()
    if options.course_steps:
        _fit_courses(judge, options.course_clips, options.course_steps, options.compiled)
    judge.save_pretrained(options.out)
    frames = 0
    if options.frame_steps or options.close_up_steps:
        frames = options.frame_clips + options.trip_clips
    learned = {
        "stage world, single frames": frames,
        "stage world, whole clips": options.course_clips if options.course_steps else 0,
    }
    ledger = [rendered_row(name, clips) for name, clips in learned.items() if clips]
    save_training_data(Path(options.out), ledger, options.init_from or "", part="judge")
    log.info("saved %s after %.0f s", options.out, time.monotonic() - begin)
    if not options.check_clips:
        return
    for most in (1, 2):
        world = StageConfig(max_objects=most)
        table = calibrate(judge, held_out(options.check_clips, world, compiled=options.compiled))
        scores = "  ".join(f"{name} {value:.3f}" for name, value in table.items())
        log.info("1 to %d objects: %s", most, scores)


def _frames(options: argparse.Namespace) -> fit_frames.Rows:
    """Rendered frames, those in the folder and those that are missing there."""
    wanted = {"renders": (options.frame_clips, None, fit_frames.SEED)}
    if options.trip_clips:
        through = resolve_name(options.through)
        wanted["trips"] = (options.trip_clips, through, fit_frames.SEED + 50_000_000)
    parts = []
    for kind, (clips, through, first) in wanted.items():
        for begin in range(first, first + clips, PART):
            count = min(PART, first + clips - begin)
            path = Path(options.frames or "", f"{kind}-{begin}-{count}.safetensors")
            if options.frames and path.is_file():
                parts.append(load_tensors(path)[0])
                continue
            rows = list(fit_frames.rendered_frames(count, begin, through, options.compiled))
            parts.append({name: torch.cat([row[name] for row in rows]) for name in rows[0]})
            if options.frames:
                path.parent.mkdir(parents=True, exist_ok=True)
                save_tensors(path, parts[-1])
            log.info("%s of clips from %d: %d frames", kind, begin, len(parts[-1]["pictures"]))
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _fit_courses(judge: PixelJudge, clips: int, steps: int, compiled: bool) -> None:
    rows = fit_courses.collect(judge, clips, compiled)
    counts = ", ".join(f"{len(part['features'])} of {kind}" for kind, part in rows.items())
    log.info("courses: %s", counts)
    fit_courses.fit_courses(judge.course, rows["course"], steps)
    if "pair" in rows:
        fit_courses.fit_pairs(judge.pair, rows["pair"], steps)
    fit_courses.fit_camera(judge.camera, rows["camera"], steps)


if __name__ == "__main__":
    main()
