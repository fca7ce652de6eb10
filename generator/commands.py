"""The subcommands of `kinetoscope`: their options and explanations.

Everything heavy is imported when a command runs, so that help and most mistakes are answered at once.
"""

from __future__ import annotations

from ..data.output_path import check_output
from .jobs import plan_jobs, read_prompts


def sample(
    prompt: list[str] | None = None,
    prompts: str | None = None,
    out: str = ".",
    model: str = "physics-64",
    frames: int = 33,
    seed: int | None = None,
    num_samples: int = 1,
    guidance: float | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    window: int | None = None,
    init: str | None = None,
    fps: float = 12.0,
    scale: int | None = None,
    grid_out: str | None = None,
    device: str | None = None,
) -> int:
    """Turn sentences into videos.

    Each video has its own seed, counted up from --seed; the same sentence, seed, model and settings give the same video
    again. Sentence, seed, model and settings are stored in the MP4's metadata. Ctrl-C keeps the frames made so far.

    Args:
        prompt: what a video shows; quote each sentence.
        prompts: a text file with one sentence per line, in place of sentences on the command line.
        out: where to write: a name ending in .mp4 for one video, a folder for several, or a pattern such as
            'out/{index}-{prompt}-{seed}.mp4'.
        model: a shipped model, a folder, or a hub id.
        frames: length of each video; any number, also far beyond the clips that the model was trained on.
        seed: a number; by default a random one, which is printed.
        num_samples: videos per sentence.
        guidance: how strictly to follow the sentence; 1 is off, 2 if not given.
        temperature: randomness of each choice, 0 (always the likeliest) to 1 and beyond; 0.8 if not given.
        top_k: choose among this many of the likeliest codes only.
        top_p: choose among the likeliest codes that together have this probability, above 0 to 1.
        window: how many frames back the model looks.
        init: a video or image that each video goes on from.
        fps: frames per second at which the MP4 plays and --init is read; shipped models were trained at 12.
        scale: enlarge every pixel so many times; by default small videos are made watchable.
        grid_out: also write all videos side by side, with their sentences, to this MP4.
        device: such as cpu or cuda; by default a GPU if there is one.
    """
    _at_least_one({"frames": frames, "num-samples": num_samples, "window": window, "fps": fps, "scale": scale})
    sentences = [*(prompt or []), *(read_prompts(prompts) if prompts is not None else [])]
    jobs = plan_jobs(sentences, num_samples, seed, out)
    if grid_out is not None:
        check_output(grid_out)
    from .sample_run import Settings, run

    chosen = {"guidance": guidance, "temperature": temperature, "top_k": top_k, "top_p": top_p}
    sampling = {key: value for key, value in chosen.items() if value is not None}
    return run(jobs, Settings(model, frames, fps, sampling, window, init, scale, device), grid_out)


def reconstruct(
    video: str,
    out: str,
    tokenizer: str = "physics-64",
    size: int | None = None,
    max_frames: int | None = None,
    scale: int | None = None,
    device: str | None = None,
) -> int:
    """Show what a tokenizer keeps of a video, side by side, and measure it.

    Writes the original, its reconstruction and their difference (4 times as strong) side by side, and prints PSNR,
    SSIM and bits per pixel. Long videos need no more memory than short ones.

    Args:
        video: a video or image of any kind.
        out: the MP4 file to write.
        tokenizer: a shipped model, a folder, or a hub id.
        size: scale the shorter side to this many pixels first; without it the video keeps its size.
        max_frames: stop after this many frames.
        scale: enlarge every pixel of the result so many times; by default small videos are made watchable.
        device: such as cpu or cuda; by default a GPU if there is one.
    """
    _at_least_one({"size": size, "max-frames": max_frames, "scale": scale})
    check_output(out)
    from . import codec_run

    return codec_run.reconstruct(codec_run.Source(video, size, max_frames), out, tokenizer, scale, device)


def encode(
    video: str,
    out: str,
    tokenizer: str = "physics-64",
    size: int | None = None,
    max_frames: int | None = None,
    device: str | None = None,
) -> int:
    """Turn a video into a file of codes.

    Args:
        video: a video or image of any kind.
        out: the file to write; its name ends in .safetensors.
        tokenizer: a shipped model, a folder, or a hub id.
        size: scale the shorter side to this many pixels first; without it the video keeps its size.
        max_frames: stop after this many frames.
        device: such as cpu or cuda; by default a GPU if there is one.
    """
    _at_least_one({"size": size, "max-frames": max_frames})
    check_output(out, ".safetensors")
    from . import codec_run

    return codec_run.encode(codec_run.Source(video, size, max_frames), out, tokenizer, device)


def decode(
    codes: str, out: str, tokenizer: str = "physics-64", scale: int | None = None, device: str | None = None
) -> int:
    """Turn a file of codes back into a video.

    Args:
        codes: a file that `kinetoscope encode` or VideoCodes.save wrote.
        out: the MP4 file to write.
        tokenizer: the tokenizer that wrote the codes: a shipped model, a folder, or a hub id.
        scale: enlarge every pixel so many times; by default small videos are made watchable.
        device: such as cpu or cuda; by default a GPU if there is one.
    """
    _at_least_one({"scale": scale})
    check_output(out)
    from . import codec_run

    return codec_run.decode(codes, out, tokenizer, scale, device)


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
        prompts: a text file with one sentence per line; by default the sentences that come with the package.
        model: a shipped model, a folder, or a hub id.
        frames: length of each video.
        seed: another number gives other videos.
        fps: frames per second at which the MP4s play.
        device: such as cpu or cuda; by default a GPU if there is one.
    """
    _at_least_one({"frames": frames, "fps": fps})
    from .sample_run import Settings, run_demo

    return run_demo(out, prompts, Settings(model, frames, fps, device=device), seed)


def _at_least_one(numbers: dict[str, int | float | None]) -> None:
    for name, value in numbers.items():
        if name == "fps" and value is not None and not value > 0:
            raise ValueError(f"--fps must be above 0; got {value}")
        if name != "fps" and value is not None and value < 1:
            raise ValueError(f"--{name} must be at least 1; got {value}")
