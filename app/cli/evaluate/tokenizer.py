"""`kinetoscope evaluate tokenizer`: any tokenizers on any videos, side by side."""

from __future__ import annotations

import sys

from .options import DataOptions, NetworkOptions, RunOptions


def tokenizer(
    data: str,
    tokenizers: list[str] | None = None,
    *,
    protocol: str | None = None,
    networks: NetworkOptions = NetworkOptions(),
    only: DataOptions = DataOptions(),
    clips: int | None = None,
    frames: int | None = None,
    stride: int | None = None,
    size: int | None = None,
    codecs: str = "h264,av1",
    halves: int = 50,
    batch: int = 4,
    run: RunOptions = RunOptions(),
) -> int:
    """Measure what tokenizers keep of videos, side by side, beside H.264 and AV1 at the same rate.

    Prints PSNR, SSIM, bits per pixel, codes used, perplexity, flicker, seams and speed; with a
    network of yours also rFVD (--i3d) and LPIPS (--network lpips=FILE). Below a number
    stands where 5 to 95 % of random halves of the clips lie.

    Args:
        data: a folder of videos, a list of them or shards.
        tokenizers: shipped names, folders, or objects with encode and decode
            (package.module:name, or package.module:Name=FOLDER to make one of a folder); video-128
            if none is given.
        protocol: such as magvit-rfvd; by default all clips of 17 frames that follow each other.
        clips: how many clips.
        frames: frames of a clip.
        stride: take every so many frames.
        size: side of the square that clips are brought to first.
        codecs: h264, av1, both with a comma between them, or none.
        halves: random halves that intervals are taken from; 0 saves their time.
        batch: clips that a tokenizer gets at once.
    """
    from ....evaluation.any_tokenizer import evaluate_tokenizers, format_tokenizers, open_tokenizer
    from ....evaluation.codecs import CODECS
    from ....evaluation.protocols import find_protocol

    run.check()
    if halves < 0:
        raise ValueError(f"halves must be at least 0; got {halves}")
    chosen = find_protocol(protocol)
    if protocol is None:
        chosen = chosen.with_changes(frames=17)
    chosen = chosen.with_changes(clips=clips, frames=frames, reference_stride=stride, size=size)
    peers = [] if codecs == "none" else codecs.replace(" ", "").split(",")
    for name in peers:
        if name not in CODECS:
            raise ValueError(f"unknown codec {name!r}; there are {', '.join(CODECS)}, or none")
    where = run.place()
    opened = [open_tokenizer(name, where) for name in tokenizers or ["video-128"]]
    result = evaluate_tokenizers(
        data,
        opened,
        chosen,
        networks.by_role(),
        codecs=peers,
        batch=batch,
        workers=run.workers,
        cache=run.cache,
        device=where,
        wanted=only.wanted(),
        halves=halves,
        say=lambda line: print(line, file=sys.stderr),
    )
    print(format_tokenizers(result))
    run.write(result)
    return 0
