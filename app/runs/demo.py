"""The work behind `kinetoscope demo`: a video of each sentence, all of them in one grid, and a page
that plays them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from ...files.model_folder import find_folder
from ..provenance.generation import public_name
from .demo_page import Shown, write_page
from .jobs import Job, plan_jobs, read_prompts
from .sample import SampleOptions, run

PAGE = "index.html"


def run_demo(folder: str, prompts: str | None, options: SampleOptions, seed: int) -> int:
    """A video for each sentence (of the file, the model's folder or the package), a grid of them
    all and a page in `folder`; returns the exit status."""
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise ValueError(f"'{folder}' is a file; give a folder")
    sentences = read_prompts(prompts) if prompts is not None else _suggested(options.model)
    place.mkdir(parents=True, exist_ok=True)
    named = plan_jobs(sentences, 1, seed, folder, not options.disclosure.no_prompt)
    jobs = [
        Job(job.prompt, job.seed, place / f"{index:02}-{job.path.name}")
        for index, job in enumerate(named, 1)
    ]
    status = run(jobs, options, place / "grid.mp4")
    done = [job for job in jobs if job.path.is_file()]
    write_page(place / PAGE, public_name(options.model), _shown(done, options))
    print(f"{place / PAGE}: open it in a browser", file=sys.stderr)
    return status


def _shown(jobs: Sequence[Job], options: SampleOptions) -> list[Shown]:
    silent = options.disclosure.no_prompt
    return [Shown(job.path, None if silent else job.prompt, job.seed) for job in jobs]


def _suggested(model: str) -> list[str]:
    """The sentences that the model's folder suggests, or those of the package."""
    suggested = find_folder(model, "generator") / "prompts.txt"
    return read_prompts(
        suggested if suggested.is_file() else str(files("kinetoscope.configs") / "demo.txt")
    )
