"""The picture or clip that a video goes on from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base import Canvas, Condition, Say

if TYPE_CHECKING:
    from torch import Tensor

    from ..pipeline import VideoGenerator


class Init(Condition):
    """Frames that are given, encoded by the tokenizer and fed as the past."""

    name = "init"
    help = "a video or picture that each video goes on from; its frames count"
    kind = "clip"
    port = "past"
    shape = "float [1 or B, 3, F, Y, X] in [-1, 1], F = 1 + a multiple of k, or VideoCodes"

    def check(self, text: str) -> None:
        if not Path(text).exists():
            raise ValueError(f"'{text}' does not exist; init takes a video or a picture")

    def parse(self, text: str, canvas: Canvas, say: Say = print) -> Tensor:
        """The end of the clip, as long as the tokenizer can take it: float [1, 3, F, Y, X]."""
        from ...data.video import read_clip, to_float

        size = (canvas.height, canvas.width)
        clip = read_clip(text, fps=canvas.fps, size=size).video
        found = clip.shape[1]
        k = canvas.frames_per_latent
        usable = (found - 1) // k * k + 1
        if usable >= canvas.frames:
            raise ValueError(
                f"'{text}' has {usable} frames to go on from, and they count; give --frames "
                f"{usable + 1} or more"
            )
        if usable < found:
            say(f"going on from the last {usable} of the {found} frames of {text}")
        return to_float(clip[:, -usable:])[None]

    def features(self, value: Any, videos: int, model: VideoGenerator) -> Tensor:
        """Codes [B, T, G] of how a video begins."""
        from ...tokenizer import VideoCodes, frame_count
        from ...tokenizer.checks import check_table

        device = model.decoder.no_text.device
        codes = value if isinstance(value, VideoCodes) else model.tokenizer.encode(value.to(device))
        if codes.tokenizer != model.tokenizer.id:
            raise ValueError(
                f"these codes are of tokenizer {codes.tokenizer or 'unknown'}, and this model "
                f"reads those of {model.tokenizer.id}"
            )
        height, width = model.size
        if (codes.height, codes.width) != (height, width):
            raise ValueError(
                f"init must be {height} x {width} pixels; got {codes.height} x {codes.width}. "
                "Resize it"
            )
        k = model.decoder.config.frames_per_latent
        given, latents = codes.indices.shape[:2]
        if codes.num_frames != frame_count(latents, k):
            raise ValueError(
                f"init must have 1 + a multiple of {k} frames; got {codes.num_frames}: give "
                f"{frame_count(latents - 1, k)} or {frame_count(latents, k)}"
            )
        if given not in (1, videos):
            raise ValueError(f"init must hold 1 video or one per prompt ({videos}); got {given}")
        check_table(codes.indices, model.tokenizer.codebook_size)
        codes_BTHW = model.codebooks.in_rows(codes.indices)
        return codes_BTHW.flatten(2).expand(videos, -1, -1).to(device)
