"""`kinetoscope evaluate tokenizer`: any tokenizers on any videos, side by side."""

from __future__ import annotations

import sys


def tokenizer(
    data: str,
    tokenizers: list[str] | None = None,
    *,
    protocol: str | None = None,
    i3d: str | None = None,
    network: str | None = None,
    layout: str | None = None,
    split: str | None = None,
    filter: str | None = None,
    clips: int | None = None,
    frames: int | None = None,
    stride: int | None = None,
    size: int | None = None,
    codecs: str = "h264,av1",
    batch: int = 4,
    workers: int = 2,
    cache: str | None = None,
    device: str | None = None,
    json: str | None = None,
) -> int:
    """Measure what tokenizers keep of videos, side by side, beside H.264 and AV1 at the same rate.

    Prints PSNR, SSIM, bits per pixel, codes used, perplexity, flicker, seams and speed; with a
    network of yours also rFVD (--i3d) and LPIPS (--network lpips=FILE).

    Args:
        data: a folder of videos, a list of them or shards.
        tokenizers: shipped names, folders, or objects with encode and decode
            (package.module:name, or package.module:Name=FOLDER to make one of a folder); video-128
            if none is given.
        protocol: such as magvit-rfvd; by default all clips of 17 frames that follow each other.
        i3d: the TorchScript I3D that papers use.
        network: networks by role, such as lpips=vgg.safetensors.
        layout: insist on a layout of the data, see `kinetoscope data --help`.
        split: only train, validation or test, where the layout has splits.
        filter: only videos that this holds for, such as 'seconds > 2'.
        clips: how many clips.
        frames: frames of a clip.
        stride: take every so many frames.
        size: side of the square that clips are brought to first.
        codecs: h264, av1, both with a comma between them, or none.
        batch: clips that a tokenizer gets at once.
        workers: threads that decode.
        cache: folder where hashes of files are kept; by default the user's cache.
        device: such as cpu or cuda; by default a GPU if there is one.
        json: a file for the numbers and all that they depend on.
    """
    from ....data.datasets.wanted import Wanted
    from ....evaluation.any_tokenizer import evaluate_tokenizers, format_tokenizers, open_tokenizer
    from ....evaluation.codecs import CODECS
    from ....evaluation.protocols import find_protocol
    from ....files.output_path import check_output
    from .videos import best_device, networks_by_role, write_json

    if json is not None:
        check_output(json, ".json")
    chosen = find_protocol(protocol)
    if protocol is None:
        chosen = chosen.with_changes(frames=17)
    chosen = chosen.with_changes(clips=clips, frames=frames, reference_stride=stride, size=size)
    peers = [] if codecs == "none" else codecs.replace(" ", "").split(",")
    for name in peers:
        if name not in CODECS:
            raise ValueError(f"unknown codec {name!r}; there are {', '.join(CODECS)}, or none")
    where = device or best_device()
    opened = [open_tokenizer(name, where) for name in tokenizers or ["video-128"]]
    result = evaluate_tokenizers(
        data,
        opened,
        chosen,
        networks_by_role(i3d, network),
        codecs=peers,
        batch=batch,
        workers=workers,
        cache=cache,
        device=where,
        wanted=Wanted(layout, split, filter=filter),
        say=lambda line: print(line, file=sys.stderr),
    )
    print(format_tokenizers(result))
    if json is not None:
        write_json(json, result)
    return 0
