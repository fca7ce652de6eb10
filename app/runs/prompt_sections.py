"""A file of prompts in sections, as a model's folder says what its demo shows.

    a sentence of no section

    ## One minute | 720 frames
    # What lies below a heading says what there is to see.
    a large red ball rolls to the right

A plain list of sentences is one section without a heading, and a reader of sentences alone
(`read_prompts`) takes headings for comments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from .jobs import read_lines, read_prompts

MARK = "##"
LENGTH = re.compile(r"([1-9]\d{0,8}) frames?")


@dataclass
class Section:
    """Sentences that belong together.

    heading: None for those above the first one; about: what its remarks say; frames: of each of
    its videos, None for the usual number.
    """

    heading: str | None = None
    about: str = ""
    frames: int | None = None
    prompts: list[str] = field(default_factory=list)


def read_sections(path: str | Path) -> list[Section]:
    """The sections of a text file, see above; those without sentences are left out.

    Raises:
        ValueError: whatever `read_prompts` refuses, or a heading with something else than a length
            behind its bar.
    """
    read_prompts(path)  # refuses a file without sentences
    sections = [Section()]
    may_tell = False  # the lines so far say what the section is about
    for number, line in enumerate(read_lines(path), start=1):
        text = line.strip()
        section = sections[-1]
        if text.startswith(MARK):
            sections.append(_headed(text, f"'{path}', line {number}"))
            may_tell = True
        elif text.startswith("#") and may_tell:
            section.about = f"{section.about} {text[1:].strip()}".strip()
        elif not text.startswith("#"):
            may_tell = False
            section.prompts += [text] * bool(text)
    return [section for section in sections if section.prompts]


def _headed(line: str, where: str) -> Section:
    heading, bar, length = (part.strip() for part in line.lstrip("#").rpartition("|"))
    if not bar:
        return Section(length)
    told = LENGTH.fullmatch(length)
    if told is None:
        raise ValueError(
            f"{where}: behind the bar of a heading stands how long its videos are, such as "
            f"'## One minute | 720 frames'; got '{length}'"
        )
    return Section(heading, frames=int(told[1]))
