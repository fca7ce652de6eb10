"""Any tokenizer on any videos: `kinetoscope evaluate tokenizer`, several side by side.

A tokenizer is one of ours by name or folder, or any object with `encode` and `decode` by its dotted
path. `encode` gets a float video `[B, 3, F, Y, X]` in [-1, 1] and returns codes of any kind, which
`decode` turns into a video of that size again. What is more is used if it is there: whole numbers
as codes with `codebook_size` give bits, codes used and perplexity; `rates` gives all of ours.

Legend: B clips, F Y X frames and pixels, D features.
"""

from __future__ import annotations

import inspect
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..data.datasets.wanted import Wanted
from ..data.video import to_float, to_uint8
from ..files.model_folder import find_folder
from ..tokenizer import VideoCodes, VideoTokenizer
from ..tokenizer.metrics import CodeUsage
from .clips.extraction import Job, Problem, decoded_batches
from .clips.feature_store import FeatureStore, default_folder, rows_of
from .clips.video_sets import choose_clips
from .codecs import CODECS, Coded, code_clips
from .features import find_object
from .flicker import Steadiness
from .metrics import METRICS, Batch, Metric
from .protocols import Protocol, changes
from .videos import Settings, make_metrics

Row = dict[str, float]
PAIRED = ("psnr", "ssim")


@dataclass(frozen=True)
class AnyTokenizer:
    """A tokenizer and what its user calls it."""

    name: str
    model: Any

    @property
    def codebook_size(self) -> int | None:
        return getattr(self.model, "codebook_size", None)

    def indices(self, codes: Any) -> Tensor | None:
        """Whole numbers in codes, if they are some."""
        if isinstance(codes, VideoCodes):
            return codes.indices
        whole = isinstance(codes, Tensor) and not codes.is_floating_point()
        return codes if whole else None


def open_tokenizer(name: str, device: str = "cpu") -> AnyTokenizer:
    """A tokenizer of ours by name or folder, or any by its dotted path, with what it is made of
    after an equals sign (`package.module:Name=FOLDER`). ValueError if neither."""
    if ":" in name:
        path, given, argument = name.partition("=")
        found = find_object(path)
        arguments = (argument,) if given else ()
        try:
            made_here = inspect.isclass(found) or inspect.isfunction(found)
            model = found(*arguments) if made_here else found
        except (TypeError, OSError) as error:
            raise ValueError(
                f"'{name}' cannot be made of {arguments or 'nothing'}: {error}"
            ) from None
        missing = [part for part in ("encode", "decode") if not hasattr(model, part)]
        if missing:
            raise ValueError(f"'{name}' has no {' and no '.join(missing)}; a tokenizer needs both")
    else:
        find_folder(name, "tokenizer")
        model = VideoTokenizer.from_pretrained(name)
    if isinstance(model, torch.nn.Module):
        model = model.eval().to(device)
    return AnyTokenizer(name, model)


@dataclass
class Measured:
    """What is added up of one tokenizer (or codec) over all clips."""

    protocol: Protocol
    pairs: Sequence[Metric]
    network: Metric | None
    values: dict[str, list[Tensor]] = field(default_factory=lambda: defaultdict(list))
    features: list[Tensor] = field(default_factory=list)
    bits: float = 0.0
    pixels: int = 0
    frames: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, video: Tensor, target: Tensor) -> None:
        """uint8 `[B, 3, F, Y, X]` of a reconstruction and of what it is of."""
        batch = Batch(video, target)
        for metric in self.pairs:
            self.values[metric.name].append(metric.rows(batch).flatten(1).mean(1))
        for name in ("motion", "flicker"):
            self.values[name].append(METRICS[name](self.protocol).rows(batch)[:, 0])
        if self.network is not None:
            self.features.append(self.network.rows(batch).cpu())
        self.pixels += video[:, 0].numel()
        self.frames += len(video) * video.shape[2]

    def add_coded(self, coded: Coded) -> None:
        """Clips that a codec kept, each with its original and its bits."""
        for video, target, bits in coded:
            self.add(video[None], target[None])
            self.bits += bits

    def row(self, reference: list[Tensor]) -> Row:
        """The numbers by name; `reference` are features of the originals."""
        found: Row = {}
        if self.network is not None and self.features:
            rows = {
                "reference": rows_of(torch.cat(reference)),
                "generated": rows_of(torch.cat(self.features)),
            }
            found["rfvd"] = self.network.value(rows)
        for name, values in self.values.items():
            found[name] = float(torch.cat(values).double().mean())
        if self.bits:
            found["bits per pixel"] = self.bits / self.pixels
        for name, seconds in self.seconds.items():
            found[f"frames a second, {name}"] = self.frames / max(seconds, 1e-9)
        return found


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
    say: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """What each tokenizer keeps of the clips that a protocol chooses in `data`.

    Codecs code every clip as well as the bits of each tokenizer allow that has bits.

    Raises:
        ValueError: the data, a network or a tokenizer cannot be used.
    """
    names = [*PAIRED, *(("lpips",) if "lpips" in networks else ())]
    names += ["fvd"] if "video" in networks else []
    settings = Settings(data, data, names, protocol, networks, device=device)
    metrics = {metric.name: metric for metric in make_metrics(settings)}
    network = metrics.pop("fvd", None)
    pairs = list(metrics.values())
    measured = {each.name: Measured(protocol, pairs, network) for each in tokenizers}
    peers: dict[tuple[str, str], Measured] = {}
    extras = {each.name: _Extras(each) for each in tokenizers}
    original = Measured(protocol, (), network)
    with FeatureStore(cache or default_folder()) as store:
        chosen = choose_clips(data, protocol, "reference", store, wanted)
        say(chosen.layout)
        jobs = [Job(clip) for clip in chosen.clips]
        say(f"{len(jobs)} clips of {chosen.videos} videos")
        broken: list[Problem] = []
        for group in decoded_batches(jobs, protocol, batch, workers, broken):
            target = group.video
            original.add(target, target)
            coded: dict[tuple[str, float], Coded] = {}
            for each in tokenizers:
                spent = _reconstruct(each, target, measured[each.name], extras[each.name], device)
                if spent is None:
                    continue
                for name in codecs:
                    if (name, spent) not in coded:
                        coded[name, spent] = code_clips(CODECS[name], target, spent)
                    peer = peers.setdefault((name, each.name), Measured(protocol, pairs, network))
                    peer.add_coded(coded[name, spent])
            say(f"{original.frames // protocol.frames} of {len(jobs)} clips")
    rows = {name: found.row(original.features) for name, found in measured.items()}
    for name, extra in extras.items():
        rows[name] |= extra.row()
    rows |= _codec_rows(peers, original)
    beside = {
        name: float(torch.cat(values).double().mean()) for name, values in original.values.items()
    }
    return {
        "tokenizers": rows,
        "original": beside,
        "clips": original.frames // protocol.frames,
        "videos": chosen.videos,
        "set sha256": chosen.fingerprint,
        "protocol": protocol.settings() | {"sources": dict(protocol.sources)},
        "changed": changes(protocol),
        "networks": {
            metric.name: metric.network.facts()
            for metric in (*pairs, *([network] if network else []))
            if metric.network
        },
        "left out": [list(problem) for problem in (*chosen.left_out, *broken)],
    }


class _Extras:
    """What only some tokenizers have: codes as whole numbers, cells with seams between them."""

    def __init__(self, tokenizer: AnyTokenizer) -> None:
        self.usage: list[CodeUsage] = []
        self.tokenizer = tokenizer
        cell = getattr(getattr(tokenizer.model, "config", None), "cell", None)
        self.steadiness = None if cell is None else Steadiness(*cell)

    def add(self, indices: Tensor | None, video: Tensor, target: Tensor) -> None:
        size = self.tokenizer.codebook_size
        if indices is not None and size is not None:
            books = getattr(self.tokenizer.model, "rates", 1)
            parts = indices.unflatten(-1, (-1, books)).unbind(-1) if books > 1 else (indices,)
            self.usage = self.usage or [CodeUsage(size) for _ in parts]
            for usage, part in zip(self.usage, parts):
                usage.update(part)
        if self.steadiness is not None:
            self.steadiness.update(video, target)

    def row(self) -> Row:
        found: Row = {}
        if self.tokenizer.codebook_size is not None and self.usage:
            found["codes"] = self.tokenizer.codebook_size
        for number, usage in enumerate(self.usage, 1):
            which = f", codebook {number}" * (len(self.usage) > 1)
            found[f"codes used{which}"] = usage.used
            found[f"perplexity{which}"] = usage.perplexity
        if self.steadiness is not None:
            table = self.steadiness.table()
            found |= {name: value for name, value in table.items() if name.startswith("seam")}
        return {name: value for name, value in found.items() if not math.isnan(value)}


@torch.inference_mode()
def _reconstruct(
    each: AnyTokenizer, target: Tensor, measured: Measured, extras: _Extras, device: str
) -> float | None:
    """Bits that a clip took, if they are known."""
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
    measured.add(video, target)
    indices = each.indices(codes)
    extras.add(indices, to_float(video), to_float(target))
    if indices is None or each.codebook_size is None:
        return None
    bits = math.log2(each.codebook_size) * indices.numel()
    measured.bits += bits
    return bits / len(target)


def _codec_rows(peers: Mapping[tuple[str, str], Measured], original: Measured) -> dict[str, Row]:
    """A row for each codec; where tokenizers differ in rate, one for each of their rates."""
    rows: dict[str, Row] = {}
    for (codec, tokenizer), found in peers.items():
        if not found.pixels:
            continue
        row = found.row(original.features)
        title = CODECS[codec].title
        if rows.get(title, row) != row:
            title = f"{title} as {tokenizer}"
        rows[title] = row
    return rows


def format_tokenizers(result: Mapping[str, Any]) -> str:
    """A table with a column for each tokenizer."""
    rows = result["tokenizers"]
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    width = max(14, *(len(name) + 2 for name in rows))
    name = result["protocol"]["name"] or "none"
    lines = [f"{result['clips']} clips of {result['videos']} videos, protocol {name}"]
    lines.append(f"{'':<34}" + "".join(f"{title:>{width}}" for title in rows))
    for name in names:
        cells = [f"{row[name]:.5g}" if name in row else "" for row in rows.values()]
        lines.append(f"{name:<34}" + "".join(f"{cell:>{width}}" for cell in cells))
    shown = ", ".join(f"{name} {value:.4g}" for name, value in result["original"].items())
    lines.append(f"the originals have {shown}, of 255")
    lines += [f"left out: '{name}' {reason}" for name, reason in result["left out"]]
    return "\n".join(lines)
