"""`kinetoscope prepare`."""

from __future__ import annotations

from ...training.progress import show_log
from .options import at_least_one

SOME_LEFT_OUT = 1  # exit status


def prepare(
    folder: str,
    shards: str,
    *,
    tokenizer: str = "physics-64",
    text: str | None = None,
    size: int = 64,
    width: int | None = None,
    fps: float | None = None,
    background: str = "white",
    clip_frames: int | None = None,
    min_frames: int = 9,
    cut: float = 0.1,
    captions: str = "auto",
    require_licence: str | None = None,
    duplicates: str = "keep",
    videos_per_shard: int = 64,
    workers: int = 2,
    time_limit: float = 60.0,
    device: str | None = None,
    dtype: str = "float32",
    engine: str = "local",
    layout: str | None = None,
    split: str | None = None,
    template: str = "{label}",
    filter: str | None = None,
    actions: bool = False,
    sound: str | None = None,
) -> int:
    """Turn a folder of videos into shards of codes to train on.

    Long videos are cut into shots. Files that cannot be used are listed, with the reason, in
    SHARDS/skipped.csv, and the exit status is 1. A run that was stopped goes on where it was when
    the same command is given again, and ends with the same shards.

    Args:
        folder: a folder of videos with captions in manifest.csv (columns file, caption and perhaps
            licence) or metadata.jsonl, in a .txt beside each video, or in the folders' names; or a
            list of videos (.txt, .csv, .tsv, .jsonl); or WebDataset shards with videos (a .tar, or
            a folder of them). With --fps, folders of numbered pictures are videos too. Data sets in
            layouts of their own (UCF-101, HMDB-51, tables with times, LeRobot, …) are found by
            themselves.
        shards: the folder to write to.
        tokenizer: a shipped model, a folder, or a hub id.
        text: also store the states that this caption encoder gives (a shipped model, a folder, or a
            hub id); without it the captions are stored as words and encoded when training starts.
        size: height of the pictures, which are scaled to cover it and cut in the centre; 0 keeps
            each video's own.
        width: their width, if they are not square.
        fps: frames per second at which videos are read; by default each video's own, or, where it
            varies, that of its closest frames.
        background: a colour, such as black or #20c0ff, to lay transparent pictures on.
        clip_frames: cut shots into clips of so many frames; by default a clip is a whole shot.
        min_frames: leave out shots with fewer frames.
        cut: how much two frames must differ to be a cut between shots, from 0 to 1; 1 finds no
            cuts.
        captions: where they come from: auto, manifest, sidecar, folder or none.
        require_licence: refuse videos whose licence is none of these SPDX names, such as
            "CC-BY-4.0,CC0-1.0".
        duplicates: near-duplicates, which show the same although their files differ, are kept;
            report also lists them in SHARDS/duplicates.csv; drop lists them and takes only the
            first of each. Every video is read twice for that.
        videos_per_shard: how many videos go into one shard.
        workers: processes that decode.
        time_limit: give up a video that gives no frame for so many seconds.
        device: such as cpu or cuda; by default a GPU if there is one.
        dtype: float32, or bfloat16 to compute faster and less exactly.
        engine: local, or ray for the machines of a Ray cluster.
        layout: insist on lerobot, something-something, prompts, table, frames, gymnasium, classes
            or plain.
        actions: also store the actions of each frame, of a LeRobot set or in NAME.actions.csv
            beside each video; videos without any are left out.
        sound: also store codes of the videos' sound, of this tokenizer of sound (a shipped model, a
            folder, or a hub id); videos without any are kept.
        split: only train, validation or test, where the layout has splits.
        template: how a label becomes a caption, such as 'a video of {label}'.
        filter: only videos that this holds for, such as 'seconds > 2 and height >= 256'.
    """
    counts = {
        "clip-frames": clip_frames,
        "min-frames": min_frames,
        "videos-per-shard": videos_per_shard,
    }
    at_least_one({**counts, "width": width, "workers": workers, "fps": fps})
    if size < 0:
        raise ValueError(f"--size must be 0 (each video's own) or more; got {size}")
    from dataclasses import replace

    from ...data.datasets.wanted import Wanted
    from ...generator.tokens.make_shard import ShardOptions
    from ...generator.tokens.prepare import Work, summary
    from ...generator.tokens.prepare import prepare as run

    picture = (size, width or size) if size else None
    options = ShardOptions(
        picture,
        fps,
        clip_frames,
        min_frames,
        cut,
        captions,
        dtype,
        videos_per_shard,
        background,
        Wanted(layout, split, template, filter),
        actions,
    )
    work = Work(tokenizer, text, device, workers, time_limit, engine, require_licence, duplicates)
    work = replace(work, sound=sound)
    show_log()
    manifest = run(folder, shards, options, work)
    print(summary(manifest, shards))
    return SOME_LEFT_OUT if manifest["totals"]["skipped"] else 0
