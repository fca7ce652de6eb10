"""`kinetoscope encode`."""

from __future__ import annotations

from ..runs.file_plan import plan_files
from .options import Precision, at_least_one, pictures


def encode(
    video: list[str],
    *,
    out: str,
    tokenizer: str = "video-128",
    size: int | None = None,
    max_frames: int | None = None,
    fps: float | None = None,
    background: str = "white",
    rate: int | None = None,
    tile: int | None = None,
    dtype: Precision = "float32",
    device: str | None = None,
    no_sound: bool = False,
) -> int:
    """Turn videos into files of codes.

    Long videos need no more memory than short ones. Several videos, a folder or a pattern fill a
    folder, whose names mirror those of the videos; what an earlier run finished there is left as it
    is. What could not be done is listed in its skipped.csv, and the exit status is 1.

    Args:
        video: videos or images of any kind, folders of them, or patterns such as 'clips/**/*.mp4';
            with --fps also folders and patterns, such as 'frames/%05d.png', of numbered pictures.
        out: the file to write, whose name ends in .safetensors, or a folder for several; it is made
            if needed.
        tokenizer: a shipped model, a folder, or a hub id; video-128 is for real video, physics-64
            for its own.
        size: scale the shorter side to this many pixels first; without it videos keep their size.
        max_frames: stop after this many frames.
        fps: frames per second at which videos are read, and which numbered pictures make; by
            default a video's own, or, where it varies, that of its closest frames.
        background: a colour, such as black or #20c0ff, to lay transparent pictures on.
        rate: keep this many codebooks of each cell, of a tokenizer that has several.
        tile: side in pixels of the tiles in which large frames are worked on, such as 256, to save
            memory.
        dtype: float32, or bfloat16 to compute in half precision, which is faster and changes a few
            codes.
        device: such as cpu or cuda; by default a GPU if there is one.
        no_sound: leave out the sound of videos, which a tokenizer that ships with one of sound
            (stage-256) keeps for videos at its rate: --fps 12 makes it so.
    """
    at_least_one({"size": size, "max-frames": max_frames, "rate": rate, "tile": tile, "fps": fps})
    plan = plan_files(video, out, "videos", pictures, ".safetensors", fps)
    from ..runs.codec import CodecOptions, encode

    options = CodecOptions(
        size, max_frames, rate, tile, None, dtype, device, fps, background, no_sound
    )
    return encode(plan, options, tokenizer)
