"""`kinetoscope prepare`: videos to shards of codes, in units that can be done in any order.

The sorted list of videos is cut into units of one shard each, so a shard depends on nothing but its
videos, the models and the settings. The record beside a shard is written last, and a unit is done
when it is there; a unit that is half done is done again. So a run that was killed and repeated ends
with the same bytes.

Decoding happens in worker processes while the network runs here (`data.video.workers`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ...data.datasets import SKIPPED
from ...data.datasets.layouts import PLAIN, list_source
from ...data.datasets.listed_video import ListedVideo, Problem
from ...data.datasets.shards import (
    FORMAT,
    MANIFEST,
    shard_path,
    write_skipped,
)
from ...data.datasets.video_list import list_videos
from ...data.datasets.wanted import Wanted, filtered, marked_source
from ...data.ledger.licences import check_licences
from ...data.report.duplicates import TABLE, Duplicate, find_duplicates, write_duplicates
from ...data.video.workers import Decoders, Reading
from ...files.json_file import read_json, write_json
from ...tokenizer.sound import SoundTokenizer
from .make_shard import Models, ShardOptions, load_models, make_shard

KEEP, REPORT, DROP = "keep", "report", "drop"  # what is done with near-duplicates


@dataclass(frozen=True)
class Work:
    """Names of the models, which videos are taken, and settings that do not change the shards.

    Without `text`, captions are stored as words alone. `sound` names the tokenizer of the videos'
    sound, if its codes are stored too.
    """

    tokenizer: str = "physics-64"
    text: str | None = None
    device: str | None = None
    workers: int = 2
    time_limit: float = 60.0
    engine: str = "local"
    require_licence: str | None = None
    duplicates: str = KEEP
    sound: str | None = None

    def models(self) -> Models:
        return load_models(self.tokenizer, self.text, self.device, self.sound)


Unit = tuple[int, Sequence[ListedVideo]]  # the number of a shard, and its videos


def prepare(
    source: str, out: str, options: ShardOptions, work: Work, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Write the shards of every video of `source` into the folder `out` and return their manifest.

    Args:
        source: a data set in any layout, or what `list_videos` takes.
        say: takes a line about each finished shard.

    Raises:
        ValueError: `source` cannot be used or holds videos of other licences than are required, or
            `out` holds shards of other videos, models or
            settings, or is in use.
        OSError: the disk is full; finished shards stay, and the next run continues.
    """
    engines = {"local": _run_here, "ray": _run_on_ray}
    if work.engine not in engines:
        raise ValueError(f"engine must be one of {', '.join(engines)}; got {work.engine!r}")
    videos, problems = _listed(Path(source).absolute(), options)
    said = {video.name: video.words.licence for video in videos}
    check_licences(said, work.require_licence)
    videos, duplicates = _without_duplicates(videos, work.duplicates, say)
    models = work.models()
    if models.sound is not None:
        _check_rate(models.sound, options.fps)
    plan = _plan(videos, models, options, work)
    folder = Path(out).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            _agree(folder, plan)
            if work.duplicates != KEEP:
                write_duplicates(folder / TABLE, duplicates)
            size = options.videos_per_shard
            units = [
                (begin // size, videos[begin : begin + size])
                for begin in range(0, len(videos), size)
            ]
            left = [unit for unit in units if not is_done(folder, unit[0])]
            if len(left) < len(units):
                say(f"{len(units) - len(left)} of {len(units)} shards are there already")
            engines[work.engine](left, folder, options, work, say)
            return _finish(folder, plan, len(units), problems)
    except Timeout:
        raise ValueError(
            f"another run is writing to '{out}'; wait for it, or choose another folder"
        ) from None


def _check_rate(sound: SoundTokenizer, fps: float | None) -> None:
    """ValueError unless frames are as long as those that the sound tokenizer knows."""
    wanted = sound.config.rate / sound.config.frame_samples
    if fps is None or abs(fps - wanted) > 1e-6:
        raise ValueError(
            f"sound is stored at {wanted:g} frames a second; give --fps {wanted:g} with --sound"
        )


def _listed(source: Path, options: ShardOptions) -> tuple[Sequence[ListedVideo], list[Problem]]:
    """The videos of a data set in whatever layout it has, and what in it cannot be used."""
    images = options.shortest == 1
    wanted = options.wanted
    marked = None
    if options.captions in ("auto", "none") or wanted != Wanted():
        marked = marked_source(source, wanted, images)
    if marked is None and wanted.filter is None:
        return list_videos(source, options.captions, images=images, fps=options.fps)
    found = marked or list_source(source, PLAIN)
    return filtered(found.videos, wanted.filter, source), list(found.problems)


def _without_duplicates(
    videos: Sequence[ListedVideo], wish: str, say: Callable[[str], None]
) -> tuple[Sequence[ListedVideo], list[Duplicate]]:
    """The videos to prepare, and the near-duplicates among all of them."""
    if wish not in (KEEP, REPORT, DROP):
        raise ValueError(f"duplicates must be {KEEP}, {REPORT} or {DROP}; got {wish!r}")
    if wish == KEEP:
        return videos, []
    found = find_duplicates(videos, say)
    dropped = {each.name for each in found} if wish == DROP else set()
    return [video for video in videos if video.name not in dropped], found


def summary(manifest: dict[str, Any], out: str) -> str:
    """A summary of the shards, in a line or two."""
    totals = manifest["totals"]
    lines = [
        f"{out}: {_count(totals['clips'], 'clip')}, {totals['frames']} frames, {totals['codes']} "
        f"codes in {_count(len(manifest['shards']), 'shard')}"
    ]
    if totals["short_frames"]:
        lines.append(
            f"{totals['short_frames']} frames are in no clip, because what is left of their shot "
            "is too short"
        )
    if totals["skipped"]:
        lines.append(
            f"{_count(totals['skipped'], 'file')} could not be used; {Path(out) / SKIPPED} says why"
        )
    return "\n".join(lines)


def is_done(folder: Path, number: int) -> bool:
    """Whether the record of a unit is there and its shard is whole."""
    path = shard_path(folder, number)
    try:
        size = read_json(path.with_suffix(".json"))["bytes"]
    except (ValueError, KeyError):
        return False
    return size == (path.stat().st_size if path.is_file() else 0)


# ---- the plan, and whether the folder was begun with it ----


def _plan(
    videos: Sequence[ListedVideo], models: Models, options: ShardOptions, work: Work
) -> dict[str, Any]:
    listed = [
        [video.name, video.size, video.words.captions, video.words.licence] for video in videos
    ]
    sound = {"name": work.sound, "id": models.sound.id} if models.sound else None
    return {
        "format": FORMAT,
        "tokenizer": {"name": work.tokenizer, "id": models.tokenizer.id},
        "text": {"name": work.text, "id": models.text.id} if models.text else None,
        **({"sound": sound} if sound else {}),
        "settings": json.loads(json.dumps(asdict(options))),
        "videos": {
            "count": len(videos),
            "sha256": hashlib.sha256(json.dumps(listed).encode()).hexdigest(),
        },
    }


def _agree(folder: Path, plan: dict[str, Any]) -> None:
    """Write the plan, or raise ValueError if the folder holds shards of another plan."""
    path = folder / MANIFEST
    if not path.exists():
        if any(folder.glob("*.tar")):
            raise ValueError(
                f"'{folder}' holds .tar files of something else; choose another folder"
            )
        write_json(path, plan | {"complete": False}, indent=2)
        return
    begun = read_json(path)
    told = {
        "tokenizer": "another tokenizer",
        "text": "another caption encoder",
        "sound": "another sound tokenizer, or none",
        "videos": "other videos or captions",
    }
    changes = [
        name for key, name in told.items() if _essence(begun.get(key)) != _essence(plan.get(key))
    ]
    usual = json.loads(json.dumps(asdict(ShardOptions())))  # of settings that are newer
    before = usual | begun.get("settings", {})
    changes += [
        f"{k} {before.get(k)} (now {v})" for k, v in plan["settings"].items() if before.get(k) != v
    ]
    if begun.get("format") != FORMAT or changes:
        what = ", ".join(changes) or "another format"
        raise ValueError(
            f"the shards in '{folder}' were begun with {what}; choose another folder for these"
        )


def _essence(value: dict[str, Any] | None) -> Any:
    """An entry of a plan without the names of folders, which may move."""
    return {key: item for key, item in value.items() if key != "name"} if value else value


def _finish(
    folder: Path, plan: dict[str, Any], units: int, problems: list[tuple[str, str]]
) -> dict[str, Any]:
    """Write the manifest and the table of skipped files, from the records of all shards."""
    shards = []
    skipped = list(problems)
    totals = {"clips": 0, "frames": 0, "codes": 0, "short_frames": 0}
    for number in range(units):
        path = shard_path(folder, number)
        record = read_json(path.with_suffix(".json"))
        skipped += [tuple(row) for row in record["skipped"]]
        totals["clips"] += len(record["samples"])
        totals["frames"] += sum(sample["frames"] for sample in record["samples"])
        totals["codes"] += sum(math.prod(sample["shape"]) for sample in record["samples"])
        totals["short_frames"] += record["short_frames"]
        if record["bytes"]:
            about = {"name": path.name, "sha256": record["sha256"], "bytes": record["bytes"]}
            shards.append(about | {"clips": len(record["samples"])})
    write_skipped(folder / SKIPPED, sorted(skipped))
    if not totals["clips"]:
        name, reason = skipped[0]
        raise ValueError(
            f"none of {plan['videos']['count']} videos can be used; the first, '{name}', {reason}"
        )
    manifest = plan | {
        "complete": True,
        "totals": totals | {"skipped": len(skipped)},
        "shards": shards,
    }
    write_json(folder / MANIFEST, manifest, indent=2)
    return manifest


# ---- engines: they differ in where the units run ----


def _run_here(
    units: list[Unit], folder: Path, options: ShardOptions, work: Work, say: Callable[[str], None]
) -> None:
    if not units:
        return
    models = work.models()
    with Decoders(_reading(options, work), work.workers) as decoders:
        stream = decoders.read(video for _, videos in units for video in videos)
        for number, videos in units:
            record = make_shard(folder, number, islice(stream, len(videos)), models, options)
            say(
                _line(number, len(videos), record)
                + f"; the network waited {decoders.waiting:.0%} of the time"
            )


def _reading(options: ShardOptions, work: Work) -> Reading:
    return Reading(options.size, options.fps, work.time_limit, options.background)


def _run_on_ray(
    units: list[Unit], folder: Path, options: ShardOptions, work: Work, say: Callable[[str], None]
) -> None:
    """Run each unit as a task of a Ray cluster, whose machines must see the same folders."""
    try:
        import ray
    except ImportError:
        raise ValueError(
            "--engine ray needs Ray; install it with pip install 'kinetoscope[ray]'"
        ) from None
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False)
    work = replace(
        work,
        tokenizer=_absolute(work.tokenizer),
        text=work.text and _absolute(work.text),
        sound=work.sound and _absolute(work.sound),
    )
    gpus = 1 if work.device and work.device.startswith("cuda") else 0
    task = ray.remote(num_cpus=1, num_gpus=gpus)(_unit_alone)
    running = {task.remote(unit, folder, options, work): unit for unit in units}
    while running:
        (ready,), _ = ray.wait(list(running), num_returns=1)
        number, videos = running.pop(ready)
        say(_line(number, len(videos), ray.get(ready)))


def _absolute(name: str) -> str:
    """The full path of a model's folder; other names stay as they are."""
    return str(Path(name).resolve()) if Path(name).is_dir() else name


def _unit_alone(unit: Unit, folder: Path, options: ShardOptions, work: Work) -> dict[str, Any]:
    """Run one unit on a machine that knows nothing of the other units."""
    number, videos = unit
    models = work.models()
    with Decoders(_reading(options, work), work.workers) as decoders:
        return make_shard(folder, number, decoders.read(videos), models, options)


def _line(number: int, videos: int, record: dict[str, Any]) -> str:
    clips = len(record["samples"])
    skipped = len(record["skipped"])
    made = f"{number:06d}.tar: {_count(clips, 'clip')} of {_count(videos - skipped, 'video')}"
    return made + f", {skipped} skipped" * bool(skipped)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + "s" * (number != 1)
