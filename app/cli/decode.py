"""`kinetoscope decode`."""

from __future__ import annotations

from ..runs.file_plan import plan_files
from .options import Precision, at_least_one


def decode(
    codes: list[str],
    *,
    out: str,
    tokenizer: str | None = None,
    rate: int | None = None,
    tile: int | None = None,
    scale: int | None = None,
    dtype: Precision = "float32",
    device: str | None = None,
    no_sound: bool = False,
) -> int:
    """Turn files of codes back into videos.

    Several files, a folder or a pattern fill a folder; what an earlier run finished there is left
    as it is. What could not be done is listed in its skipped.csv, and the exit status is 1.

    Args:
        codes: files that `kinetoscope encode` or VideoCodes.save wrote, folders of them, or
            patterns.
        out: the file to write (.mp4, .mov, .mkv, .webm, .gif, .webp, or pictures as
            'frames/%05d.png'), or a folder for several; it is made if needed.
        tokenizer: the tokenizer that wrote the codes: a shipped model, a folder, or a hub id. By
            default the shipped one that the codes belong to.
        rate: use this many codebooks of each cell, of codes that have several.
        tile: side in pixels of the tiles in which large frames are worked on, such as 256, to save
            memory.
        scale: enlarge every pixel so many times; by default small videos are made watchable.
        dtype: float32, or bfloat16 to compute in half precision, which is faster.
        device: such as cpu or cuda; by default a GPU if there is one.
        no_sound: write silent videos, though the codes hold sound.
    """
    at_least_one({"rate": rate, "tile": tile, "scale": scale})
    plan = plan_files(codes, out, "codes", lambda: {".safetensors"}, ".mp4")
    from ..runs.codec import CodecOptions, decode

    options = CodecOptions(
        rate=rate, tile=tile, scale=scale, dtype=dtype, device=device, no_sound=no_sound
    )
    return decode(plan, options, tokenizer)
