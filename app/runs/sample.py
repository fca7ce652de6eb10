"""The work behind `kinetoscope sample`: sentences to video files, batch by batch."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ...data.video.formats import holds_sound
from ...files.fingerprint import file_fingerprint
from ...files.model_folder import WEIGHTS, UndrawnWeights
from ...generator.conditions import CONDITIONS, Canvas
from ...generator.devices import choose_device
from ...generator.sampling.faster_dtype import faster_dtype
from ...generator.sampling.params import SamplingParams
from ...training.progress import INTERRUPTED, Progress, duration, gentle_interrupt
from ..provenance.generation import Generation, Ingredient, public_name
from ..provenance.options import Disclosure, Rules
from ..provenance.policy import Gate, GuardedGenerator, load_policies
from ..provenance.writer import GeneratedVideoWriter, Signing
from .jobs import Job
from .kept_frames import KeptFrames
from .written_batch import Writers, WrittenBatch, count, work

BATCH = 16  # videos made at once
WATCHABLE = 256  # small videos are enlarged to about this many pixels
FILES = ("picture", "clip", "sound", "file")  # kinds of conditions that are given as files


@dataclass(frozen=True)
class SampleOptions:
    """What all videos of a command share.

    sampling: settings in place of the model's own, windows and guided frames counted in frames;
    conditions: by name, as text;
    scale: pixels of the video per pixel of the model; adapter: a folder of adapters of the model;
    dtype, quantize: of `lighten`; size: of `VideoGenerator.from_pretrained`; disclosure: what the
    videos say about where they came from; rules: who is asked before anything is drawn; no_sound:
    draw none, though the model could.
    """

    model: str
    frames: int
    fps: float
    sampling: Mapping[str, Any] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    scale: int | None = None
    device: str | None = None
    adapter: str | None = None
    dtype: str = "float32"
    quantize: str | None = None
    size: int | None = None
    disclosure: Disclosure = field(default_factory=Disclosure)
    rules: Rules = field(default_factory=Rules)
    no_sound: bool = False


def run(jobs: Sequence[Job], options: SampleOptions, grid_out: str | Path | None = None) -> int:
    """Make every video and, with `grid_out`, one of them all side by side (which have one length
    then); returns the exit status.

    Raises:
        ValueError: a setting, a prompt or `init` that the model cannot take.
    """
    device = choose_device(options.device)
    signing = Signing(options.disclosure, _say)
    gate = Gate(load_policies(options.rules.policy), options.rules.log_refused)
    _hush_transformers()
    with UndrawnWeights():
        generator = GuardedGenerator.from_pretrained(options.model, size=options.size).to(device)
    generator.gate = gate
    model = generator.id
    if options.adapter is not None:
        from ...generator.training.lora import load_adapter

        load_adapter(generator, options.adapter)
    if options.dtype == "auto":
        choice, why = faster_dtype(generator.decoder)
        _say(why)
        options = replace(options, dtype=choice)  # which the videos then say of themselves
    generator.lighten(options.dtype, options.quantize)
    sentences = list(dict.fromkeys(job.prompt for job in jobs))
    generator.text.check(sentences, generator.decoder.config.max_text)
    for remark in generator.text.remarks(sentences):
        _say(remark)
    params = _params(generator, options)
    given = _read_conditions(generator, options)
    sound = generator.sound is not None and not options.no_sound
    if sound:
        _check_sound(generator, jobs, options)
    generator.checked([job.prompt for job in jobs], given)  # all of them before the first is drawn
    _say(f"seed {jobs[0].seed}" + (f" to {jobs[-1].seed}" if len(jobs) > 1 else ""))
    lengths = [job.frames or options.frames for job in jobs]
    if grid_out is not None and len(set(lengths)) > 1:
        raise ValueError("videos of several lengths do not fit into one grid")
    batches = [range(first, min(first + BATCH, len(jobs))) for first in range(0, len(jobs), BATCH)]
    progress = _progress(lengths, batches, generator.decoder.config.frames_per_latent)
    frames: list[int] = []  # of the videos that are done
    silenced = generator.sound is not None and not sound
    about = About(options, generator.sampling, model, silenced)
    rate = generator.sound_rate if sound else None
    writers = _writers(options, about, signing, rate)
    begin = time.monotonic()
    with contextlib.ExitStack() as leaving:
        stopped = leaving.enter_context(gentle_interrupt())
        kept = None if grid_out is None else leaving.enter_context(KeptFrames())
        for numbers in batches:
            batch = [jobs[number] for number in numbers]
            prompts = [job.prompt for job in batch]
            session = generator.session(prompts, batch[0].seed, params, sound=sound, **given)
            batch = [replace(job, prompt=drawn) for job, drawn in zip(batch, session.prompts)]
            own = [lengths[number] for number in numbers]
            files = WrittenBatch(batch, own, writers, progress, kept, rate)
            frames += [writer.frames for writer in files.write(session, stopped)]
            if stopped():
                break
        if kept is not None:
            grid = _write_grid(kept, jobs[: len(frames)], about, signing, Path(str(grid_out)))
            print(f"{grid_out}: all of them, {count(max(frames))}{grid.note}")
    _say(
        f"{len(frames)} of {len(jobs)} videos in {duration(time.monotonic() - begin)}"
        + ", interrupted" * stopped()
    )
    return INTERRUPTED if stopped() else signing.status


def _progress(lengths: Sequence[int], batches: Sequence[range], k: int) -> Progress:
    """Of all videos, drawn in these batches."""
    needed = sum(work([lengths[number] for number in batch], k) for batch in batches)
    return Progress(sum(lengths), work=needed)


def _writers(options: SampleOptions, about: About, signing: Signing, rate: int | None) -> Writers:
    """What makes the writer of a video.

    Args:
        rate: of the sound that is drawn, if any is.
    """

    def writer(job: Job, frames: int, side: int) -> GeneratedVideoWriter:
        scale = options.scale or max(1, WATCHABLE // side)
        own = rate if holds_sound(job.path) else None
        told = about.video(job)
        return signing.writer(job.path, options.fps, told, scale, sound_rate=own, frames=frames)

    return writer


def _params(generator: GuardedGenerator, options: SampleOptions) -> SamplingParams:
    """How codes are drawn, counted in latent frames."""
    config = generator.decoder.config
    longest = (config.max_distance - config.sinks + 1) * config.frames_per_latent
    window = options.sampling.get("window")
    if window is not None and window > longest:
        raise ValueError(f"--window must be 1 to {longest} frames for this model; got {window}")
    return generator.params(**options.sampling)


def _read_conditions(generator: GuardedGenerator, options: SampleOptions) -> dict[str, Any]:
    """The values of what is given beside the prompts."""
    k = generator.decoder.config.frames_per_latent
    canvas = Canvas(*generator.size, options.fps, options.frames, k)
    for name in options.conditions:
        generator.check_takes(name)
    return {
        name: CONDITIONS[name].parse(text, canvas, _say)
        for name, text in options.conditions.items()
    }


def _check_sound(generator: GuardedGenerator, jobs: Sequence[Job], options: SampleOptions) -> None:
    """Frames are as long as those that the model draws sound for, or ValueError; and say once what
    has no place for it."""
    fps = generator.sound_rate / generator.samples_per_frame
    if abs(options.fps - fps) > 1e-6:
        raise ValueError(
            f"this model draws sound for {fps:g} frames a second; give --fps {fps:g}, or "
            f"--no-sound; got --fps {options.fps:g}"
        )
    mute = [job.path for job in jobs if not holds_sound(job.path)]
    if mute:
        _say(
            f"{mute[0]} has no place for sound, which is left out; a name that ends in .mp4 keeps "
            "it, and --no-sound saves the time"
        )


def _write_grid(
    kept: KeptFrames, jobs: Sequence[Job], about: About, signing: Signing, path: Path
) -> GeneratedVideoWriter:
    """All videos side by side; where an interrupt made one shorter, its last frame stays."""
    from ...data.video.contact_sheet import caption_grid

    is_silent = signing.disclosure.no_prompt
    prompts = ["" if is_silent else job.prompt for job in jobs]
    with signing.writer(path, about.options.fps, about.grid()) as writer:
        for videos_N3FYX in kept.side_by_side():
            scale = max(1, WATCHABLE // min(videos_N3FYX.shape[3:]))
            writer.write(caption_grid(videos_N3FYX, prompts, scale))
    return writer


class About:
    """What is to be said about all videos of a command.

    Args:
        sampling: the model's own.
        fingerprint: of the model, before adapters and whatever makes it lighter.
        silenced: the model draws sound, and was told not to.
    """

    def __init__(
        self,
        options: SampleOptions,
        sampling: SamplingParams,
        fingerprint: str,
        silenced: bool = False,
    ) -> None:
        self.options = options
        self.sampling = sampling
        self.silenced = silenced
        self.fingerprint = fingerprint
        given = options.conditions.items()
        self.ingredients = [
            Ingredient(Path(text), name, is_shown=CONDITIONS[name].port == "past")
            for name, text in given
            if CONDITIONS[name].kind in FILES and Path(text).exists()
        ]

    def video(self, job: Job) -> Generation:
        chosen = {**asdict(self.sampling), **self.options.sampling}
        chosen |= {
            name: Path(text).name if CONDITIONS[name].kind in FILES else text
            for name, text in self.options.conditions.items()
        }
        used = {name: value for name, value in chosen.items() if value not in (None, {})}
        return self._generation(job.prompt, job.seed, used)

    def grid(self) -> Generation:
        return self._generation(None, None, {})

    def _generation(
        self, prompt: str | None, seed: int | None, used: Mapping[str, object]
    ) -> Generation:
        settings = {**self._variant(), **used}
        name = public_name(self.options.model)
        return Generation(name, self.fingerprint, prompt, seed, settings, self.ingredients)

    def _variant(self) -> dict[str, object]:
        """In which variant the model was used."""
        options = self.options
        variant: dict[str, object] = {}
        if options.adapter is not None:
            variant["adapter"] = public_name(options.adapter)
            variant["adapter_fingerprint"] = file_fingerprint(Path(options.adapter) / WEIGHTS)
        if options.dtype != "float32":
            variant["dtype"] = options.dtype
        if options.quantize is not None:
            variant["quantize"] = options.quantize
        if self.silenced:
            variant["sound"] = False
        return variant


def _hush_transformers() -> None:
    """No progress bars and reports of theirs between our lines, if it is imported later."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _say(text: str) -> None:
    print(text, file=sys.stderr)
