"""The work behind `kinetoscope reconstruct`, `encode` and `decode`: videos through a tokenizer at bounded memory."""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from ..data.video import VideoWriter, clip_rate, iterate_frames, probe, read_clip, to_float, to_uint8
from ..tokenizer import VideoCodes, VideoTokenizer, latent_count
from ..tokenizer.metrics import PEAK, ssim
from .devices import choose_device
from .progress import INTERRUPTED, Progress, gentle_interrupt

WATCHABLE = 256  # small videos are enlarged to about this many pixels
CHUNK_PIXELS = 1 << 21  # pixels that go through the tokenizer at once
GAIN = 4  # differences are drawn this much stronger


@dataclass(frozen=True)
class Source:
    """The video that a command reads: scaled to `size` (shorter side), at most `max_frames` of it."""

    path: str
    size: int | None = None
    max_frames: int | None = None

    def picture(self) -> tuple[int, int]:
        """Height and width of its frames."""
        height, width = read_clip(self.path, frames=1, size=self.size).video.shape[2:]
        return height, width

    def length(self) -> int:
        """About how many frames there are."""
        return min(probe(self.path).frames, self.max_frames or sys.maxsize)

    def chunks(self, device: torch.device) -> Iterator[Tensor]:
        """Float chunks `[1, 3, f, Y, X]` in [-1, 1]."""
        height, width = self.picture()
        chunk = min(32, max(1, CHUNK_PIXELS // (height * width)))
        for frames in iterate_frames(self.path, frames=self.max_frames, size=self.size, chunk=chunk):
            yield to_float(frames.to(device))[None]


def reconstruct(source: Source, out: str, tokenizer: str, scale: int | None, device: str | None) -> int:
    """Write original, reconstruction and difference side by side and print the measures."""
    (height, width), total = source.picture(), source.length()
    model = _load(tokenizer, device)
    tags = {"source": Path(source.path).name, "tokenizer": tokenizer, "shows": "original, reconstruction, difference"}
    squares, likeness, done = 0.0, 0.0, 0
    progress = Progress(total)
    with (
        gentle_interrupt() as stopped,
        VideoWriter(out, clip_rate(source.path), tags, scale or watchable_scale(height, width)) as writer,
    ):
        for original, rebuilt in _pairs(model, source, height, width):
            difference = (rebuilt - original).abs() * GAIN - 1
            writer.write(to_uint8(torch.cat([original, rebuilt, difference], dim=-1)[0]))
            squares += float((rebuilt - original).double().square().sum())
            likeness += float(ssim(rebuilt, original)) * original.shape[2]
            done += original.shape[2]
            progress.update(original.shape[2])
            if stopped():
                break
    progress.clear()
    print(_measures(model, squares, likeness, done, height, width))
    print(f"{out}: original, reconstruction and difference, {_frames(done, total, stopped())}")
    return INTERRUPTED if stopped() else 0


def encode(source: Source, out: str, tokenizer: str, device: str | None) -> int:
    """Write the codes of a video."""
    (height, width), progress = source.picture(), Progress(source.length())
    model = _load(tokenizer, device)

    def counted() -> Iterator[Tensor]:
        for chunk in source.chunks(_place(model)):
            yield chunk
            progress.update(chunk.shape[2])

    indices = torch.cat([part.cpu() for part in model.stream_encode(counted())], dim=1)
    progress.clear()
    codes = VideoCodes(indices, progress.done, height, width, clip_rate(source.path), model.id)
    try:
        codes.save(out)
    except SafetensorError as error:  # a full disk, most likely
        raise ValueError(f"cannot write '{out}': {error}") from error
    T, H, W = indices.shape[1:]
    size = T * H * W * math.log2(model.codebook_size) / 8 / 1000
    print(f"{out}: {progress.done} frames as {T} x {H} x {W} codes, {size:.1f} kB of information")
    return 0


def decode(codes: str, out: str, tokenizer: str, scale: int | None, device: str | None) -> int:
    """Write the video of a file of codes."""
    stored = VideoCodes.load(codes)
    if len(stored.indices) != 1:
        raise ValueError(f"'{codes}' holds {len(stored.indices)} videos; this command takes files with one")
    model = _load(tokenizer, device)
    if stored.tokenizer != model.id:
        raise ValueError(
            f"'{codes}' was written by tokenizer {stored.tokenizer or 'unknown'} and '{tokenizer}' is {model.id}; "
            "name the right one with --tokenizer"
        )
    progress, left = Progress(stored.num_frames), stored.num_frames
    scale = scale or watchable_scale(stored.height, stored.width)
    step = max(1, CHUNK_PIXELS // (stored.height * stored.width * model.config.frames_per_latent))
    parts = stored.indices.to(_place(model)).split(step, dim=1)
    with gentle_interrupt() as stopped, VideoWriter(out, stored.fps or 25, {"tokenizer": tokenizer}, scale) as writer:
        for pixels in model.stream_decode(parts, stored.height, stored.width):
            pixels = pixels[0, :, :left]  # the last group of frames may be filled up
            writer.write(to_uint8(pixels))
            left -= pixels.shape[1]
            progress.update(pixels.shape[1])
            if stopped():
                break
    progress.clear()
    print(f"{out}: {_frames(stored.num_frames - left, stored.num_frames, stopped())}")
    return INTERRUPTED if stopped() else 0


def watchable_scale(height: int, width: int) -> int:
    """How many times a picture must be enlarged to be seen well."""
    return max(1, WATCHABLE // min(height, width))


def _load(name: str, device: str | None) -> VideoTokenizer:
    return VideoTokenizer.from_pretrained(name).to(choose_device(device))


def _place(model: torch.nn.Module) -> torch.device:
    return next(model.parameters()).device


def _pairs(model: VideoTokenizer, source: Source, height: int, width: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Original and reconstruction, float `[1, 3, f, Y, X]` in [-1, 1], as they come."""
    waiting: deque[Tensor] = deque()

    def remembered() -> Iterator[Tensor]:
        for chunk in source.chunks(_place(model)):
            waiting.extend(chunk.unbind(2))
            yield chunk

    for rebuilt in model.stream_decode(model.stream_encode(remembered()), height, width):
        count = min(rebuilt.shape[2], len(waiting))  # the last group of frames may be filled up
        yield torch.stack([waiting.popleft() for _ in range(count)], dim=2), rebuilt[:, :, :count]


def _measures(model: VideoTokenizer, squares: float, likeness: float, frames: int, height: int, width: int) -> str:
    pixels, patch = frames * height * width, model.config.patch
    mean = max(squares / (3 * pixels), PEAK**2 * 1e-10)
    cells = latent_count(frames, model.config.frames_per_latent) * -(-height // patch) * -(-width // patch)
    bits = cells * math.log2(model.codebook_size) / pixels
    return f"PSNR {10 * math.log10(PEAK**2 / mean):.2f} dB   SSIM {likeness / frames:.4f}   {bits:.4f} bits per pixel"


def _frames(done: int, total: int, stopped: bool) -> str:
    return f"{done} frame" + "s" * (done != 1) + (f" (interrupted; there are about {total})" if stopped else "")
