"""Makes the judge of pictures: `python -m kinetoscope.data.worlds.stage.judge.fit --out FOLDER`.

There are two stages. First FrameNet learns regions, looks and pose from single frames. Then the
networks of courses learn motions, touches and moves of the camera from the tracks that the finished
FrameNet makes. Half of all pictures are spoiled as a video decoder spoils them, so that round trips
through a tokenizer can be read as well as renders. At the end it prints its score on clips that it
never saw.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from ....ledger.card import save_training_data
from ....ledger.sources import rendered_row
from ..captions.facts import Facts
from ..captions.observe import facts
from ..clips import HELD_OUT_SEED
from ..drawing.render import render
from ..sample import sample_scenes
from ..scene import StageConfig
from . import fit_courses, fit_frames
from .pixels import READ_FRAMES, PixelJudge, calibrate

log = logging.getLogger(__name__)
CHECK_SEED = HELD_OUT_SEED + 50_000_000
CLIPS_AT_ONCE = 16


def held_out(
    clips: int,
    size: int,
    config: StageConfig = StageConfig(),
    frames: int = READ_FRAMES,
    first_seed: int = CHECK_SEED,
) -> Iterator[tuple[Tensor, list[Facts]]]:
    """Batches of clips that nothing was trained on, and what they show."""
    for begin in range(first_seed, first_seed + clips, CLIPS_AT_ONCE):
        seeds = range(begin, min(begin + CLIPS_AT_ONCE, first_seed + clips))
        scenes = sample_scenes(seeds, frames, config)
        yield render(scenes, size)[0], facts(scenes)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="folder of the new weights")
    parser.add_argument("--init-from", help="folder of a judge whose training goes on")
    parser.add_argument("--frame-clips", type=int, default=6144, help="clips of single frames")
    parser.add_argument("--frames-each", type=int, default=5, help="frames of each of them")
    parser.add_argument("--frame-steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=32, help="frames of a step")
    parser.add_argument("--rate", type=float, default=2.5e-3, help="highest learning rate")
    parser.add_argument("--course-clips", type=int, default=2048, help="whole clips")
    parser.add_argument("--course-steps", type=int, default=2000)
    parser.add_argument("--check-clips", type=int, default=256, help="held-out clips")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)7d ms  %(message)s")
    begin = time.monotonic()
    torch.manual_seed(0)
    judge = PixelJudge.from_pretrained(options.init_from) if options.init_from else PixelJudge()
    size = judge.config.size
    if options.frame_steps:
        parts = list(
            fit_frames.rendered_frames(
                options.frame_clips, options.frames_each, size, fit_frames.SEED
            )
        )
        data = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        log.info("rendered %d frames", len(data["pictures"]))
        fit_frames.fit_frames(judge.frame, data, options.frame_steps, options.batch, options.rate)
    if options.course_steps:
        rows = fit_courses.collect(judge, options.course_clips, size)
        counts = ", ".join(f"{len(part['features'])} of {kind}" for kind, part in rows.items())
        log.info("courses: %s", counts)
        fit_courses.fit_courses(judge.course, rows["course"], options.course_steps)
        fit_courses.fit_pairs(judge.pair, rows["pair"], options.course_steps)
        fit_courses.fit_camera(judge.camera, rows["camera"], options.course_steps)
    judge.save_pretrained(options.out)
    learned = {
        "stage world, single frames": options.frame_clips if options.frame_steps else 0,
        "stage world, whole clips": options.course_clips if options.course_steps else 0,
    }
    ledger = [rendered_row(name, clips) for name, clips in learned.items() if clips]
    save_training_data(Path(options.out), ledger, options.init_from or "", part="judge")
    log.info("saved %s after %.0f s", options.out, time.monotonic() - begin)
    for most in (2, 4):
        world = StageConfig(max_objects=most)
        table = calibrate(judge, held_out(options.check_clips, size, world))
        scores = "  ".join(f"{name} {value:.3f}" for name, value in table.items())
        log.info("1 to %d objects: %s", most, scores)


if __name__ == "__main__":
    main()
