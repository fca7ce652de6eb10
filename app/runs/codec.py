"""The work behind `kinetoscope encode` and `decode`: files through a tokenizer at bounded memory;
and what `reconstruct` shares with them."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ...data.video.codec import decode_file, encode_file, first_codebooks
from ...data.video.frame_source import FrameSource
from ...data.video.pixels import WHITE
from ...files import model_folder
from ...generator.devices import choose_device
from ...tokenizer import VideoTokenizer
from ...tokenizer.codes import CodesFile
from ...training.progress import Progress, gentle_interrupt
from ..provenance.generation import public_name
from .codec_sound import CodesSound, SourceSound, say
from .file_plan import FileJob, FilePlan
from .file_run import Notes, mark_of, run_files

WATCHABLE = 256  # small videos are enlarged to about this many pixels
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
    no_sound: bool = False

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
    sounds = SourceSound(tokenizer, options.no_sound)

    def mark(source: Path) -> str:
        asked = options.asked()
        return mark_of(source, model.id, **asked, dtype=options.dtype, sound=sounds.id)

    def make(job: FileJob, notes: Notes, label: str) -> bool:
        source = options.source(job.source)
        say(source.note)
        sound = sounds.of(source)
        with (
            enough_memory(job.source),
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
                sound=sound,
            )
        grid = " x ".join(map(str, file.shape[1:]))
        bits = math.prod(file.shape) * math.log2(model.codebook_size)
        heard = ""
        if sound is not None:
            bits += math.prod(file.sound_shape) * math.log2(sound.codebook_size)
            heard = f" and {' x '.join(map(str, file.sound_shape[1:]))} of sound"
        frames = said_frames(file.num_frames)
        print(f"{job.out}: {frames} as {grid} codes{heard}, {bits / 8000:.1f} kB of information")
        return True

    return run_files(plan, mark, make, "encoded")


def decode(plan: FilePlan, options: CodecOptions, tokenizer: str | None) -> int:
    """Write the videos of files of codes, each with the tokenizer that wrote it unless one is
    given."""
    load = functools.cache(options.load)
    sounds = CodesSound(options.no_sound)
    # a wrong name ends everything, a file of another tokenizer only itself
    if tokenizer is not None:
        load(tokenizer)

    def mark(source: Path) -> str:
        asked: dict[str, object] = {"rate": options.rate, "scale": options.scale}
        file = CodesFile.open(source)
        sound = sounds.find(file, tokenizer or _shipped_name(file.tokenizer))
        asked |= {"dtype": options.dtype, "sound": None if sound is None else sound.id}
        return mark_of(source, file.tokenizer, **asked)

    def make(job: FileJob, notes: Notes, label: str) -> bool:
        file = CodesFile.open(job.source)
        model, name = _reader(file, tokenizer, load)
        sound = sounds.of(file, name, job.out)
        with (
            enough_memory(job.source),
            Progress(file.num_frames, label=label) as progress,
            interrupt(alone=not label) as stopped,
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
                sound=sound,
            )
        print(f"{job.out}: {said_frames(done, file.num_frames, stopped())}")
        return not stopped()

    return run_files(plan, mark, make, "decoded")


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


@contextlib.contextmanager
def enough_memory(path: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if "out of memory" not in str(error) and "can't allocate memory" not in str(error):
            raise
        raise ValueError(
            f"'{path}' needs more memory than there is; use --tile 256, or a smaller --size"
        ) from error


def said_frames(done: int, total: int = 0, stopped: bool = False) -> str:
    return (
        f"{done} frame"
        + "s" * (done != 1)
        + (f" (interrupted; there are about {total})" if stopped else "")
    )


def interrupt(alone: bool) -> contextlib.AbstractContextManager[Callable[[], bool]]:
    """Ctrl-C keeps the frames so far of a file made alone, but not of one among several, which
    must all be whole."""
    return gentle_interrupt() if alone else contextlib.nullcontext(lambda: False)
