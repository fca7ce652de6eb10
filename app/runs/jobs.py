"""Which videos a command makes: their sentences, seeds and file names. All mistakes are found
before a model loads."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...data.datasets.tables import decode_text
from ...files.output_path import check_output

LARGEST_SEED = 2**31
EXAMPLE = 'such as "a red ball rolls to the left"'


@dataclass(frozen=True)
class Job:
    """One video to make; frames: None for as many as the command makes."""

    prompt: str
    seed: int
    path: Path
    frames: int | None = None


def read_prompts(path: str | Path) -> list[str]:
    """The sentences of a text file in UTF-8 or UTF-16, one per line; blank lines and lines that
    start with # do not count."""
    lines = [line.strip() for line in read_lines(path)]
    prompts = [line for line in lines if line and not line.startswith("#")]
    if not prompts:
        raise ValueError(f"'{path}' holds no prompts; write one sentence per line")
    return prompts


def read_lines(path: str | Path) -> list[str]:
    """The lines of a text file in UTF-8 or UTF-16; ValueError if it is none."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise ValueError(f"the file of prompts '{path}' does not exist") from None
    except (IsADirectoryError, PermissionError):
        raise ValueError(
            f"'{path}' cannot be read as a text file with one prompt per line"
        ) from None
    return decode_text(Path(path), content).splitlines()


def plan_jobs(
    prompts: Sequence[str],
    num_samples: int,
    seed: int | None,
    out: str,
    is_named: bool = True,
    frames: int | None = None,
) -> list[Job]:
    """`num_samples` videos for each sentence, with seeds counted up from `seed` (random when None).

    `out` is the name of a video, a folder (which is made if needed), or a pattern with {index},
    {seed} and {prompt}; of one of the `frames`, also that of a picture. Unless `is_named`, no name
    tells the sentence.

    Raises:
        ValueError: no sentences or empty ones, a seed below 0, or videos that cannot be written
            there.
    """
    if not prompts:
        raise ValueError(
            f"there is no prompt; say what the video shows, {EXAMPLE}, or use --prompts FILE"
        )
    for number, prompt in enumerate(prompts, start=1):
        which = f"prompt {number} of {len(prompts)}" if len(prompts) > 1 else "the prompt"
        if "\0" in prompt or not _is_unicode(prompt):
            raise ValueError(f"{which} holds bytes that are no UTF-8 text; write it in UTF-8")
        if not prompt.strip():
            raise ValueError(f"{which} is empty; say what the video shows, {EXAMPLE}")
    if seed is None:
        seed = random.SystemRandom().randrange(LARGEST_SEED)
    if not 0 <= seed < LARGEST_SEED:
        raise ValueError(f"--seed must be 0 to {LARGEST_SEED - 1}; got {seed}")
    sentences = [prompt.strip() for prompt in prompts for _ in range(num_samples)]
    seeds = [seed + index for index in range(len(sentences))]
    paths = [
        _place(out, *job, several=len(sentences) > 1, frames=frames)
        for job in zip(range(len(seeds)), seeds, sentences if is_named else [""] * len(seeds))
    ]
    if len(set(paths)) < len(paths):
        raise ValueError(f"'{out}' gives several videos the same name; put {{index}} into it")
    return [Job(*job) for job in zip(sentences, seeds, paths)]


def _is_unicode(text: str) -> bool:
    """False where bytes of the command line are no UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _place(out: str, index: int, seed: int, prompt: str, several: bool, frames: int | None) -> Path:
    name = slug(prompt)
    if "{" in out:
        try:
            path = out.format(index=index, seed=seed, prompt=name)
        except (KeyError, IndexError, AttributeError, ValueError):
            raise ValueError(f"'{out}' may hold {{index}}, {{seed}} and {{prompt}} only") from None
        return check_output(path, frames=frames)
    if Path(out).is_dir() or not Path(out).suffix or out.endswith("/"):
        return check_output(Path(out) / f"{name}-{seed}.mp4")
    if several:
        raise ValueError(
            f"several videos cannot share the name '{out}'; give a folder, or put {{index}} into "
            "the name"
        )
    return check_output(out, frames=frames)


def slug(prompt: str) -> str:
    """A sentence as a file name: at most 48 letters, digits and hyphens."""
    return re.sub(r"[\W_]+", "-", prompt.lower())[:48].strip("-") or "video"
