"""The work behind `kinetoscope sample` and `demo`: sentences to MP4 files, frame by frame.

Legend: B videos of a batch, F Y X frames and pixels.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from torch import Tensor

from ...data.video import VideoWriter, to_uint8
from ...files.model_folder import UndrawnWeights
from ...generator.conditions import CONDITIONS, Canvas
from ...generator.devices import choose_device
from ...generator.pipeline import VideoGenerator
from ...generator.sampling.params import SamplingParams
from ...training.progress import INTERRUPTED, Progress, duration, gentle_interrupt
from .jobs import Job, plan_jobs, read_prompts
from .kept_frames import KeptFrames

BATCH = 16  # videos made at once
WATCHABLE = 256  # small videos are enlarged to about this many pixels
MOST_NAMED = 12  # words that a warning lists
MADE_BY = "made by a generative model"


@dataclass(frozen=True)
class SampleOptions:
    """What all videos of a command share.

    sampling: windows and guided frames are counted in frames here; conditions: by name, as text;
    scale: pixels of the video per pixel of the model; adapter: a folder of adapters of the model;
    dtype, quantize: of `lighten`; size: of `VideoGenerator.from_pretrained`.
    """

    model: str
    frames: int
    fps: float
    sampling: SamplingParams = field(default_factory=SamplingParams)
    conditions: Mapping[str, str] = field(default_factory=dict)
    scale: int | None = None
    device: str | None = None
    adapter: str | None = None
    dtype: str = "float32"
    quantize: str | None = None
    size: int | None = None


def run(jobs: Sequence[Job], options: SampleOptions, grid_out: str | Path | None = None) -> int:
    """Make every video and, with `grid_out`, one of them all side by side; returns the exit status.

    Raises:
        ValueError: a setting, a prompt or `init` that the model cannot take.
    """
    device = choose_device(options.device)
    _hush_transformers()
    with UndrawnWeights():
        generator = VideoGenerator.from_pretrained(options.model, size=options.size).to(device)
    if options.adapter is not None:
        from ...generator.training.lora import load_adapter

        load_adapter(generator, options.adapter)
    generator.lighten(options.dtype, options.quantize)
    sentences = list(dict.fromkeys(job.prompt for job in jobs))
    generator.text.check(sentences, generator.decoder.config.max_text)
    _name_unknown(generator.text.unknown_words(sentences))
    params = _params(generator, options)
    given = _read_conditions(generator, options)
    _say(f"seed {jobs[0].seed}" + (f" to {jobs[-1].seed}" if len(jobs) > 1 else ""))
    progress = Progress(options.frames * len(jobs))
    frames: list[int] = []  # of the videos that are done
    begin = time.monotonic()
    with contextlib.ExitStack() as leaving:
        stopped = leaving.enter_context(gentle_interrupt())
        kept = None if grid_out is None else leaving.enter_context(KeptFrames())
        for first in range(0, len(jobs), BATCH):
            batch = jobs[first : first + BATCH]
            prompts = [job.prompt for job in batch]
            stream = generator.stream(prompts, batch[0].seed, params, **given)
            started = time.monotonic()
            count = _write(stream, batch, options, progress, stopped, kept)
            seconds = (time.monotonic() - started) / len(batch)
            for job in batch:
                progress.clear()
                print(f"{job.path}: {_count(count)}, seed {job.seed}, {seconds:.1f} s")
                frames.append(count)
            if stopped():
                break
        if kept is not None:
            _write_grid(kept, jobs[: len(frames)], options, Path(str(grid_out)))
            print(f"{grid_out}: all of them, {_count(max(frames))}")
    _say(
        f"{len(frames)} of {len(jobs)} videos in {duration(time.monotonic() - begin)}"
        + ", interrupted" * stopped()
    )
    return INTERRUPTED if stopped() else 0


def run_demo(folder: str, prompts: str | None, options: SampleOptions, seed: int) -> int:
    """A video for each sentence (of the file, the model's folder or the package) and a grid of
    them all in `folder`."""
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise ValueError(f"'{folder}' is a file; give a folder")
    sentences = read_prompts(prompts) if prompts is not None else _demo_prompts(options.model)
    place.mkdir(parents=True, exist_ok=True)
    named = plan_jobs(sentences, 1, seed, folder)
    jobs = [
        Job(job.prompt, job.seed, place / f"{index:02}-{job.path.name}")
        for index, job in enumerate(named, 1)
    ]
    return run(jobs, options, place / "grid.mp4")


def _demo_prompts(model: str) -> list[str]:
    """The sentences that the model's folder suggests, or those of the package."""
    suggested = Path(model) / "prompts.txt"
    return read_prompts(
        suggested if suggested.is_file() else str(files("kinetoscope.configs") / "demo.txt")
    )


def _name_unknown(words: Sequence[str]) -> None:
    """Say once what the text encoder has hardly read."""
    if not words:
        return
    more = f" and {len(words) - MOST_NAMED} more" if len(words) > MOST_NAMED else ""
    _say(
        "the text encoder spells these words letter by letter and may not know them: "
        f"{', '.join(words[:MOST_NAMED])}{more}"
    )


def _params(generator: VideoGenerator, options: SampleOptions) -> SamplingParams:
    """How codes are drawn, counted in latent frames."""
    config = generator.decoder.config
    longest = (config.max_distance - config.sinks + 1) * config.frames_per_latent
    window = options.sampling.window
    if window is not None and window > longest:
        raise ValueError(f"--window must be 1 to {longest} frames for this model; got {window}")
    return options.sampling.in_latents(config.frames_per_latent)


def _read_conditions(generator: VideoGenerator, options: SampleOptions) -> dict[str, Any]:
    """The values of what is given beside the prompts."""
    k = generator.decoder.config.frames_per_latent
    canvas = Canvas(*generator.size, options.fps, options.frames, k)
    for name in options.conditions:
        generator.check_takes(name)
    return {
        name: CONDITIONS[name].parse(text, canvas, _say)
        for name, text in options.conditions.items()
    }


def _write(
    stream: Iterator[Tensor],
    batch: Sequence[Job],
    options: SampleOptions,
    progress: Progress,
    stopped: Callable[[], bool],
    kept: KeptFrames | None,
) -> int:
    """Write a batch of videos as they come, and return the frames of each; nothing is held but
    what was drawn last."""
    left = options.frames
    with contextlib.ExitStack() as open_files:
        writers: list[VideoWriter] = []
        for chunk_B3FYX in stream:
            chunk = to_uint8(chunk_B3FYX[:, :, :left]).cpu()
            if not writers:
                scale = options.scale or max(1, WATCHABLE // min(chunk.shape[3:]))
                for job in batch:
                    writer = VideoWriter(job.path, options.fps, _tags(job, options), scale)
                    writers.append(open_files.enter_context(writer))
            for writer, video in zip(writers, chunk):
                writer.write(video)
            if kept is not None:
                kept.write(chunk, is_first=left == options.frames)
            left -= chunk.shape[2]
            progress.update(chunk.shape[2] * len(batch))
            if left == 0 or stopped():
                break
    return options.frames - left


def _write_grid(kept: KeptFrames, jobs: Sequence[Job], options: SampleOptions, path: Path) -> None:
    """All videos side by side; where an interrupt made one shorter, its last frame stays."""
    from ...data.video.contact_sheet import caption_grid

    prompts = [job.prompt for job in jobs]
    tags = {"comment": MADE_BY, **_common_tags(options)}
    with VideoWriter(path, options.fps, tags) as writer:
        for videos_N3FYX in kept.side_by_side():
            scale = max(1, WATCHABLE // min(videos_N3FYX.shape[3:]))
            writer.write(caption_grid(videos_N3FYX, prompts, scale))


def _tags(job: Job, options: SampleOptions) -> dict[str, object]:
    """What the MP4 says about how it was made."""
    chosen = {each.name: getattr(options.sampling, each.name) for each in fields(options.sampling)}
    chosen |= {name: Path(text).name for name, text in options.conditions.items()}
    used = {name: value for name, value in chosen.items() if value not in (None, {})}
    return {
        "comment": MADE_BY,
        "prompt": job.prompt,
        "seed": job.seed,
        **_common_tags(options),
        **used,
    }


def _common_tags(options: SampleOptions) -> dict[str, object]:
    """The model, in the variant that was used, and the version."""
    adapter = {} if options.adapter is None else {"adapter": Path(options.adapter).name}
    variant = {} if options.dtype == "float32" else {"dtype": options.dtype}
    variant |= {} if options.quantize is None else {"quantize": options.quantize}
    return {
        "model": options.model,
        **adapter,
        **variant,
        "version": f"kinetoscope {version('kinetoscope')}",
    }


def _hush_transformers() -> None:
    """No progress bars and reports of theirs between our lines, if it is imported later."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _count(frames: int) -> str:
    return f"{frames} frame" + "s" * (frames != 1)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
