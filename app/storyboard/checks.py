"""What a storyboard gives is looked at before anything is drawn: drawing may take hours, and a
letter that the font lacks should not be found after it."""

from __future__ import annotations

from .font import Font, lettering
from .frames import CAPTION, TITLE
from .given import ReadPictures, first_picture
from .schema import Shot, Storyboard
from .slides.pages import Slides
from .sound import Sounds
from .subtitles import read_subtitles

HEARD = 0.1  # seconds of a sound that a look reads


def check_given(
    story: Storyboard, size: tuple[int, int], font: Font, sounds: Sounds, read: ReadPictures
) -> None:
    """See that everything is there and can be read, and that texts fit.

    Args:
        size: height and width of the video.
        read: as `read_pictures`.

    Raises:
        ValueError: with the place of what is wrong.
    """
    if story.subtitles is not None:
        with story.at("subtitles").blamed():
            read_subtitles(story.subtitles)
    for key, sound in (("narration", story.narration), ("music", story.music)):
        if sound is not None:
            with story.at(key).blamed():
                sounds.read(sound.file, HEARD)
    pages = 0
    if story.slides is not None:
        with story.at("slides").blamed(), Slides(story.slides) as slides:
            pages = len(slides)
    seen = set()
    for shot in story.shots:
        _check_texts(shot, story.captions != "track", size, font)
        if shot.page is not None and shot.page > pages:
            shot.at("page").fail(f"there is no page {shot.page}; there are {pages}")
        if shot.show is not None and shot.show not in seen:
            first_picture(shot, read)
            seen.add(shot.show)
        if shot.narration is not None:
            with shot.at("narration").blamed():
                sounds.read(shot.narration.file, HEARD)


def _check_texts(shot: Shot, burns: bool, size: tuple[int, int], font: Font) -> None:
    if shot.title is not None:
        with shot.at("title").blamed():
            lettering(shot.title.text, font, size, *TITLE)
    for line in shot.captions if burns else ():
        with shot.at("caption").blamed():
            lettering(line.text, font, size, *CAPTION)
