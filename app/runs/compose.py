"""The work behind `kinetoscope compose`: a storyboard or slides to one video."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...files.atomic import write_whole
from ...training.progress import INTERRUPTED, Progress, duration, gentle_interrupt
from ..provenance.options import Disclosure, Rules
from ..provenance.policy import Gate, load_policies
from ..provenance.writer import Signing
from ..storyboard.compose import Composer, Watching, load_generator
from ..storyboard.located import from_json
from ..storyboard.read import Reader, fields_of, rate_of, read_file
from ..storyboard.slides.story import SlideOptions, slide_story, story_text
from ..storyboard.stopped import Stopped
from ..storyboard.times import shown

if TYPE_CHECKING:
    from ..heard import Drawn
    from ..storyboard.drawing import Shelf
    from ..storyboard.located import Located
    from ..storyboard.plan import Segment
    from ..storyboard.schema import Storyboard

PDF = ".pdf"


@dataclass(frozen=True)
class ComposeOptions:
    """What a command says beside the storyboard. kept: the folder of drawn shots; story_out: where
    the storyboard of slides is written to."""

    out: Path
    kept: Path
    slides: SlideOptions = field(default_factory=SlideOptions)
    story_out: Path | None = None
    device: str | None = None
    disclosure: Disclosure = field(default_factory=Disclosure)
    rules: Rules = field(default_factory=Rules)


def run(path: Path, options: ComposeOptions) -> int:
    """Make the video; returns the exit status.

    Raises:
        ValueError: a mistake in the storyboard, with its line.
    """
    began = time.monotonic()
    signing = Signing(options.disclosure, _say)
    story = _story(path, options)
    generator = None
    if story.draws:
        gate = Gate(load_policies(options.rules.policy), options.rules.log_refused)
        generator = load_generator(story, options.device, gate)
    with gentle_interrupt() as stopped:
        progress = _Shown()
        watching = Watching(_say, progress.drew, progress.wrote, stopped)
        composer = Composer(story, options.kept, generator, watching)
        composer.name_unknown()
        if composer.artist is not None:
            progress.count(composer.plan.segments, composer.artist.shelf)
        try:
            drawn, count = composer.draw()
            progress.clear()
            if count:
                _say(f"{drawn} of {count} pieces drawn, {count - drawn} taken from {options.kept}")
            note = composer.compose(options.out, signing)
        except Stopped:
            progress.clear()
            _say(f"stopped; what was drawn is in {options.kept}, and the same command goes on")
            return INTERRUPTED
        progress.clear()
    frames = composer.plan.frames
    seconds = frames / composer.plan.fps
    height, width = composer.size
    print(f"{options.out}: {shown(seconds)}, {frames} frames of {width} x {height}{note}")
    _say(f"{len(story.shots)} shots in {duration(time.monotonic() - began)}")
    _name_unused(composer)
    return signing.status


def _story(path: Path, options: ComposeOptions) -> Storyboard:
    if path.suffix.lower() != PDF:
        return read_file(path)
    if not path.is_file():
        raise ValueError(f"the slides '{path}' do not exist")
    table = slide_story(path, options.slides, _say)
    if options.story_out is not None:
        write_whole(options.story_out, story_text(table, options.story_out.parent))
        _say(f"the storyboard is in {options.story_out}: change it there, and compose that")
    return Reader(_found, fields_of, rate_of).storyboard(from_json(table))


def _found(given: Located, what: str) -> Path:
    return Path(given.text(what))


def _name_unused(composer: Composer) -> None:
    """Say what of the kept shots the storyboard needs no longer."""
    if composer.artist is None:
        return
    unused = composer.artist.shelf.unused(composer.plan.segments)
    if unused:
        size = sum(path.stat().st_size for path in unused) / 1e6
        folder = composer.artist.shelf.folder
        _say(f"{len(unused)} pieces of earlier versions are kept in {folder} ({size:.1f} MB)")


class _Shown:
    """A line of progress, of latent frames that are drawn and then of pictures written."""

    def __init__(self) -> None:
        self.progress: Progress | None = None

    def count(self, segments: list[Segment], shelf: Shelf) -> None:
        """Before drawing: how much there is to do."""
        missing = [each for each in segments if not shelf.has(each)]
        if missing:
            self.progress = Progress(sum(each.last - each.first for each in missing))

    def drew(self, segment: Segment, latent: Drawn) -> None:
        if self.progress is not None:
            self.progress.update(1)

    def wrote(self, done: int, frames: int) -> None:
        if done == 1:
            self.clear()
            self.progress = Progress(frames)
        if self.progress is not None:
            self.progress.update(1)

    def clear(self) -> None:
        if self.progress is not None:
            self.progress.clear()
            self.progress = None


def _say(text: str) -> None:
    print(text, file=sys.stderr)
