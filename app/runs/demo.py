"""The work behind `kinetoscope demo`: a video of each sentence, and a page that plays them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from ...data.video import probe
from ...files.model_folder import find_folder
from ..provenance.generation import public_name
from .demo_page import PageSection, Shown, write_page
from .jobs import Job, plan_jobs
from .prompt_sections import Section, read_sections
from .sample import SampleOptions, run

PAGE = "index.html"
PROMPTS = "prompts.txt"


def run_demo(
    folder: str, prompts: str | None, options: SampleOptions, seed: int, frames: int | None = None
) -> int:
    """A video for each sentence (of the file, the model's folder or the package) and a page in
    `folder`; returns the exit status.

    Args:
        frames: of every video; None for what the sections say, and for those of `options` where
            they say nothing.
    """
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise ValueError(f"'{folder}' is a file; give a folder")
    sections = read_sections(suggested(options.model) if prompts is None else prompts)
    place.mkdir(parents=True, exist_ok=True)
    jobs = _plan(sections, place, options, seed, frames)
    status = run(jobs, options)
    shown = _shown(sections, jobs, options)
    write_page(place / PAGE, public_name(options.model), shown)
    size = (place / PAGE).stat().st_size / 1e6
    print(f"{place / PAGE}: open it in a browser ({size:.1f} MB)", file=sys.stderr)
    return status


def suggested(model: str) -> Path:
    """The file of the sentences that suit a model: of its folder, or of the package."""
    own = find_folder(model, "generator") / PROMPTS
    return own if own.is_file() else Path(str(files("kinetoscope.configs") / "demo.txt"))


def _plan(
    sections: Sequence[Section],
    place: Path,
    options: SampleOptions,
    seed: int,
    frames: int | None,
) -> list[Job]:
    """The videos in the order of the page, with seeds that count up."""
    sentences = [prompt for section in sections for prompt in section.prompts]
    lengths = [frames or section.frames for section in sections for _ in section.prompts]
    named = plan_jobs(sentences, 1, seed, str(place), not options.disclosure.no_prompt)
    return [
        replace(job, path=place / f"{number:02}-{job.path.name}", frames=length)
        for number, (job, length) in enumerate(zip(named, lengths), 1)
    ]


def _shown(
    sections: Sequence[Section], jobs: Sequence[Job], options: SampleOptions
) -> list[PageSection]:
    """What is there of each section; an interrupt leaves some of them empty."""
    silent = options.disclosure.no_prompt
    ahead = iter(jobs)
    page = []
    for section in sections:
        own = [next(ahead) for _ in section.prompts]
        videos = [
            Shown(
                job.path,
                None if silent else job.prompt,
                job.seed,
                probe(job.path).has_audio,
                job.frames or options.frames,
            )
            for job in own
            if job.path.is_file()
        ]
        if videos:
            page.append(PageSection(section.heading, section.about, videos))
    return page
