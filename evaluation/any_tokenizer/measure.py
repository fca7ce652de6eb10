"""What tokenizers keep of the clips that a protocol chooses, beside codecs at the same rate.

Legend: B clips, F Y X frames and pixels.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...data.datasets.wanted import Wanted
from ...data.video import to_float, to_uint8
from ..clips.extraction import Job, Problem, decoded_batches
from ..clips.feature_store import FeatureStore, default_folder
from ..clips.video_sets import VideoSet, choose_clips
from ..codecs import CODECS, Kept, code_clips
from ..metrics import METRICS, Metric
from ..metrics.base import PAIRS
from ..protocols import Protocol, changes
from ..videos import Settings, make_metrics
from ..videos.halves import HALVES
from ..videos.result import versions
from .opened import AnyTokenizer
from .row import Extras, Measured, Row

WITHOUT_NETWORK = ("psnr", "ssim", "motion", "flicker")
# no KVD: a clip and its own reconstruction among the pairs of both sets bias it
WITH_NETWORK = ("fvd", "lpips")
Peers = dict[tuple[str, str], Measured]


def evaluate_tokenizers(
    data: str,
    tokenizers: Sequence[AnyTokenizer],
    protocol: Protocol,
    networks: Mapping[str, str],
    *,
    codecs: Sequence[str] = ("h264", "av1"),
    batch: int = 4,
    workers: int = 2,
    cache: str | None = None,
    device: str = "cpu",
    wanted: Wanted = Wanted(),
    halves: int = HALVES,
    say: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """What each tokenizer keeps of the clips that a protocol chooses in `data`.

    Codecs code every clip as well as the bits of each tokenizer allow that has bits.

    Raises:
        ValueError: the data, a network or a tokenizer cannot be used.
    """
    settings = Settings(data, data, _names(networks), protocol, networks, device=device)
    metrics = make_metrics(settings)
    original = Measured([metric for metric in metrics if metric.of != PAIRS])
    measured = {each.name: Measured(metrics) for each in tokenizers}
    extras = {each.name: Extras(each) for each in tokenizers}
    peers: Peers = {}
    broken: list[Problem] = []
    with FeatureStore(cache or default_folder()) as store:
        chosen = choose_clips(data, protocol, "reference", store, wanted)
        say(chosen.layout)
        jobs = [Job(clip) for clip in chosen.clips]
        say(f"{len(jobs)} clips of {chosen.videos} videos")
        for group in decoded_batches(jobs, protocol, batch, workers, broken):
            target = group.video
            first = len(original.clips)
            original.add(target, target, first)
            coded: dict[tuple[str, float], dict[int, Kept]] = {}
            for each in tokenizers:
                video, spent = _reconstruct(
                    each, target, measured[each.name], extras[each.name], device
                )
                measured[each.name].add(video, target, first)
                if spent is None:
                    continue
                for name in codecs:
                    if (name, spent) not in coded:
                        coded[name, spent] = code_clips(CODECS[name], target, spent)
                    peer = peers.setdefault((name, each.name), Measured(metrics))
                    peer.add_coded(coded[name, spent], target, first)
            say(f"{len(original.clips)} of {len(jobs)} clips")
    if not original.clips:
        name, reason = broken[0]
        raise ValueError(f"no clip of '{data}' can be read; '{name}' {reason}")
    columns = measured | _codec_columns(peers, original)
    rows = {name: found.row(original) for name, found in columns.items()}
    for name, extra in extras.items():
        rows[name] |= extra.row()
    beside = original.row(original)
    return {
        "tokenizers": rows,
        "certainty": {
            name: found.certainty(original, protocol, halves) for name, found in columns.items()
        },
        "clips of": {name: len(found.clips) for name, found in columns.items()},
        "original": {name: beside[name] for name in ("motion", "flicker")},
        **_about(metrics, chosen, protocol, original, broken),
    }


def _names(networks: Mapping[str, str]) -> list[str]:
    """The metrics that these networks allow."""
    given = [name for name in WITH_NETWORK if METRICS[name].role in networks]
    return [*given, *WITHOUT_NETWORK]


def _about(
    metrics: Sequence[Metric],
    chosen: VideoSet,
    protocol: Protocol,
    original: Measured,
    broken: Sequence[Problem],
) -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "clips": len(original.clips),
        "videos": chosen.videos,
        "set sha256": chosen.fingerprint,
        "protocol": protocol.settings() | {"sources": dict(protocol.sources)},
        "changed": changes(protocol),
        "networks": {metric.name: metric.network.facts() for metric in metrics if metric.network},
        "versions": versions(),
        "left out": [list(problem) for problem in (*chosen.left_out, *broken)],
    }


@torch.inference_mode()
def _reconstruct(
    each: AnyTokenizer, target: Tensor, measured: Measured, extras: Extras, device: str
) -> tuple[Tensor, float | None]:
    """What is kept, uint8, and the bits that each clip took, if they are known."""
    given = to_float(target).to(device)
    begin = time.monotonic()
    codes = each.model.encode(given)
    middle = time.monotonic()
    back = each.model.decode(codes)
    end = time.monotonic()
    if tuple(back.shape) != tuple(given.shape):
        raise ValueError(
            f"'{each.name}' turned clips of {list(given.shape)} into {list(back.shape)}; choose "
            "--frames and --size that it keeps"
        )
    measured.seconds["encoding"] += middle - begin
    measured.seconds["decoding"] += end - middle
    video = to_uint8(back).cpu()
    indices = each.indices(codes)
    extras.add(indices, to_float(video), to_float(target))
    if indices is None or each.codebook_size is None:
        return video, None
    bits = math.log2(each.codebook_size) * indices.numel()
    measured.bits += bits
    return video, bits / len(target)


def _codec_columns(peers: Peers, original: Measured) -> dict[str, Measured]:
    """A column for each codec; where tokenizers differ in rate, one for each of their rates."""
    columns: dict[str, Measured] = {}
    rows: dict[str, Row] = {}
    for (codec, tokenizer), found in peers.items():
        if not found.clips:
            continue
        # the same rate is the same column, however long it took
        row = {name: value for name, value in found.row(original).items() if "second" not in name}
        title = CODECS[codec].title
        if rows.get(title, row) != row:
            title = f"{title} as {tokenizer}"
        rows[title] = row
        columns[title] = found
    return columns
