"""`kinetoscope sample`."""

from __future__ import annotations

from typing import Literal

from ...files.output_path import check_output
from ..runs.jobs import plan_jobs, read_prompts
from .options import Precision, at_least_one


def sample(
    prompt: list[str] | None = None,
    *,
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
    at_least_one(
        {"frames": frames, "num-samples": num_samples, "window": window, "fps": fps, "scale": scale}
    )
    at_least_one({"guidance-frames": guidance_frames})
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
