"""`kinetoscope evaluate videos`: numbers that papers print."""

from __future__ import annotations

import sys

from .options import DataOptions, NetworkOptions, RunOptions

METRICS_WITHOUT_NETWORK = ("motion", "flicker")


def videos(
    reference: str,
    generated: str,
    *,
    metrics: str | None = None,
    protocol: str | None = None,
    networks: NetworkOptions = NetworkOptions(),
    only: DataOptions = DataOptions(),
    template: str = "{label}",
    generated_layout: str | None = None,
    generated_split: str | None = None,
    generated_filter: str | None = None,
    clips: int | None = None,
    repeats: int | None = None,
    frames: int | None = None,
    stride: int | None = None,
    reference_stride: int | None = None,
    generated_stride: int | None = None,
    size: int | None = None,
    resize: str | None = None,
    network_resize: str | None = None,
    covariance: str | None = None,
    seed: int | None = None,
    halves: int = 50,
    batch: int = 8,
    run: RunOptions = RunOptions(),
    engine: str = "local",
) -> int:
    """Compare two sets of videos, whoever made them, with the metrics that papers print.

    Both are folders, lists (.txt, .csv, .jsonl), WebDataset shards or LeRobot sets, in any layout
    that `kinetoscope data` knows. Without --protocol all clips of 16
    frames are used and the result is called by no protocol's name. Networks are yours: no weights
    come with this package, and a TorchScript file is code that runs when it is loaded.
    docs/evaluation.md says which file each protocol needs.

    Args:
        reference: the real videos.
        generated: the videos that are judged.
        metrics: names with commas between them: fvd, kvd, fid, kid, is, psnr, ssim, ms_ssim, lpips,
            clip_score, motion, flicker, fad, mel. By default those that the networks given allow,
            motion and flicker.
        protocol: stylegan-v, videogpt, tats-ucf101, latte, magvit-ucf101, magvit-rfvd or bair;
            options below change it, and the result says so.
        template: how a label becomes a caption, of both sets, such as 'a video of {label}'.
        generated_layout: the layout of the generated set.
        generated_split: its split.
        generated_filter: its filter.
        clips: clips of each set.
        repeats: groups of so many clips; the number is their mean.
        frames: frames of a clip.
        stride: take every so many frames, of both sets.
        reference_stride: the same, of the reference alone.
        generated_stride: the same, of the generated set alone.
        size: side of the square that clips are brought to first.
        resize: filter of that step: bilinear, bilinear-tf1, bilinear-antialiased, bicubic, area or
            lanczos.
        network_resize: filter that enlarges clips for the network.
        covariance: unbiased or biased.
        seed: of all random choices.
        halves: random halves that the interval is taken from; 0 saves their time.
        batch: clips that a network gets at once; changes no number.
        engine: local, or ray for the machines of a Ray cluster, which must all see the data and
            --cache.
    """
    from ....data.datasets.wanted import Wanted
    from ....evaluation.protocols import find_protocol
    from ....evaluation.videos import Settings, evaluate_sets, format_result

    run.check()
    chosen = find_protocol(protocol).with_changes(
        clips=clips,
        repeats=repeats,
        frames=frames,
        reference_stride=reference_stride or stride,
        generated_stride=generated_stride or stride,
        size=size,
        resize=resize,
        network_resize=network_resize,
        covariance=covariance,
        seed=seed,
    )
    if resize is not None and chosen.size is None:
        raise ValueError("--resize is the filter of --size; give --size too")
    by_role = networks.by_role()
    names = tuple(metrics.replace(" ", "").split(",")) if metrics else _allowed(by_role)
    result = evaluate_sets(
        Settings(
            reference,
            generated,
            names,
            chosen,
            by_role,
            only.wanted(template),
            Wanted(generated_layout, generated_split, template, generated_filter),
            halves,
            batch,
            run.workers,
            run.cache,
            run.place(),
            engine,
        ),
        lambda line: print(line, file=sys.stderr),
    )
    if result is None:  # another rank of the same run prints
        return 0
    print(format_result(result))
    run.write(result)
    return 0


def _allowed(networks: dict[str, str]) -> tuple[str, ...]:
    """The metrics of both sets that these networks allow; pairs are asked for by name."""
    from ....evaluation.metrics import METRICS

    with_network = [
        name for name, kind in METRICS.items() if kind.role in networks and kind.of != ("pairs",)
    ]
    return (*with_network, *METRICS_WITHOUT_NETWORK)
