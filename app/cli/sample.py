"""`kinetoscope sample`."""

from __future__ import annotations

from typing import Literal

from ...files.output_path import check_output, check_rate
from ..provenance.options import Disclosure, Rules
from ..runs.jobs import plan_jobs, read_prompts
from ..wanted_model import wanted_model
from .options import Conditions, MeasuredPrecision, Settings, at_least_one


def sample(
    prompt: list[str] | None = None,
    *,
    prompts: str | None = None,
    out: str = ".",
    model: str | None = None,
    adapter: str | None = None,
    frames: int = 33,
    seed: int | None = None,
    num_samples: int = 1,
    sampling: Settings = Settings(),
    conditions: Conditions = Conditions(),
    disclosure: Disclosure = Disclosure(),
    rules: Rules = Rules(),
    fps: float = 12.0,
    size: int | None = None,
    scale: int | None = None,
    grid_out: str | None = None,
    no_sound: bool = False,
    dtype: MeasuredPrecision = "float32",
    quantize: Literal["none", "int8"] = "none",
    device: str | None = None,
) -> int:
    """Turn sentences into videos.

    Each video has its own seed, counted up from --seed; the same sentence, seed, model and settings
    give the same video again. Sentence, seed, model and settings are stored in the video's metadata
    and in signed content credentials, and its pixels carry a mark that says that a model made it.
    Where a video cannot be signed it stays without, and the exit status is 1. Ctrl-C keeps the
    frames made so far.

    Args:
        prompt: what a video shows; quote each sentence.
        prompts: a text file with one sentence per line, in place of sentences on the command line.
        out: where to write: a name for one video (.mp4, .mov, .mkv, .webm, .gif, .webp, or pictures
            as 'frames/%05d.png'; with --frames 1 also one picture, .png or .jpg), a folder for
            several, or a pattern such as 'out/{index}-{prompt}-{seed}.mp4'. Folders are made if
            needed.
        model: a shipped model, a folder, or a hub id; by default that of the adapter, and
            stage-256 without one.
        adapter: a folder of low-rank adapters, which become part of the model that they were
            trained on.
        frames: length of each video; any number, also far beyond the clips that the model was
            trained on.
        seed: a number; by default a random one, which is printed.
        num_samples: videos per sentence.
        sampling: how codes are drawn; windows and guided frames are counted in frames.
        conditions: what else the videos follow, of what the model takes.
        disclosure: what the videos say about where they came from.
        rules: who is asked before anything is drawn.
        fps: frames per second at which the video plays and clips are read; shipped models were
            trained at 12.
        size: height of the pictures in pixels, a multiple of what the model draws by itself; the
            same sentence and seed give the same video at every size.
        scale: enlarge every pixel so many times; by default small videos are made watchable.
        grid_out: also write all videos side by side, with their sentences, to this file; it is
            silent.
        no_sound: draw no sound, which takes less time and gives other pictures; without it the
            videos of a model that knows sound have some.
        dtype: float32, or bfloat16, which takes half the memory, is faster on many machines and
            gives another video, about as good; auto takes whichever is faster here and says so.
        quantize: none, or int8 to hold the model in eight bits per weight, which takes the least
            memory, not less time.
        device: such as cpu or cuda; by default a GPU if there is one.
    """
    numbers = {
        "frames": frames,
        "num-samples": num_samples,
        "fps": fps,
        "scale": scale,
        "size": size,
    }
    at_least_one(numbers)
    sampling.check()
    sentences = [*(prompt or []), *(read_prompts(prompts) if prompts is not None else [])]
    jobs = plan_jobs(sentences, num_samples, seed, out, not disclosure.no_prompt, frames)
    places = [job.path for job in jobs]
    if grid_out is not None:
        places.append(check_output(grid_out))
    for path in places:
        check_rate(fps, path)
    conditions.check()
    disclosure.check()
    from ..runs.sample import SampleOptions, run

    options = SampleOptions(
        wanted_model(model, adapter),
        frames,
        fps,
        sampling,
        conditions,
        scale=scale,
        device=device,
        adapter=adapter,
        dtype=dtype,
        quantize=None if quantize == "none" else quantize,
        size=size,
        disclosure=disclosure,
        rules=rules,
        no_sound=no_sound,
    )
    return run(jobs, options, grid_out)
