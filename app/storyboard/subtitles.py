"""Subtitles from files, and what a storyboard gives as subtitles and chapters."""

from __future__ import annotations

import re
from pathlib import Path

from ...data.datasets.tables import decode_text
from ...data.video.tracks import Cue
from .plan import Plan
from .times import clock

ARROW = re.compile(r"(\S+)\s*-->\s*(\S+)")
TAGS = re.compile(r"<[^>]*>|\{\\[^}]*\}")


def read_subtitles(path: Path) -> list[Cue]:
    """The cues of an SRT or WebVTT file.

    Raises:
        ValueError: with the line, for a time that is none or a cue that ends before it begins.
    """
    lines = decode_text(path).splitlines()
    cues: list[Cue] = []
    number = 0
    while number < len(lines):
        found = ARROW.search(lines[number])
        number += 1
        if not found:
            continue
        start, end = clock(found[1]), clock(found[2])
        if start is None or end is None or end <= start:
            raise ValueError(f"{path.name}, line {number}: '{found[0]}' are no times of a subtitle")
        text = []
        while number < len(lines) and lines[number].strip():
            text.append(TAGS.sub("", lines[number]).strip())
            number += 1
        cues.append(Cue(start, end, "\n".join(text)))
    if not cues:
        raise ValueError(f"'{path}' holds no subtitles; give an SRT or WebVTT file")
    return sorted(cues, key=lambda cue: cue.start)


def cues_of(plan: Plan) -> list[Cue]:
    """The subtitle track: the file that is named, and captions that go there.

    Raises:
        ValueError: a caption begins while another one is shown.
    """
    story = plan.story
    end = plan.frames / plan.fps
    cues = [] if story.subtitles is None else read_subtitles(story.subtitles)
    cues = [Cue(cue.start, min(cue.end, end), cue.text) for cue in cues if cue.start < end]
    if story.captions != "burned":
        for span in plan.spans:
            for line in span.shot.captions:
                start = span.first / plan.fps + line.at
                last = span.end / plan.fps
                stop = last if line.seconds is None else min(last, start + line.seconds)
                if stop <= start:
                    span.shot.at("caption").fail("the caption begins after its shot has ended")
                if any(start < other.end and other.start < stop for other in cues):
                    span.shot.at("caption").fail("it is shown while another subtitle still is")
                cues.append(Cue(start, stop, line.text))
    return sorted(cues, key=lambda cue: cue.start)


def chapters_of(plan: Plan) -> list[Cue]:
    """A chapter from each shot that names one to the next."""
    named = [(span.first / plan.fps, span.shot.chapter) for span in plan.spans if span.shot.chapter]
    ends = [start for start, _ in named[1:]] + [plan.frames / plan.fps]
    return [Cue(start, end, str(title)) for (start, title), end in zip(named, ends)]
