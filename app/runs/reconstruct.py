"""The work behind `kinetoscope reconstruct`: what a tokenizer keeps of videos, side by side with
them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor

from ...data.video import VideoWriter, to_float, to_uint8
from ...data.video.allocator import return_large_buffers
from ...data.video.codec import computed, first_codebooks
from ...data.video.prefetch import prefetch
from ...data.video.sound.coded import SoundInStep
from ...tokenizer import VideoTokenizer, latent_count
from ...tokenizer.metrics import PEAK, ssim
from ...training.progress import Progress
from ..provenance.generation import public_name
from .codec import DTYPES, CodecOptions, enough_memory, interrupt, said_frames, watchable_scale
from .codec_sound import RebuiltSound, SourceSound, say
from .file_plan import FileJob, FilePlan
from .file_run import Notes, mark_of, run_files

GAIN = 4  # differences are drawn this much stronger


def reconstruct(plan: FilePlan, options: CodecOptions, tokenizer: str) -> int:
    """Write originals, reconstructions and differences side by side and print the measures."""
    return_large_buffers()
    model = options.load(tokenizer)
    first_codebooks(options.rate, model.rates, f"'{tokenizer}'")
    sounds = SourceSound(tokenizer, options.no_sound)

    def mark(source: Path) -> str:
        asked = options.asked() | {"scale": options.scale, "sound": sounds.id}
        return mark_of(source, model.id, **asked, dtype=options.dtype)

    def make(job: FileJob, notes: Notes, label: str) -> bool:
        source = options.source(job.source)
        say(source.note)
        sound = sounds.of(source, job.out)
        (height, width) = source.picture
        total = source.length()
        tags = {"source": job.source.name, "tokenizer": public_name(tokenizer), **notes}
        tags["shows"] = "original, reconstruction, difference"
        squares = 0.0
        likeness = 0.0
        done = 0
        scale = options.scale or watchable_scale(height, width)
        rate = None if sound is None else sound.config.rate
        heard = None if sound is None else RebuiltSound(sound, job.source)
        with (
            enough_memory(job.source),
            Progress(total, label=label) as progress,
            interrupt(alone=not label) as stopped,
            VideoWriter(job.out, source.timing.fps, tags, scale, sound_rate=rate) as writer,
            closing(prefetch(source.chunks())) as chunks,
            closing(prefetch(_pairs(model, chunks, height, width, options))) as pairs,
        ):
            played = None if heard is None else SoundInStep(writer, heard.chunks())
            for original, rebuilt in pairs:
                difference = (rebuilt - original).abs() * GAIN - 1
                writer.write(to_uint8(torch.cat([original, rebuilt, difference], dim=-1)[0]))
                if heard is not None and played is not None:
                    heard.compare(played.catch_up())
                squares += float((rebuilt - original).double().square().sum())
                likeness += float(ssim(rebuilt, original)) * original.shape[2]
                done += original.shape[2]
                progress.update(original.shape[2])
                if stopped():
                    break
        print(_measures(model, options.rate, squares, likeness, done, height, width))
        if heard is not None:
            print(heard.measures())
        frames = said_frames(done, total, stopped())
        print(f"{job.out}: original, reconstruction and difference, {frames}")
        return not stopped()

    return run_files(plan, mark, make, "reconstructed")


def _pairs(
    model: VideoTokenizer, chunks: Iterable[Tensor], height: int, width: int, options: CodecOptions
) -> Iterator[tuple[Tensor, Tensor]]:
    """Original and reconstruction, float `[1, 3, f, Y, X]` in [-1, 1], as they come."""
    device = next(model.parameters()).device
    dtype = DTYPES[options.dtype]
    kept = first_codebooks(options.rate, model.rates, "this tokenizer")
    waiting: deque[Tensor] = deque()

    def remembered() -> Iterator[Tensor]:
        for chunk in chunks:
            video = to_float(chunk.to(device))[None]
            waiting.extend(video.unbind(2))
            yield video

    codes = (indices[kept] for indices in model.stream_encode(remembered(), options.tile))
    for rebuilt in computed(model.stream_decode(codes, height, width, options.tile), device, dtype):
        count = min(rebuilt.shape[2], len(waiting))  # the last group of frames may be filled up
        yield torch.stack([waiting.popleft() for _ in range(count)], dim=2), rebuilt[:, :, :count]


def _measures(
    model: VideoTokenizer,
    rate: int | None,
    squares: float,
    likeness: float,
    frames: int,
    height: int,
    width: int,
) -> str:
    pixels = frames * height * width
    patch = model.config.patch
    mean = max(squares / (3 * pixels), PEAK**2 * 1e-10)
    cells = (
        latent_count(frames, model.config.frames_per_latent)
        * -(-height // patch)
        * -(-width // patch)
    )
    bits = cells * (rate or model.rates) * math.log2(model.codebook_size) / pixels
    decibels = 10 * math.log10(PEAK**2 / mean)
    similarity = likeness / frames
    return f"PSNR {decibels:.2f} dB   SSIM {similarity:.4f}   {bits:.4f} bits per pixel"
