"""`kinetoscope compose`."""

from __future__ import annotations

from pathlib import Path

from ...files.output_path import check_output
from ..provenance.options import Disclosure, Rules
from .options import at_least_one


def compose(
    story: str,
    *,
    out: str | None = None,
    voice: str | None = None,
    timings: str | None = None,
    subtitles: str | None = None,
    height: int | None = None,
    fps: float | None = None,
    story_out: str | None = None,
    kept: str | None = None,
    disclosure: Disclosure = Disclosure(),
    rules: Rules = Rules(),
    device: str | None = None,
) -> int:
    """Make one video with sound from a storyboard, or from slides and a voice.

    A storyboard is a YAML file with shots in a row: sentences that a model draws, pictures, clips
    and pages that are shown as they are, narration, music, titles and captions. What was drawn is
    kept, so that after a change only what changed is drawn again, and a run that was killed goes
    on. Ctrl-C keeps what was drawn so far.

    Args:
        story: a storyboard (.yaml), or slides (.pdf).
        out: the video, .mp4; by default named as the storyboard, beside it.
        voice: for slides, a file of sound, or a folder with one for each slide, in the order of
            their names.
        timings: for slides, a text file that says when each begins; by default they change at the
            longest pauses of the voice, which are written to such a file.
        subtitles: for slides, an SRT or WebVTT file.
        height: for slides, pixels of the video; by default 720.
        fps: for slides, frames per second; by default 24.
        story_out: for slides, also write the storyboard that they make, to add to it and compose
            that.
        kept: the folder of what was drawn; by default named as the video, beside it.
        disclosure: what the video says about where it came from.
        rules: who is asked before anything is drawn.
        device: such as cpu or cuda; by default a GPU if there is one.
    """
    path = Path(story)
    is_slides = path.suffix.lower() == ".pdf"
    named: dict[str, str | float | None] = {
        "voice": voice,
        "timings": timings,
        "subtitles": subtitles,
        "story-out": story_out,
    }
    named |= {"height": height, "fps": fps}
    for name, value in named.items():
        if value is not None and not is_slides:
            raise ValueError(f"--{name} is for slides (.pdf); a storyboard says it itself")
    if height is not None and (height % 2 or not 16 <= height <= 4096):
        raise ValueError(f"--height must be an even number from 16 to 4096; got {height}")
    at_least_one({"fps": fps})
    target = check_output(out if out is not None else path.with_suffix(".mp4"), ".mp4")
    if story_out is not None:
        check_output(story_out, ".yaml")
    disclosure.check()
    from ..runs.compose import ComposeOptions, run
    from ..storyboard.slides.pages import FPS, HEIGHT
    from ..storyboard.slides.story import SlideOptions

    slides = SlideOptions(
        _path(voice),
        _path(timings),
        _path(subtitles),
        target.with_suffix(".timings.txt"),
        HEIGHT if height is None else height,
        FPS if fps is None else fps,
    )
    folder = Path(kept) if kept is not None else target.with_suffix(".shots")
    options = ComposeOptions(target, folder, slides, _path(story_out), device, disclosure, rules)
    return run(path, options)


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name)
