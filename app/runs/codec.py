"""The work behind `kinetoscope reconstruct`, `encode` and `decode`: files through a tokenizer at
bounded memory."""

from __future__ import annotations

import contextlib
import functools
import math
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...data.video import VideoWriter, to_float, to_uint8
from ...data.video.allocator import return_large_buffers
from ...data.video.codec import FrameSource, computed, decode_file, encode_file, first_codebooks
from ...data.video.pixels import WHITE
from ...data.video.prefetch import prefetch
from ...files import model_folder
from ...generator.devices import choose_device
from ...tokenizer import VideoTokenizer, latent_count
from ...tokenizer.codes import CodesFile
from ...tokenizer.metrics import PEAK, ssim
from ...training.progress import Progress, gentle_interrupt
from ..provenance.generation import public_name
from .file_plan import FileJob, FilePlan
from .file_run import Notes, mark_of, run_files

WATCHABLE = 256  # small videos are enlarged to about this many pixels
GAIN = 4  # differences are drawn this much stronger
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class CodecOptions:
    """What the three commands are told; `None` leaves a choice to them. See `cli.encode`."""

    size: int | None = None
    max_frames: int | None = None
    rate: int | None = None
    tile: int | None = None
    scale: int | None = None
    dtype: str = "float32"
    device: str | None = None
    fps: float | None = None
    background: str = WHITE

    def load(self, name: str) -> VideoTokenizer:
        tokenizer = VideoTokenizer.from_pretrained(name, library=False)
        return tokenizer.to(choose_device(self.device))

    def source(self, path: Path) -> FrameSource:
        return FrameSource(path, self.size, self.max_frames, self.fps, self.background)

    def asked(self) -> dict[str, object]:
        """What changes the frames that are read."""
        background = None if self.background == WHITE else self.background
        return {
            "size": self.size,
            "max_frames": self.max_frames,
            "rate": self.rate,
            "fps": self.fps,
            "background": background,
        }


def encode(plan: FilePlan, options: CodecOptions, tokenizer: str) -> int:
    """Write the codes of videos."""
    model = options.load(tokenizer)
    first_codebooks(options.rate, model.rates, f"'{tokenizer}'")

    def mark(source: Path) -> str:
        return mark_of(source, model.id, **options.asked(), dtype=options.dtype)

    def make(job: FileJob, notes: Notes, label: str) -> bool:
        source = options.source(job.source)
        _say(source.note)
        with (
            _enough_memory(job.source),
            Progress(source.length(), label=label) as progress,
        ):
            file = encode_file(
                model,
                job.source,
                job.out,
                size=options.size,
                max_frames=options.max_frames,
                fps=options.fps,
                background=options.background,
                rate=options.rate,
                tile=options.tile,
                dtype=DTYPES[options.dtype],
                model=public_name(tokenizer),
                notes=notes,
                progress=progress.update,
            )
        grid = " x ".join(map(str, file.shape[1:]))
        size = math.prod(file.shape) * math.log2(model.codebook_size) / 8 / 1000
        print(
            f"{job.out}: {_frames(file.num_frames)} as {grid} codes, {size:.1f} kB of information"
        )
        return True

    return run_files(plan, mark, make, "encoded")


def decode(plan: FilePlan, options: CodecOptions, tokenizer: str | None) -> int:
    """Write the videos of files of codes, each with the tokenizer that wrote it unless one is
    given."""
    load = functools.cache(options.load)
    # a wrong name ends everything, a file of another tokenizer only itself
    if tokenizer is not None:
        load(tokenizer)

    def mark(source: Path) -> str:
        asked = {"rate": options.rate, "scale": options.scale}
        return mark_of(source, CodesFile.open(source).tokenizer, **asked, dtype=options.dtype)

    def make(job: FileJob, notes: Notes, label: str) -> bool:
        file = CodesFile.open(job.source)
        model, name = _reader(file, tokenizer, load)
        with (
            _enough_memory(job.source),
            Progress(file.num_frames, label=label) as progress,
            _interrupt(alone=not label) as stopped,
        ):
            done = decode_file(
                model,
                job.source,
                job.out,
                rate=options.rate,
                tile=options.tile,
                dtype=DTYPES[options.dtype],
                upscale=options.scale or watchable_scale(file.height, file.width),
                metadata={"tokenizer": public_name(name), **notes},
                progress=progress.update,
                stop=stopped,
            )
        print(f"{job.out}: {_frames(done, file.num_frames, stopped())}")
        return not stopped()

    return run_files(plan, mark, make, "decoded")


def reconstruct(plan: FilePlan, options: CodecOptions, tokenizer: str) -> int:
    """Write originals, reconstructions and differences side by side and print the measures."""
    return_large_buffers()
    model = options.load(tokenizer)
    first_codebooks(options.rate, model.rates, f"'{tokenizer}'")

    def mark(source: Path) -> str:
        asked = options.asked()
        return mark_of(source, model.id, **asked, scale=options.scale, dtype=options.dtype)

    def make(job: FileJob, notes: Notes, label: str) -> bool:
        source = options.source(job.source)
        _say(source.note)
        (height, width) = source.picture
        total = source.length()
        tags = {"source": job.source.name, "tokenizer": public_name(tokenizer), **notes}
        tags["shows"] = "original, reconstruction, difference"
        squares = 0.0
        likeness = 0.0
        done = 0
        with (
            _enough_memory(job.source),
            Progress(total, label=label) as progress,
            _interrupt(alone=not label) as stopped,
            VideoWriter(
                job.out, source.timing.fps, tags, options.scale or watchable_scale(height, width)
            ) as writer,
            closing(prefetch(source.chunks())) as chunks,
            closing(prefetch(_pairs(model, chunks, height, width, options))) as pairs,
        ):
            for original, rebuilt in pairs:
                difference = (rebuilt - original).abs() * GAIN - 1
                writer.write(to_uint8(torch.cat([original, rebuilt, difference], dim=-1)[0]))
                squares += float((rebuilt - original).double().square().sum())
                likeness += float(ssim(rebuilt, original)) * original.shape[2]
                done += original.shape[2]
                progress.update(original.shape[2])
                if stopped():
                    break
        print(_measures(model, options.rate, squares, likeness, done, height, width))
        print(
            f"{job.out}: original, reconstruction and difference, {_frames(done, total, stopped())}"
        )
        return not stopped()

    return run_files(plan, mark, make, "reconstructed")


def _say(note: str) -> None:
    if note:
        print(note, file=sys.stderr)


def watchable_scale(height: int, width: int) -> int:
    """How many times a picture must be enlarged to be seen well."""
    return max(1, WATCHABLE // min(height, width))


def _reader(
    file: CodesFile, given: str | None, load: Callable[[str], VideoTokenizer]
) -> tuple[VideoTokenizer, str]:
    """The tokenizer of a file of codes, and its name. ValueError if it is not the given one, or
    not known."""
    name = given or _shipped_name(file.tokenizer)
    if name is None:
        raise ValueError(
            f"'{file.path}' was written by {file.writer}, which is not shipped; name it with "
            "--tokenizer"
        )
    model = load(name)
    if model.id != file.tokenizer:
        right = _shipped_name(file.tokenizer)
        way_out = f"pass --tokenizer {right}" if right else "name the right one with --tokenizer"
        raise ValueError(
            f"'{file.path}' was written by {file.writer} and '{name}' is {model.id}; {way_out}"
        )
    return model, name


@functools.cache
def _shipped_name(tokenizer: str) -> str | None:
    """The shipped model whose tokenizer has this id."""
    for name in model_folder.shipped_models():
        if VideoTokenizer.from_pretrained(name, library=False).id == tokenizer:
            return name
    return None


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


@contextlib.contextmanager
def _enough_memory(path: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if "out of memory" not in str(error) and "can't allocate memory" not in str(error):
            raise
        raise ValueError(
            f"'{path}' needs more memory than there is; use --tile 256, or a smaller --size"
        ) from error


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


def _frames(done: int, total: int = 0, stopped: bool = False) -> str:
    return (
        f"{done} frame"
        + "s" * (done != 1)
        + (f" (interrupted; there are about {total})" if stopped else "")
    )


def _interrupt(alone: bool) -> contextlib.AbstractContextManager[Callable[[], bool]]:
    """Ctrl-C keeps the frames so far of a file made alone, but not of one among several, which
    must all be whole."""
    return gentle_interrupt() if alone else contextlib.nullcontext(lambda: False)
