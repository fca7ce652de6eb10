"""The subcommands of `kinetoscope`: their options and explanations.

Everything heavy is imported when a command runs, so that help and most mistakes are answered at
once.
"""

from __future__ import annotations

from typing import Literal

from ...files.output_path import check_output
from ..runs.file_plan import plan_files
from ..runs.jobs import plan_jobs, read_prompts

Precision = Literal["float32", "bfloat16"]


def sample(
    prompt: list[str] | None = None,
    prompts: str | None = None,
    out: str = ".",
    model: str = "physics-64",
    adapter: str | None = None,
    frames: int = 33,
    seed: int | None = None,
    num_samples: int = 1,
    guidance: float | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    guidance_frames: int | None = None,
    window: int | None = None,
    accelerate: str | None = None,
    init: str | None = None,
    fps: float = 12.0,
    scale: int | None = None,
    grid_out: str | None = None,
    dtype: Precision = "float32",
    quantize: Literal["none", "int8"] = "none",
    device: str | None = None,
) -> int:
    """Turn sentences into videos.

    Each video has its own seed, counted up from --seed; the same sentence, seed, model and settings
    give the same video again. Sentence, seed, model and settings are stored in the MP4's metadata.
    Ctrl-C keeps the frames made so far.

    Args:
        prompt: what a video shows; quote each sentence.
        prompts: a text file with one sentence per line, in place of sentences on the command line.
        out: where to write: a name ending in .mp4 for one video, a folder for several, or a pattern
            such as 'out/{index}-{prompt}-{seed}.mp4'.
        model: a shipped model, a folder, or a hub id.
        adapter: a folder of low-rank adapters that were trained on this model; they become part of
            it.
        frames: length of each video; any number, also far beyond the clips that the model was
            trained on.
        seed: a number; by default a random one, which is printed.
        num_samples: videos per sentence.
        guidance: how strictly to follow the sentence; 1 is off, 2 if not given.
        temperature: randomness of each choice, 0 (always the likeliest) to 1 and beyond; 0.8 if not
            given.
        top_k: choose among this many of the likeliest codes only.
        top_p: choose among the likeliest codes that together have this probability, above 0 to 1.
        min_p: choose among codes at least so many times as likely as the likeliest, 0 (all) to 1;
            0.1 if not given.
        guidance_frames: guide only so many frames at the start, and save the work for the others.
        window: how many frames back the model looks.
        accelerate: draft several codes at once and check them: exact, with the same video as when
            it is off; distribution, with another one, equally likely, in still fewer steps; or off;
            exact if not given.
        init: a video or image that each video goes on from.
        fps: frames per second at which the MP4 plays and --init is read; shipped models were
            trained at 12.
        scale: enlarge every pixel so many times; by default small videos are made watchable.
        grid_out: also write all videos side by side, with their sentences, to this MP4.
        dtype: float32, or bfloat16, which is faster, takes half the memory and gives another video,
            about as good.
        quantize: none, or int8 to hold the model in eight bits per weight, which takes the least
            memory, not less time.
        device: such as cpu or cuda; by default a GPU if there is one.
    """
    _at_least_one(
        {"frames": frames, "num-samples": num_samples, "window": window, "fps": fps, "scale": scale}
    )
    _at_least_one({"guidance-frames": guidance_frames})
    sentences = [*(prompt or []), *(read_prompts(prompts) if prompts is not None else [])]
    jobs = plan_jobs(sentences, num_samples, seed, out)
    if grid_out is not None:
        check_output(grid_out)
    from ..runs.sample import SampleOptions, run

    chosen: dict[str, float | int | str | None] = {
        "guidance": guidance,
        "guidance_frames": guidance_frames,
    }
    chosen |= {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
    chosen["accelerate"] = accelerate
    sampling = {key: value for key, value in chosen.items() if value is not None}
    bits = None if quantize == "none" else quantize
    options = SampleOptions(
        model, frames, fps, sampling, window, init, scale, device, adapter, dtype, bits
    )
    return run(jobs, options, grid_out)


def reconstruct(
    video: list[str],
    out: str,
    tokenizer: str = "video-128",
    size: int | None = None,
    max_frames: int | None = None,
    rate: int | None = None,
    tile: int | None = None,
    scale: int | None = None,
    dtype: Precision = "float32",
    device: str | None = None,
) -> int:
    """Show what a tokenizer keeps of videos, side by side, and measure it.

    Writes the original, its reconstruction and their difference (4 times as strong) side by side,
    and prints PSNR, SSIM and bits per pixel. Long videos need no more memory than short ones.
    Several videos, a folder or a pattern fill a folder; what an earlier run finished there is left
    as it is.

    Args:
        video: videos or images of any kind, folders of them, or patterns such as 'clips/**/*.mp4'.
        out: the MP4 file to write, or a folder for several; it is made if needed.
        tokenizer: a shipped model, a folder, or a hub id; video-128 is for real video, physics-64
            for its own.
        size: scale the shorter side to this many pixels first; without it videos keep their size.
        max_frames: stop after this many frames.
        rate: use this many codebooks of each cell, of a tokenizer that has several.
        tile: side in pixels of the tiles in which large frames are worked on, such as 256, to save
            memory.
        scale: enlarge every pixel of the result so many times; by default small videos are made
            watchable.
        dtype: float32, or bfloat16 to compute in half precision, which is faster and changes a few
            codes.
        device: such as cpu or cuda; by default a GPU if there is one.
    """
    _at_least_one(
        {"size": size, "max-frames": max_frames, "rate": rate, "tile": tile, "scale": scale}
    )
    plan = plan_files(video, out, "videos", _pictures, ".mp4")
    from ..runs.codec import CodecOptions, reconstruct

    return reconstruct(
        plan, CodecOptions(size, max_frames, rate, tile, scale, dtype, device), tokenizer
    )


def encode(
    video: list[str],
    out: str,
    tokenizer: str = "video-128",
    size: int | None = None,
    max_frames: int | None = None,
    rate: int | None = None,
    tile: int | None = None,
    dtype: Precision = "float32",
    device: str | None = None,
) -> int:
    """Turn videos into files of codes.

    Long videos need no more memory than short ones. Several videos, a folder or a pattern fill a
    folder, whose names mirror those of the videos; what an earlier run finished there is left as it
    is.

    Args:
        video: videos or images of any kind, folders of them, or patterns such as 'clips/**/*.mp4'.
        out: the file to write, whose name ends in .safetensors, or a folder for several; it is made
            if needed.
        tokenizer: a shipped model, a folder, or a hub id; video-128 is for real video, physics-64
            for its own.
        size: scale the shorter side to this many pixels first; without it videos keep their size.
        max_frames: stop after this many frames.
        rate: keep this many codebooks of each cell, of a tokenizer that has several.
        tile: side in pixels of the tiles in which large frames are worked on, such as 256, to save
            memory.
        dtype: float32, or bfloat16 to compute in half precision, which is faster and changes a few
            codes.
        device: such as cpu or cuda; by default a GPU if there is one.
    """
    _at_least_one({"size": size, "max-frames": max_frames, "rate": rate, "tile": tile})
    plan = plan_files(video, out, "videos", _pictures, ".safetensors")
    from ..runs.codec import CodecOptions, encode

    return encode(plan, CodecOptions(size, max_frames, rate, tile, None, dtype, device), tokenizer)


def decode(
    codes: list[str],
    out: str,
    tokenizer: str | None = None,
    rate: int | None = None,
    tile: int | None = None,
    scale: int | None = None,
    dtype: Precision = "float32",
    device: str | None = None,
) -> int:
    """Turn files of codes back into videos.

    Several files, a folder or a pattern fill a folder; what an earlier run finished there is left
    as it is.

    Args:
        codes: files that `kinetoscope encode` or VideoCodes.save wrote, folders of them, or
            patterns.
        out: the MP4 file to write, or a folder for several; it is made if needed.
        tokenizer: the tokenizer that wrote the codes: a shipped model, a folder, or a hub id. By
            default the shipped one that the codes belong to.
        rate: use this many codebooks of each cell, of codes that have several.
        tile: side in pixels of the tiles in which large frames are worked on, such as 256, to save
            memory.
        scale: enlarge every pixel so many times; by default small videos are made watchable.
        dtype: float32, or bfloat16 to compute in half precision, which is faster.
        device: such as cpu or cuda; by default a GPU if there is one.
    """
    _at_least_one({"rate": rate, "tile": tile, "scale": scale})
    plan = plan_files(codes, out, "codes", lambda: {".safetensors"}, ".mp4")
    from ..runs.codec import CodecOptions, decode

    return decode(
        plan, CodecOptions(rate=rate, tile=tile, scale=scale, dtype=dtype, device=device), tokenizer
    )


def demo(
    out: str = "outputs/demo",
    prompts: str | None = None,
    model: str = "physics-64",
    frames: int = 33,
    seed: int = 0,
    fps: float = 12.0,
    device: str | None = None,
) -> int:
    """Turn the sentences of the demo into videos, and into one grid with the sentences below.

    Args:
        out: the folder to write to; it is made if needed.
        prompts: a text file with one sentence per line; by default the sentences that come with the
            package.
        model: a shipped model, a folder, or a hub id.
        frames: length of each video.
        seed: another number gives other videos.
        fps: frames per second at which the MP4s play.
        device: such as cpu or cuda; by default a GPU if there is one.
    """
    _at_least_one({"frames": frames, "fps": fps})
    from ..runs.sample import SampleOptions, run_demo

    return run_demo(out, prompts, SampleOptions(model, frames, fps, device=device), seed)


def prepare(
    folder: str,
    shards: str,
    tokenizer: str = "physics-64",
    text: str | None = None,
    size: int = 64,
    width: int | None = None,
    fps: float | None = None,
    clip_frames: int | None = None,
    min_frames: int = 9,
    cut: float = 0.1,
    captions: str = "auto",
    videos_per_shard: int = 64,
    workers: int = 2,
    time_limit: float = 60.0,
    device: str | None = None,
    dtype: str = "float32",
    engine: str = "local",
) -> int:
    """Turn a folder of videos into shards of codes to train on.

    Long videos are cut into shots. Files that cannot be used are listed, with the reason, in
    SHARDS/skipped.csv. A run that was stopped goes on where it was when the same command is given
    again, and ends with the same shards.

    Args:
        folder: a folder of videos with captions in manifest.csv (columns file, caption and perhaps
            licence), in a .txt beside each video, or in the folders' names; or a list of videos
            (.txt, .csv); or WebDataset shards with videos (a .tar, or a folder of them).
        shards: the folder to write to.
        tokenizer: a shipped model, a folder, or a hub id.
        text: also store the states that this caption encoder gives (a shipped model, a folder, or a
            hub id); without it the captions are stored as words and encoded when training starts.
        size: height of the pictures, which are scaled to cover it and cut in the centre; 0 keeps
            each video's own.
        width: their width, if they are not square.
        fps: frames per second at which videos are read; by default each video's own.
        clip_frames: cut shots into clips of so many frames; by default a clip is a whole shot.
        min_frames: leave out shots with fewer frames.
        cut: how much two frames must differ to be a cut between shots, from 0 to 1; 1 finds no
            cuts.
        captions: where they come from: auto, manifest, sidecar, folder or none.
        videos_per_shard: how many videos go into one shard.
        workers: processes that decode.
        time_limit: give up a video that gives no frame for so many seconds.
        device: such as cpu or cuda; by default a GPU if there is one.
        dtype: float32, or bfloat16 to compute faster and less exactly.
        engine: local, or ray for the machines of a Ray cluster.
    """
    counts = {
        "clip-frames": clip_frames,
        "min-frames": min_frames,
        "videos-per-shard": videos_per_shard,
    }
    _at_least_one({**counts, "width": width, "workers": workers, "fps": fps})
    if size < 0:
        raise ValueError(f"--size must be 0 (each video's own) or more; got {size}")
    from ...generator.tokens.make_shard import ShardOptions
    from ...generator.tokens.prepare import Work, summary
    from ...generator.tokens.prepare import prepare as run

    picture = (size, width or size) if size else None
    options = ShardOptions(
        picture, fps, clip_frames, min_frames, cut, captions, dtype, videos_per_shard
    )
    print(
        summary(
            run(
                folder, shards, options, Work(tokenizer, text, device, workers, time_limit, engine)
            ),
            shards,
        )
    )
    return 0


def _at_least_one(numbers: dict[str, int | float | None]) -> None:
    for name, value in numbers.items():
        if name == "fps" and value is not None and not value > 0:
            raise ValueError(f"--fps must be above 0; got {value}")
        if name != "fps" and value is not None and value < 1:
            raise ValueError(f"--{name} must be at least 1; got {value}")


def _pictures() -> frozenset[str]:
    from ...data.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES

    return VIDEO_SUFFIXES | IMAGE_SUFFIXES
