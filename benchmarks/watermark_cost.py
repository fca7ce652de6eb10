"""What the mark in the pixels costs beside drawing, and what it does where nothing moves.

    python benchmarks/watermark_cost.py --clips 4 --real FOLDER

Times are processor time of one thread, so they hold on a machine that does other work too. At 256
pixels there is no generator to compare with; the decoder of stage-256 alone stands for one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from kinetoscope.app.provenance.watermark import Mark
from kinetoscope.data.datasets.video_list import list_videos
from kinetoscope.data.video import VideoError, read_clip, to_uint8
from kinetoscope.data.worlds.stage.clips import stage_batch
from kinetoscope.generator import VideoGenerator
from kinetoscope.tokenizer import VideoTokenizer
from torch import Tensor

FRAMES = 33
SIZE = 256
CELL = 8  # pixels
STILL = 0.5  # of 255: a cell whose mean change from frame to frame is less stands still
PROMPTS = ("a large red ball rolls to the right", "a small blue cube slides to the left")
FIRST_SEED = 5000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=4, help="renders, and real clips")
    parser.add_argument("--real", type=Path, help="folder of real videos")
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = VideoGenerator.from_pretrained("physics-64")
    drawn: list[Tensor] = []

    def draw() -> None:
        drawn.append(to_uint8(generator.generate(PROMPTS[len(drawn) % 2], FRAMES, len(drawn)))[0])

    tell_cost("drawing with physics-64", seconds(draw, 3), drawn[0])
    large = torch.nn.functional.interpolate(drawn[0].transpose(0, 1).float(), (SIZE, SIZE))
    large = large.transpose(0, 1).byte()
    tokenizer = VideoTokenizer.from_pretrained("stage-256")
    codes = tokenizer.encode(large[None].float() / 127.5 - 1)
    tell_cost("decoding with stage-256", seconds(lambda: tokenizer.decode(codes), 2), large)
    renders = stage_batch(range(FIRST_SEED, FIRST_SEED + options.clips), FRAMES, SIZE)["video"]
    tell_stillness("samples of physics-64", drawn)
    tell_stillness("renders of the stage", list(renders))
    if options.real is not None:
        tell_stillness("real clips", list(real_clips(options.real, options.clips)))


def real_clips(folder: Path, count: int) -> Iterator[Tensor]:
    for video in list_videos(folder, captions="none")[0]:
        try:
            clip = read_clip(video.path, frames=FRAMES, size=SIZE, threads=1).video
        except VideoError:
            continue
        if clip.shape[1] == FRAMES and count:
            count -= 1
            yield clip


def seconds(work: Callable[[], object], times: int) -> float:
    """Processor time of a call, the median of a few after one to warm up."""
    work()
    taken = []
    for _ in range(times):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return statistics.median(taken)


def tell_cost(name: str, whole: float, video_3FYX: Tensor) -> None:
    mark = Mark()
    first = time.process_time()
    mark(video_3FYX)
    first = time.process_time() - first
    each = seconds(lambda: mark(video_3FYX), 9)
    height, width = video_3FYX.shape[2:]
    print(
        f"{name}, {FRAMES} frames of {width} x {height}: {1000 * whole:.0f} ms; the mark "
        f"{1000 * each:.2f} ms ({each / whole:.2%}), and {1000 * (first - each):.1f} ms once for "
        "its pattern"
    )


def cell_changes(video_3FYX: Tensor) -> Tensor:
    """Mean change of each cell from frame to frame, of 255: float [F - 1, rows, columns]."""
    change = video_3FYX.float().diff(dim=1).abs().mean(0)
    return torch.nn.functional.avg_pool2d(change, CELL)


def tell_stillness(name: str, videos: list[Tensor]) -> None:
    more = []
    cells = 0
    for video in videos:
        before = cell_changes(video)
        after = cell_changes(Mark()(video))
        is_still = before < STILL
        cells += before.numel()
        more.append((after - before)[is_still])
    added = torch.cat(more)
    print(
        f"{name}: {len(videos)} clips, {len(added)} still cells of {cells}: they change by "
        f"{added.mean():.4f} of 255 more with the mark on average, {added.max():.3f} at most; "
        f"{(added > 0.6).float().mean():.4%} by more than 0.6"
    )


if __name__ == "__main__":
    main()
