"""`kinetoscope evaluate videos`: numbers that papers print."""

from __future__ import annotations

import sys

METRICS_WITHOUT_NETWORK = ("motion", "flicker")


def videos(
    reference: str,
    generated: str,
    *,
    metrics: str | None = None,
    protocol: str | None = None,
    i3d: str | None = None,
    network: str | None = None,
    layout: str | None = None,
    split: str | None = None,
    filter: str | None = None,
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
    workers: int = 2,
    cache: str | None = None,
    device: str | None = None,
    engine: str = "local",
    json: str | None = None,
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
        i3d: the TorchScript I3D that papers use, for fvd and kvd.
        network: networks by role, such as picture=inception.pt,clip=FOLDER; roles are video (fvd,
            kvd), picture (fid, kid), classifier (is), clip, lpips and sound (fad). One without a
            role is for video. Files, Hugging Face folders or ids, or dotted paths.
        layout: insist on a layout of the reference: lerobot, something-something, prompts, table,
            frames, gymnasium, classes or plain.
        split: only train, validation or test of the reference, where its layout has splits.
        filter: only videos of the reference that this holds for, such as 'seconds > 2'.
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
        workers: threads that decode; changes no number.
        cache: folder where features are kept; by default the user's cache.
        device: such as cpu or cuda; by default a GPU if there is one.
        engine: local, or ray for the machines of a Ray cluster, which must all see the data and
            --cache.
        json: a file for the numbers and all that they depend on.
    """
    from ....data.datasets.wanted import Wanted
    from ....evaluation.protocols import find_protocol
    from ....evaluation.videos import Settings, evaluate_sets, format_result
    from ....files.output_path import check_output

    if json is not None:
        check_output(json, ".json")
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
    networks = networks_by_role(i3d, network)
    names = tuple(metrics.replace(" ", "").split(",")) if metrics else _allowed(networks)
    result = evaluate_sets(
        Settings(
            reference,
            generated,
            names,
            chosen,
            networks,
            Wanted(layout, split, template, filter),
            Wanted(generated_layout, generated_split, template, generated_filter),
            halves,
            batch,
            workers,
            cache,
            device or best_device(),
            engine,
        ),
        lambda line: print(line, file=sys.stderr),
    )
    if result is None:  # another rank of the same run prints
        return 0
    print(format_result(result))
    if json is not None:
        write_json(json, result)
    return 0


def networks_by_role(i3d: str | None, network: str | None) -> dict[str, str]:
    """Role -> network, of the options."""
    from ....evaluation.videos import ROLES

    found = {} if i3d is None else {"video": i3d}
    for part in (network or "").split(","):
        role, mark, name = part.strip().partition("=")
        if not role:
            continue
        if not mark:
            role, name = "video", role
        if role not in ROLES:
            raise ValueError(f"unknown role {role!r} of --network; there are {', '.join(ROLES)}")
        if role in found:
            raise ValueError(f"two networks are given for {role}; give one")
        found[role] = name
    return found


def _allowed(networks: dict[str, str]) -> tuple[str, ...]:
    """The metrics of both sets that these networks allow; pairs are asked for by name."""
    from ....evaluation.metrics import METRICS

    with_network = [
        name for name, kind in METRICS.items() if kind.role in networks and kind.of != ("pairs",)
    ]
    return (*with_network, *METRICS_WITHOUT_NETWORK)


def best_device() -> str:
    import os

    import torch

    local = os.environ.get("LOCAL_RANK", "0")
    return f"cuda:{local}" if torch.cuda.is_available() else "cpu"


def write_json(path: str, result: dict[str, object]) -> None:
    from json import dumps
    from pathlib import Path

    from ....files.atomic import whole_file

    text = dumps(result, indent=2, ensure_ascii=False) + "\n"
    with whole_file(Path(path)) as file:
        file.write(text.encode(errors="backslashreplace"))
