"""The picture or clip that a video goes on from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base import Canvas, Condition, Say

if TYPE_CHECKING:
    from torch import Tensor

    from ...tokenizer import VideoCodes
    from ..pipeline import VideoGenerator


def beginning(value: Any) -> Tensor | VideoCodes:
    """How videos begin, of any shape that can mean only one thing: codes as they are, pixels as
    [B, 3, F, Y, X].

    Raises:
        ValueError: another shape, or something without one.
    """
    from ...tokenizer import VideoCodes
    from ...tokenizer.checks import as_tensor

    if isinstance(value, VideoCodes):
        return value
    pixels = as_tensor(value, "init")
    shape = list(pixels.shape)
    picture = len(shape) == 3 and shape[0] == 3
    pictures = len(shape) == 4 and shape[1] == 3 != shape[0]
    clip = len(shape) == 4 and shape[0] == 3 != shape[1]
    if picture:
        return pixels[None, :, None]
    if pictures:
        return pixels[:, :, None]
    if clip:
        return pixels[None]
    if len(shape) == 5 and shape[1] == 3:
        return pixels
    raise ValueError(
        f"init must be {Init.shape}; got shape {shape}. Colours come before rows and columns"
    )


def beginning_sound(value: Any, videos: int, model: VideoGenerator) -> Sequence[Tensor]:
    """Codes of the sound of frames that are given, [B, n] or [B, n, q] of each latent frame; none
    if `value` has no sound.

    Raises:
        ValueError: sound of another tokenizer, or of another length.
    """
    from ...tokenizer import VideoCodes
    from ...tokenizer.checks import check_table

    if not isinstance(value, VideoCodes) or value.sound is None:
        return ()
    sound = value.sound
    wanted = model.check_sounds()
    if sound.tokenizer != wanted.id:
        raise ValueError(
            f"the sound of init is of sound tokenizer {sound.tokenizer or 'unknown'}, and this "
            f"model reads that of {wanted.id}"
        )
    latents = value.indices.shape[1]
    if sound.indices.shape[1] != latents:
        raise ValueError(
            f"init has {latents} latent frames, and its sound {sound.indices.shape[1]}"
        )
    check_table(sound.indices, wanted.codebook_size)
    sizes = model.decoder.config.sound
    codes_BTK = sound.indices.expand(videos, -1, -1).to(model.decoder.no_text.device)
    if sizes.codes_per_token > 1:
        codes_BTK = codes_BTK.unflatten(2, (sizes.tokens, sizes.codes_per_token))
    return codes_BTK.unbind(1)


class Init(Condition):
    """Frames that are given, encoded by the tokenizer and fed as the past."""

    name = "init"
    label = "Picture or clip to go on from"
    help = "a video or picture that each video goes on from; its frames count"
    kind = "clip"
    port = "past"
    shape = (
        "float [1 or B, 3, F, Y, X] in [-1, 1], F = 1 + a multiple of k, a clip [3, F, Y, X], "
        "a picture [3, Y, X] or one for each video [B, 3, Y, X], or VideoCodes"
    )

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
        """Codes [B, T, G], or [B, T, G, Q] of several codebooks, of how a video begins."""
        from ...tokenizer import VideoCodes, frame_count
        from ...tokenizer.checks import check_table

        device = model.decoder.no_text.device
        begin = beginning(value)
        codes = begin if isinstance(begin, VideoCodes) else model.tokenizer.encode(begin)
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
        codes_BTG = model.codebooks.take(codes.indices).flatten(2, 3)
        return codes_BTG.expand(videos, *codes_BTG.shape[1:]).to(device)
