"""`kinetoscope evaluate generator`: a generator of ours on held-out clips of any data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ...data.datasets.listed_video import Problem
from ...data.datasets.wanted import Wanted
from ...data.video.contact_sheet import contact_sheet
from ...files.atomic import whole_path
from ...generator.devices import choose_device
from ...generator.pipeline import VideoGenerator
from ..clips.feature_store import FeatureStore, default_folder
from ..clips.video_sets import choose_clips
from ..features import find_object
from ..metrics import METRICS
from ..metrics.base import PAIRS
from ..protocols import Protocol
from ..videos import Settings, evaluate_sets, format_result, make_metrics
from .held_out import HeldOut
from .kept import agree
from .likelihood import likelihood
from .predictions import prediction_row
from .samples import SAMPLES, Kept, Made, Sampling, make_samples, read_kept
from .windows import distance_by_place

SHEET = "sheet.png"
SHEET_CLIPS = 8
SHEET_SAMPLES = 2
Say = Callable[[str], object]


@dataclass(frozen=True)
class GeneratorSettings:
    """What is measured. `networks` are those of `evaluate_sets`; `memorisation` is the dotted path
    of a function that gets the folder of samples and returns numbers by name. What stands from
    `batch` on never changes a number."""

    data: str
    model: str
    out: str
    protocol: Protocol
    sampling: Sampling
    wanted: Wanted = field(default_factory=Wanted)
    networks: Mapping[str, str] = field(default_factory=dict)
    memorisation: str | None = None
    halves: int = 50
    batch: int = 4
    workers: int = 2
    cache: str | None = None
    device: str | None = None


def evaluate_generator(settings: GeneratorSettings, say: Say = lambda _: None) -> dict[str, Any]:
    """Bits of held-out clips, samples by their conditions, and how these compare with the clips.

    Raises:
        ValueError: the data, the model, a network or a number cannot be used, or `out` holds
            samples of other settings.
    """
    protocol = settings.protocol
    sampling = settings.sampling
    device = choose_device(settings.device)
    generator = VideoGenerator.from_pretrained(settings.model).to(device).eval()
    sampling.check(generator.decoder.config.frames_per_latent, protocol.frames)
    hook = find_object(settings.memorisation) if settings.memorisation else None
    folder = Path(settings.out)
    broken: list[Problem] = []
    cache = settings.cache or default_folder()
    with FeatureStore(cache) as store:
        chosen = choose_clips(settings.data, protocol, "reference", store, settings.wanted)
    say(chosen.layout)
    held_out = HeldOut(chosen, protocol, generator)
    agree(folder, _plan(settings, generator, chosen.fingerprint, held_out))
    bits = likelihood(generator, held_out, settings.batch, settings.workers, broken, say)
    kept = Kept.of(folder, held_out)
    made = make_samples(
        generator, held_out, sampling, kept, settings.batch, settings.workers, broken, say
    )
    _draw_sheet(kept, held_out, sampling)
    result: dict[str, Any] = {
        "generator": bits,
        "conditions": _conditions(held_out, sampling),
        "speed": _speed(made, generator),
        "predictions": _predictions(settings, kept),
        "distance over the length": _over_the_length(settings, folder, str(device)),
        "samples": str(folder / SAMPLES),
        "sheet": str(folder / SHEET),
    }
    if hook is not None:
        result["memorisation"] = dict(hook(str(folder / SAMPLES)))
    videos = evaluate_sets(_settings_of_sets(settings, folder, str(device)), say)
    assert videos is not None
    numbers = {name: videos[name] for name in videos["metrics"]}
    left_out = [list(problem) for problem in dict.fromkeys(broken)]
    return numbers | result | {"videos": videos, "unreadable": left_out}


def _plan(
    settings: GeneratorSettings, generator: VideoGenerator, data: str, held_out: HeldOut
) -> dict[str, Any]:
    """All that changes a sample."""
    return {
        "model": generator.id,
        "data": data,
        "sampling": asdict(settings.sampling),
        "params": asdict(generator.params(**settings.sampling.settings)),
        "pixels": held_out.protocol.settings(),
        "captions": sorted(set(held_out.captions)),
        "actions": held_out.actions is not None,
    }


def _conditions(held_out: HeldOut, sampling: Sampling) -> dict[str, Any]:
    spoken = sum(bool(caption) for caption in held_out.captions)
    return {
        "clips": len(held_out),
        "with captions": spoken,
        "different captions": len(set(held_out.captions) - {""}),
        "given frames": sampling.context,
        "samples of a clip": sampling.samples,
        "actions": held_out.names if held_out.actions is not None else [],
    }


def _speed(made: Made, generator: VideoGenerator) -> dict[str, float]:
    """Of what was sampled in this run."""
    if not made.videos:
        return {}
    rows, columns = generator.decoder.config.grid
    return {
        "videos": made.videos,
        "frames a second": made.frames / made.seconds,
        "tokens a second": made.latents * rows * columns / made.seconds,
    }


def _predictions(settings: GeneratorSettings, kept: Kept) -> dict[str, float]:
    """Distances to the true clip mean something where the sample goes on from its frames."""
    if not settings.sampling.context:
        return {}
    names = ["psnr", "ssim", *(["lpips"] if "lpips" in settings.networks else [])]
    given = Settings("", "", names, settings.protocol, settings.networks)
    metrics = make_metrics(given)
    return prediction_row(metrics, kept, settings.sampling, settings.protocol.frames)


def _settings_of_sets(settings: GeneratorSettings, folder: Path, device: str) -> Settings:
    names = [
        name
        for name, kind in METRICS.items()
        if kind.of != PAIRS and kind.role in settings.networks
    ]
    protocol = replace(settings.protocol, generated_stride=1, generated_choice="first")
    return Settings(
        settings.data,
        str(folder / SAMPLES),
        [*names, "motion", "flicker"],
        protocol,
        settings.networks,
        settings.wanted,
        halves=settings.halves,
        batch=settings.batch,
        workers=settings.workers,
        cache=settings.cache,
        device=device,
    )


def _over_the_length(settings: GeneratorSettings, folder: Path, device: str) -> dict[str, float]:
    if "video" not in settings.networks or settings.sampling.length < 2 * settings.protocol.frames:
        return {}
    (metric,) = make_metrics(
        Settings("", "", ["fvd"], settings.protocol, settings.networks, device=device)
    )
    with FeatureStore(settings.cache or default_folder()) as store:
        reference = choose_clips(
            settings.data, settings.protocol, "reference", store, settings.wanted
        )
        return distance_by_place(
            metric,
            reference,
            str(folder / SAMPLES),
            settings.protocol,
            store,
            settings.batch,
            settings.workers,
        )


def _draw_sheet(kept: Kept, held_out: HeldOut, sampling: Sampling) -> None:
    """The first clips with some of their samples below each."""
    videos = []
    captions = []
    for row in kept.rows()[:SHEET_CLIPS]:
        videos.append(read_kept(kept.reference(row)))
        captions.append(f"reference: {held_out.captions[row] or held_out.clips[row].name}")
        for number in range(min(SHEET_SAMPLES, sampling.samples)):
            videos.append(read_kept(kept.sample(row, number)))
            given = f", {sampling.context} frames given" if sampling.context else ""
            captions.append(f"sample {number + 1}{given}")
    if videos:
        with whole_path(kept.folder / SHEET) as path:
            contact_sheet(videos, captions).save(path, "PNG")


def format_generator(result: Mapping[str, Any]) -> str:
    """The numbers as tables."""
    lines = []
    about = result["conditions"]
    actions = f", {' and '.join(about['actions'])}" if about["actions"] else ""
    lines.append(
        f"{about['clips']} clips, {about['with captions']} with captions "
        f"({about['different captions']} different){actions}; {about['given frames']} frames "
        f"given, {about['samples of a clip']} samples of each"
    )
    for title in ("generator", "predictions", "distance over the length", "speed", "memorisation"):
        rows = result.get(title) or {}
        if rows:
            lines.append(title)
            lines += [f"  {name:<44}{value:>12.5g}" for name, value in rows.items()]
    lines.append(format_result(result["videos"]))
    lines.append(f"samples: {result['samples']}; beside their references: {result['sheet']}")
    lines += [f"left out: '{name}' {reason}" for name, reason in result["unreadable"]]
    return "\n".join(lines)
