"""The pictures of a video: where shots change, how they join, and what lies on them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from kinetoscope.app.storyboard.font import Font, lettering, wrapped
from kinetoscope.app.storyboard.frames import Film, Picture, fitted
from kinetoscope.app.storyboard.located import Located
from kinetoscope.app.storyboard.plan import Chain, Model, make_plan
from kinetoscope.app.storyboard.schema import (
    Inset,
    Join,
    Length,
    Line,
    Pointer,
    Shot,
    Storyboard,
)
from torch import Tensor

HERE = Located({}, "here")
SIZE = (120, 160)


def given(seconds: float, join: Join = Join(), **more: Any) -> Shot:
    return Shot(HERE, show=Path("x.png"), length=Length(seconds), join=join, **more)


def film(*shots: Shot, fps: float = 12.0, burns: bool = True) -> list[Picture]:
    """Shots that show grey pictures, 40 brighter each; drawn frames count up from 100."""
    story = Storyboard(shots)
    plan = make_plan(story, fps, lambda path: 1.0, Model("m", 4), lambda say, given, frames: say)

    def shown(span: Any) -> Iterator[Tensor]:
        yield torch.full((3, *SIZE), 40 * span.number, dtype=torch.uint8)

    def decode(chain: Chain) -> Iterator[Tensor]:
        for number in range(chain.segments[-1].frames):
            yield torch.full((3, 12, 16), 100 + number, dtype=torch.uint8)

    made = list(Film(plan, SIZE, decode, shown, Font(), burns))
    assert len(made) == plan.frames
    return made


def greys(pictures: list[Picture]) -> list[int]:
    return [int(picture.pixels[0, 0, 0]) for picture in pictures]


def test_a_cut_is_on_its_frame() -> None:
    assert greys(film(given(0.5), given(0.25))) == [40] * 6 + [80] * 3


def test_a_crossfade_goes_from_one_shot_to_the_next() -> None:
    found = greys(film(given(0.5), given(0.5, Join("crossfade", 0.25))))
    assert found == [40] * 6 + [50, 60, 70] + [80] * 3


def test_a_fade_is_darkest_where_the_shots_meet() -> None:
    found = greys(film(given(1.0), given(1.0, Join("fade", 1.0))))
    assert found[:6] == [40] * 6 and found[18:] == [80] * 6
    assert found[6:12] == sorted(found[6:12], reverse=True) and found[11] <= 4
    assert found[12:18] == sorted(found[12:18]) and found[12] <= 7


def test_drawn_frames_keep_their_own_rate() -> None:
    shot = Shot(HERE, say="a", length=Length(0.5))
    goes_on = Shot(HERE, say="b", length=Length(0.5), join=Join("continue"))
    assert greys(film(shot, goes_on)) == list(range(100, 112))
    assert greys(film(shot, goes_on, fps=24)) == [100 + n // 2 for n in range(24)]
    assert greys(film(shot, goes_on, fps=6)) == [100 + n * 2 for n in range(6)]


def test_only_what_a_model_drew_is_marked_as_drawn() -> None:
    inset = Inset("a", (0.5, 0.5, 0.4, 0.4), 0.25, 0.25, None, HERE)
    pictures = film(given(1.0, insets=(inset,)), Shot(HERE, say="b", length=Length(0.25)))
    areas = [int(picture.drawn.sum()) for picture in pictures]
    assert areas == [0] * 3 + [48 * 64] * 3 + [0] * 6 + [120 * 160] * 3
    laid = pictures[4]
    assert laid.drawn[60:108, 80:144].all()
    assert (laid.pixels[:, laid.drawn] == 101).all() and (laid.pixels[:, ~laid.drawn] == 40).all()


def test_pointers_and_text_come_and_go() -> None:
    point = Pointer("point", (0.25, 0.5), 0.25, 0.25)
    light = Pointer("highlight", (0.5, 0.0, 0.5, 0.5), 0.5, 0.25)
    line = Line("Hi", 0.75, 0.25)
    pictures = film(given(1.0), given(1.25, pointers=(point, light), captions=(line,)))[12:]
    changed = [int((picture.pixels != 80).any(0).sum()) for picture in pictures]
    assert changed[:3] == [0] * 3 and changed[12:] == [0] * 3
    assert all(0 < count < 200 for count in changed[3:6])
    assert changed[6:9] == [120 * 160 - 60 * 80] * 3
    assert all(0 < count < 2000 for count in changed[9:12])
    red = pictures[4].pixels[:, 60, 40]
    assert red[0] > 200 > 100 > red[1]
    quiet = film(given(1.0, captions=(line,)), burns=False)
    assert greys(quiet) == [40] * 12 and all((p.pixels == 40).all() for p in quiet)


def test_a_picture_keeps_its_shape() -> None:
    picture = torch.arange(12, dtype=torch.uint8).view(1, 3, 4).repeat(3, 1, 1)
    large, box = fitted(picture, (9, 16))
    assert box == (0, 2, 9, 12) and torch.equal(large[:, ::3, ::3], picture)
    small, box = fitted(torch.full((3, 100, 50), 7, dtype=torch.uint8), (20, 40))
    assert box == (0, 15, 20, 10) and small.shape == (3, 20, 10) and (small == 7).all()


def test_the_font_that_ships_has_latin_greek_and_cyrillic() -> None:
    font = Font()
    for text in (
        "Größe, ça, ñ, Łódź, Ő, İstanbul, Việt — “quote” …",
        "Καλημέρα κόσμε Ἀθῆναι",
        "Съешь ещё этих мягких булок, Ґєїў ђћџ",
    ):
        assert font.lacks(text) == []
        colours, seen = lettering(text, font, (240, 640), 0.5, 0.08)
        assert 0.001 < float((seen > 0.5).float().mean()) < 0.5
        assert int(colours.max()) == 255


@pytest.mark.parametrize("text", ["漢字", "שלום", "a 🎈 b"])
def test_a_letter_that_the_font_lacks_is_an_error(text: str) -> None:
    letter = next(each for each in text if ord(each) > 0x500)
    message = rf"the font DejaVuSans.ttf has no letter for '{letter}'.* under 'font:'"
    with pytest.raises(ValueError, match=message):
        lettering(text, Font(), SIZE, 0.5, 0.1)
    with pytest.raises(ValueError, match=rf"^here: {message}"):
        film(given(1.0, title=Line(text)))


def test_lines_are_no_wider_than_the_picture(tmp_path: Path) -> None:
    face = Font().at(20)
    text = "some words that are to be wrapped and averyveryverylongwordthatfitsnowhere"
    lines = wrapped(text, face, 150)
    assert all(face.getlength(line) <= 150 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    with pytest.raises(ValueError, match="does not fit into the picture; shorten it"):
        lettering("word " * 400, Font(), SIZE, 0.5, 0.1)
    (tmp_path / "no.ttf").write_bytes(b"no font")
    with pytest.raises(ValueError, match=r"is no font; give a .ttf or .otf file"):
        Font(tmp_path / "no.ttf")
